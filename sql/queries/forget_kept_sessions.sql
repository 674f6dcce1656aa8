-- Who has started all kept sessions is about to serve them: what is kept would be behind at once. Returns the generation of
-- the server that opens now.
WITH forgotten AS (
    DELETE FROM kept_sessions
)
UPDATE server_openings SET generation = generation + 1
RETURNING generation
