-- The generation of the server that opens now. Waits for those who are keeping sessions; afterwards none of before keeps any.
UPDATE server_openings SET generation = generation + 1
RETURNING generation
