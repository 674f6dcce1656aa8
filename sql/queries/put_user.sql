-- A profile as the marketplace has it now.
INSERT INTO users (id, full_name, profile_picture_url)
VALUES ($1::bytea, $2, $3)
ON CONFLICT (id) DO UPDATE
SET full_name = excluded.full_name,
    profile_picture_url = excluded.profile_picture_url
