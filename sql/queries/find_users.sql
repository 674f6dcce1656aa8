-- The profiles of some users.
SELECT id, full_name, profile_picture_url
FROM users
WHERE id = ANY ($1::bytea[])
