//! The messages of a conversation.

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use actors::{ConversationId, Message, MessageText, Refusal, store::Page};
use serde::Deserialize;

use crate::auth::Caller;

use super::{ApiError, App, Success, json_object::JsonObject};

/// Which page, as it stands in the query string.
#[derive(Deserialize)]
pub(super) struct PageQuery {
    page: Option<String>,
    limit: Option<String>,
}

/// A page, oldest first; everything of the other participant becomes read.
pub(super) async fn history(
    app: Data<App>,
    caller: Caller,
    id: Path<String>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let conversation = conversation(&id)?;
    let page = Page::parse(query.page.as_deref(), query.limit.as_deref());
    let messages = app.chat.read_history(conversation, caller.user, page).await?;
    let data: Vec<_> = messages.iter().map(|message| message.on_the_wire(conversation)).collect();
    Ok(Success::ok(data))
}

/// Stores a message and sends it to everybody, as a socket's send does.
pub(super) async fn send(
    app: Data<App>,
    caller: Caller,
    id: Path<String>,
    mut body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let conversation = conversation(&id)?;
    let text = body.string("text", "text must be a string")?;
    let text = MessageText::parse(text.unwrap_or_default())?;
    let said = text.as_str().to_owned();
    let committed = app.chat.post(conversation, caller.user, text).await?;
    let message = Message {
        id: committed.id,
        conversation_id: conversation,
        sender_id: committed.sender,
        text: &said,
        is_read: false,
        read_at: None,
        sent_at: committed.sent_at,
        seq: committed.seq,
    };
    Ok(Success::created(message))
}

fn conversation(id: &str) -> Result<ConversationId, Refusal> {
    ConversationId::parse(id).ok_or_else(Refusal::conversation_not_found)
}
