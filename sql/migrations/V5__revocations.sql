-- Users whose tokens of before do not hold any more.
CREATE TABLE revocations (
    user_id    object_id PRIMARY KEY,
    revoked_at timestamptz NOT NULL
);

-- Every server hears of it.
CREATE FUNCTION announce_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('user_revoked', encode(NEW.user_id, 'hex'));
    RETURN NULL;
END
$$;
CREATE TRIGGER revocations_announce AFTER INSERT OR UPDATE ON revocations
    FOR EACH ROW EXECUTE FUNCTION announce_revocation();
