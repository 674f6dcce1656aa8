-- Waits for those who are keeping sessions at this moment.
SELECT generation FROM server_openings FOR UPDATE
