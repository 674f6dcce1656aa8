-- How often a server has opened. What an earlier one would keep later than that is behind: it is not kept.
CREATE TABLE server_openings (
    generation bigint NOT NULL
);
INSERT INTO server_openings VALUES (0);
