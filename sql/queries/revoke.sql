-- A user's tokens of before do not hold any more. $1 user, $2 when.
INSERT INTO revocations (user_id, revoked_at)
VALUES ($1::bytea, $2)
ON CONFLICT (user_id) DO UPDATE SET revoked_at = greatest(revocations.revoked_at, excluded.revoked_at)
