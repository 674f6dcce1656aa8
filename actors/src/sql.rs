//! Every statement, from its file.

macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident = $file:literal,)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = include_str!(concat!("../../sql/queries/", $file));)*

        /// All of them with their files, for the test that prepares each.
        pub const ALL: &[(&str, &str)] = &[$(($file, $name),)*];
    };
}

queries! {
    APPEND_MESSAGE = "append_message.sql",
    APPEND_MESSAGES = "append_messages.sql",
    APPEND_NAMED_MESSAGES = "append_named_messages.sql",
    MARK_READ = "mark_read.sql",
    LOCK_CONVERSATION = "lock_conversation.sql",
    FIND_MESSAGES_BY_ID = "find_messages_by_id.sql",
    END_HOLDER_OF_LOCK = "end_holder_of_lock.sql",
    FIND_ROOMS = "find_rooms.sql",
    READ_HISTORY = "read_history.sql",
    READ_AFTER = "read_after.sql",
    READ_BEFORE = "read_before.sql",
    LIST_CONVERSATIONS = "list_conversations.sql",
    OPEN_CONVERSATION = "open_conversation.sql",
    COUNT_UNREAD = "count_unread.sql",
    FIND_USERS = "find_users.sql",
    PUT_USER = "put_user.sql",
    KEEP_SESSIONS = "keep_sessions.sql",
    FIND_KEPT_SESSIONS = "find_kept_sessions.sql",
    AWAIT_KEEPING = "await_keeping.sql",
    OPEN_SERVER = "open_server.sql",
    FORGET_KEPT_SESSIONS = "forget_kept_sessions.sql",
    FIND_SENT = "find_sent.sql",
    COUNT_UNREAD_HERE = "count_unread_here.sql",
    FIND_DELETED = "find_deleted.sql",
    DELETE_MESSAGE = "delete_message.sql",
    REVOKE = "revoke.sql",
    DURABILITY = "durability.sql",
    COUNT_OTHER_SERVERS = "count_other_servers.sql",
    LIST_REVOCATIONS = "list_revocations.sql",
    LOOK = "look.sql",
    LIST_MIGRATIONS = "list_migrations.sql",
}
