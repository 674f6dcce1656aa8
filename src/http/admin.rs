//! For operators.

use actix_web::{HttpResponse, web::Data};

use super::{ApiError, App, Success, caller::Admin};

/// What is there and what has happened.
pub(super) async fn stats(app: Data<App>, _: Admin) -> Result<HttpResponse, ApiError> {
    Ok(Success::ok(app.chat.counters().as_ref()))
}
