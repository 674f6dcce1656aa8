-- Those who are there already stay as they are: what the marketplace has put since is newer.
INSERT INTO users (id, full_name, profile_picture_url)
SELECT DISTINCT ON (id) id, full_name, profile_picture_url
FROM staged_users
ORDER BY id, number
ON CONFLICT (id) DO NOTHING
