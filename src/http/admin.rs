//! For operators.

use actix_web::{HttpResponse, web::Data};
use actors::{Refusal, UserId};
use serde_json::json;

use super::{ApiError, App, Success, caller::Admin, json_object::JsonObject};

/// What is there and what has happened.
pub(super) async fn stats(app: Data<App>, _: Admin) -> Result<HttpResponse, ApiError> {
    Ok(Success::ok(app.chat.counters().as_ref()))
}

/// Refuses a user's tokens of before, and closes the user's sessions at once.
pub(super) async fn revoke(app: Data<App>, Admin(by): Admin, mut body: JsonObject) -> Result<HttpResponse, ApiError> {
    const INVALID: &str = "Invalid user ID";
    let user = body.string("userId", INVALID)?.and_then(|id| UserId::parse(&id));
    let user = user.ok_or_else(|| Refusal::invalid(INVALID))?;
    let revoked_at = app.chat.revoke(user).await?;
    tracing::info!(%user, %by, "revoked the user's tokens");
    Ok(Success::ok(json!({ "userId": user, "revoked_at": revoked_at })))
}
