-- Whose tokens of before a moment do not hold any more.
SELECT user_id, revoked_at FROM revocations
