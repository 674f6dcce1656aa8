//! The messages of a conversation.

use actix_web::{
    HttpRequest, HttpResponse,
    error::ErrorInternalServerError,
    rt::spawn,
    web::{self, Data, Path, Query},
};
use actors::{
    ClientMsgId, Code, ConversationId, Draft, Duplicate, Message, MessageId, MessageText, PostError, Profile, Refusal,
    store::{Page, Start},
};
use futures::stream;

use crate::{auth::Caller, traces};

use super::{ApiError, App, Success, json_object::JsonObject};

/// Names a message, as `client_msg_id` in the body does (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A page, oldest first; everything of the other participant becomes read, unless `mark_read=false` says no.
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
    let start = match (value("after_seq"), value("before_seq")) {
        (None, None) => None,
        (Some(seq), None) => Some(Start::After(parse_seq(seq)?)),
        (None, Some(seq)) => Some(Start::Before(parse_seq(seq)?)),
        _ => return Err(Refusal::invalid("after_seq or before_seq, not both").into()),
    };
    let mark_read = value("mark_read") != Some("false");
    let Some(start) = start else {
        let page = Page::parse(value("page"), value("limit"));
        let page = app.chat.read_history(conversation, caller.user, page, mark_read).await?;
        return Ok(Success::ok(page.on_the_wire().collect::<Vec<_>>()));
    };
    let page = Page::of(start, value("limit"));
    let page = app.chat.read_history(conversation, caller.user, page, mark_read).await?;
    Ok(HttpResponse::Ok().json(SeqPage {
        success: true,
        data: page.on_the_wire().collect(),
        has_more: page.has_more,
        head_seq: page.head_seq,
    }))
}

/// The answer to `after_seq` and `before_seq`.
#[derive(serde::Serialize)]
struct SeqPage<'a> {
    success: bool,
    data: Vec<Message<'a, &'a Profile>>,
    has_more: bool,
    head_seq: i64,
}

fn parse_seq(text: &str) -> Result<i64, Refusal> {
    let seq = text.parse().ok().filter(|seq| *seq >= 0);
    seq.ok_or_else(|| Refusal::invalid("after_seq and before_seq must be whole numbers, 0 or more"))
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
    let draft = Draft { text, client_msg_id: client_msg_id(&request, &mut body)?, way: traces::begin(conversation) };
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

/// Deletes a message of the caller's.
pub(super) async fn delete(app: Data<App>, caller: Caller, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let message = MessageId::parse(&id).ok_or_else(Refusal::message_not_found)?;
    // Goes on when the caller has gone: only the first deletion is told, and a repeat would not make up for it.
    let deletion = spawn(async move { app.chat.delete_message(message, caller.user).await });
    let deleted = deletion.await.unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "Server error")))?;
    Ok(Success::ok(deleted))
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
