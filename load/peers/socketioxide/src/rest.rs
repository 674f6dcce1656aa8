//! The REST routes.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRef, FromRequest, FromRequestParts, Path, Query, Request, State},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use deadpool_postgres::PoolError;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    App,
    announce::announce,
    id::ObjectId,
    rules::{self, Caller, check_text},
    store::Profile,
};

const BODY_LIMIT_BYTES: usize = 64 * 1024;
const CONVERSATION_NOT_FOUND: Refusal = Refusal(StatusCode::NOT_FOUND, "Conversation not found");

pub struct Refusal(StatusCode, &'static str);

const fn invalid(message: &'static str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, message)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "success": false, "message": self.1 }))).into_response()
    }
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Self {
        eprintln!("a request failed: {error}");
        Self(StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
    }
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

fn success<T: Serialize>(data: T) -> Json<Success<T>> {
    Json(Success { success: true, data })
}

impl<S: Sync> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(Refusal(StatusCode::UNAUTHORIZED, "No token provided"))?;
        App::from_ref(state).tokens.verify(token).ok_or(Refusal(StatusCode::UNAUTHORIZED, "Invalid or expired token"))
    }
}

/// A body that is a JSON object.
struct JsonObject(Map<String, Value>);

impl<S: Sync + Send> FromRequest<S> for JsonObject {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            _ => invalid("the body could not be read"),
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| invalid("the body must be a JSON object"))
    }
}

impl JsonObject {
    /// A field that may be absent or null.
    fn string(&mut self, name: &str, refusal: &'static str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(invalid(refusal)),
        }
    }

    fn id(&mut self, name: &str, refusal: &'static str) -> Result<Option<ObjectId>, Refusal> {
        self.string(name, refusal)?.map(|id| ObjectId::parse(&id).ok_or(invalid(refusal))).transpose()
    }
}

pub fn routes(app: App) -> Router {
    Router::new()
        .route("/health", get(async || Json(json!({ "success": true }))))
        .route("/api/chat/conversations/{id}/messages", get(read_page).post(post_message))
        .route("/api/chat/conversations", get(list_conversations).post(open_conversation))
        .route("/api/chat/unread-count", get(count_unread))
        .route("/api/chat/users/{id}", put(put_user))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "Route not found"))
        .method_not_allowed_fallback(async || Refusal(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(app)
}

async fn read_page(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<impl IntoResponse, Refusal> {
    let conversation = ObjectId::parse(&id).ok_or(CONVERSATION_NOT_FOUND)?;
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let page = rules::page(value("page"), value("limit"));
    Ok(success(app.store.read_page(conversation, caller.id, page).await?.ok_or(CONVERSATION_NOT_FOUND)?))
}

async fn post_message(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut body: JsonObject,
) -> Result<Response, Refusal> {
    let conversation = ObjectId::parse(&id).ok_or(CONVERSATION_NOT_FOUND)?;
    let text = body.string("text", "text must be a string")?.unwrap_or_default();
    check_text(&text).map_err(invalid)?;
    let stored = app.store.append_message(conversation, caller.id, text).await?;
    let (message, recipient) = stored.ok_or(CONVERSATION_NOT_FOUND)?;
    announce(&app.io, &message, recipient).await;
    let data = json!({
        "_id": message.id,
        "conversation_id": message.conversation_id,
        "sender_id": message.sender_id.id,
        "text": message.text,
        "is_read": message.is_read,
        "read_at": message.read_at,
        "sent_at": message.sent_at,
    });
    Ok((StatusCode::CREATED, success(data)).into_response())
}

async fn list_conversations(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, Refusal> {
    Ok(success(app.store.list_conversations(caller.id).await?))
}

async fn open_conversation(
    State(app): State<App>,
    caller: Caller,
    mut body: JsonObject,
) -> Result<impl IntoResponse, Refusal> {
    let recipient = body.id("recipient_id", "Invalid recipient ID")?.ok_or(invalid("Invalid recipient ID"))?;
    if recipient == caller.id {
        return Err(invalid("Cannot message yourself"));
    }
    let horse = body.id("horse_id", "Invalid horse ID")?;
    let unknown = || Refusal(StatusCode::NOT_FOUND, "Recipient not found");
    app.store.profile(recipient).await?.ok_or_else(unknown)?;
    Ok(success(app.store.open_conversation(caller.id, recipient, horse).await?.ok_or_else(unknown)?))
}

async fn count_unread(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, Refusal> {
    let count = app.store.count_unread(caller.id).await?;
    Ok(Json(json!({ "success": true, "unread_count": count })))
}

async fn put_user(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut body: JsonObject,
) -> Result<impl IntoResponse, Refusal> {
    if !caller.is_admin {
        return Err(Refusal(StatusCode::FORBIDDEN, "Only admins may do this"));
    }
    let id = ObjectId::parse(&id).ok_or(invalid("Invalid user ID"))?;
    let full_name = body.string("full_name", "full_name must be a string")?.unwrap_or_default();
    if full_name.is_empty() {
        return Err(invalid("full_name must not be empty"));
    }
    let profile_picture_url = body.string("profile_picture_url", "profile_picture_url must be a string or null")?;
    Ok(success(app.store.put_user(Profile { id, full_name, profile_picture_url }).await?))
}
