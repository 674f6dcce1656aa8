//! Statements of import and export, from their files.

macro_rules! statements {
    ($($name:ident = $file:literal,)*) => {
        $(pub(super) const $name: &str = include_str!(concat!("../../sql/transfer/", $file));)*
    };
}

statements! {
    STAGE = "stage.sql",
    STORE_USERS = "store_users.sql",
    STORE_CONVERSATIONS = "store_conversations.sql",
    AIM_CONVERSATIONS = "aim_conversations.sql",
    LIST_REFUSED = "list_refused.sql",
    LIST_MERGED = "list_merged.sql",
    RESOLVE_MESSAGES = "resolve_messages.sql",
    REFUSE_MESSAGES = "refuse_messages.sql",
    DIVIDE = "divide.sql",
    LOCK_CHUNK = "lock_chunk.sql",
    NUMBER_CHUNK = "number_chunk.sql",
    STORE_MESSAGES = "store_messages.sql",
    UPDATE_MESSAGES = "update_messages.sql",
    RECOUNT_CHUNK = "recount_chunk.sql",
    BRING_UP_TO_DATE = "bring_up_to_date.sql",
    EXPORT_USERS = "export_users.sql",
    EXPORT_CONVERSATIONS = "export_conversations.sql",
    EXPORT_MESSAGES = "export_messages.sql",
}
