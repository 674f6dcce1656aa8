SELECT id, full_name, profile_picture_url
FROM users
ORDER BY id
