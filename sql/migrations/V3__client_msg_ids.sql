-- A sender's own id of a message: a repeat is known by it, for good, over whichever transport it comes.
ALTER TABLE messages ADD COLUMN client_msg_id text
    CHECK (client_msg_id ~ '^[!-~]{1,64}$');

-- Messages without one are not in it.
CREATE UNIQUE INDEX messages_client_msg_id ON messages (conversation_id, sender_id, client_msg_id)
    WHERE client_msg_id IS NOT NULL;
