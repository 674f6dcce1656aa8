//! The messages of a conversation.

use actix_web::{
    HttpRequest, HttpResponse,
    error::ErrorInternalServerError,
    web::{self, Data, Path, Query},
};
use actors::{ClientMsgId, ConversationId, Draft, Duplicate, Message, MessageText, PostError, Refusal, store::Page};
use futures::stream;

use crate::auth::Caller;

use super::{ApiError, App, Success, json_object::JsonObject};

/// Names a message, as `client_msg_id` in the body does (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A page, oldest first; everything of the other participant becomes read.
pub(super) async fn history(
    app: Data<App>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let conversation = conversation(&id)?;
    // Pairs, not a struct: a name that comes twice is no error, the first one counts.
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let query = query.map_or_else(|_| Vec::new(), Query::into_inner);
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let page = Page::parse(value("page"), value("limit"));
    let page = app.chat.read_history(conversation, caller.user, page).await?;
    Ok(Success::ok(page.on_the_wire().collect::<Vec<_>>()))
}

/// Stores a message and sends it to everybody, as a socket's send does.
pub(super) async fn send(
    app: Data<App>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    mut body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let conversation = conversation(&id)?;
    let text = body.string("text", "text must be a string")?;
    let text = MessageText::parse(text.unwrap_or_default())?;
    let said = text.as_str().to_owned();
    let draft = Draft { text, client_msg_id: client_msg_id(&request, &mut body)? };
    let committed = match app.chat.post(conversation, caller.user, draft).await {
        Ok(committed) => committed,
        Err(PostError::Refused(refusal)) => return Err(refusal.into()),
        Err(PostError::OutcomeUnknown) => return Ok(no_answer()),
    };
    let message = Message {
        id: committed.id,
        conversation_id: conversation,
        sender_id: committed.sender,
        text: &said,
        is_read: committed.read_at.is_some(),
        read_at: committed.read_at,
        sent_at: committed.sent_at,
        seq: committed.seq,
    };
    Ok(if committed.duplicate { Success::created(Duplicate::from(message)) } else { Success::created(message) })
}

/// From the body or the header `Idempotency-Key`, which may both be there if they say the same.
fn client_msg_id(request: &HttpRequest, body: &mut JsonObject) -> Result<Option<ClientMsgId>, Refusal> {
    let named = body.string("client_msg_id", ClientMsgId::RULE)?.map(ClientMsgId::parse).transpose()?;
    let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(header) = headers.next() else { return Ok(named) };
    let key = ClientMsgId::parse(header.to_str().unwrap_or_default())?;
    if headers.next().is_some() || named.is_some_and(|named| named != key) {
        return Err(Refusal::invalid("Idempotency-Key and client_msg_id are not the same"));
    }
    Ok(Some(key))
}

fn conversation(id: &str) -> Result<ConversationId, Refusal> {
    ConversationId::parse(id).ok_or_else(Refusal::conversation_not_found)
}

/// Ends the connection without an answer, since each would say that the message is stored, or that it is not: a body
/// that fails makes actix-web drop the connection before anything of the answer is sent.
fn no_answer() -> HttpResponse {
    let failing = stream::once(async { Err::<web::Bytes, _>(ErrorInternalServerError("the outcome is not known")) });
    HttpResponse::InternalServerError().streaming(failing)
}
