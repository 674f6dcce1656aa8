-- Who has started all kept sessions is about to serve them: what is kept would be behind at once.
DELETE FROM kept_sessions
