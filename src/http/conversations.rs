//! The caller's conversations.

use actix_web::{HttpResponse, web::Data};
use actors::{Code, HorseId, Refusal, UserId, store::OpenConversationError};
use serde_json::json;

use crate::auth::Caller;

use super::{ApiError, App, Success, json_object::JsonObject};

/// All of them, the last changed first.
pub(super) async fn list(app: Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let data = app.chat.store().list_conversations(caller.user).await?;
    Ok(Success::ok(data))
}

/// The one with a user, about a horse if one is given; made if there is none.
pub(super) async fn open(app: Data<App>, caller: Caller, mut body: JsonObject) -> Result<HttpResponse, ApiError> {
    const INVALID_RECIPIENT: &str = "Invalid recipient ID";
    const INVALID_HORSE: &str = "Invalid horse ID";
    let recipient = body.string("recipient_id", INVALID_RECIPIENT)?;
    let recipient = recipient.and_then(|id| UserId::parse(&id)).ok_or_else(|| Refusal::invalid(INVALID_RECIPIENT))?;
    if recipient == caller.user {
        return Err(Refusal::invalid("Cannot message yourself").into());
    }
    let horse = match body.string("horse_id", INVALID_HORSE)? {
        Some(id) => Some(HorseId::parse(&id).ok_or_else(|| Refusal::invalid(INVALID_HORSE))?),
        None => None,
    };
    match app.chat.store().open_conversation(caller.user, recipient, horse).await {
        Ok(data) => Ok(Success::ok(data)),
        Err(OpenConversationError::Store(error)) => Err(error.into()),
        Err(OpenConversationError::RecipientNotFound) => Err(not_found("Recipient not found")),
        Err(OpenConversationError::CallerNotFound) => Err(not_found("Your profile is not known here yet")),
    }
}

/// Undeleted, unread messages by others.
pub(super) async fn unread_count(app: Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let count = app.chat.store().count_unread(caller.user).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "unread_count": count})))
}

fn not_found(message: &'static str) -> ApiError {
    Refusal::new(Code::NotFound, message).into()
}
