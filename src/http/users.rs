//! Profiles, which the marketplace keeps in step here.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use actors::{Profile, Refusal, UserId};

use super::{ApiError, App, Success, caller::Admin, json_object::JsonObject};

/// Stores a profile, new or changed. Rooms show it from then on.
pub(super) async fn put(
    app: Data<App>,
    _: Admin,
    id: Path<String>,
    mut body: JsonObject,
) -> Result<HttpResponse, ApiError> {
    let id = UserId::parse(&id).ok_or_else(|| Refusal::invalid("Invalid user ID"))?;
    let full_name = body.string("full_name", "full_name must be a string")?.unwrap_or_default();
    let url = body.string("profile_picture_url", "profile_picture_url must be a string or null")?;
    let profile = Profile::parse(id, full_name, url)?;
    app.chat.put_user(&profile).await?;
    Ok(Success::ok(profile))
}
