-- Takes out those that are wrong. Returns them, and why.
DELETE FROM incoming
WHERE reason IS NOT NULL
RETURNING number, line, encode(id, 'hex'), reason
