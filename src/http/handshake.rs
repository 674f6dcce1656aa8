//! The handshake of plain WebSockets (RFC 6455, section 4.2): who is let in, and with which token.

use actix_web::{HttpRequest, HttpResponseBuilder, http::header::AUTHORIZATION};
use actix_web_actors::ws;
use actors::{Code, Refusal};

use crate::auth::Caller;

use super::{ApiError, App, caller::caller};

/// The answer to go on with, and the caller where the handshake has a token; where it has none, one has to come later.
///
/// # Errors
/// No handshake, another origin than those that may, or a token that does not hold.
pub(crate) fn accept(app: &App, request: &HttpRequest) -> Result<(HttpResponseBuilder, Option<Caller>), ApiError> {
    let answer = answer(request)?;
    if !app.origins.admit(request.headers()) {
        return Err(Refusal::new(Code::Forbidden, "This origin may not connect").into());
    }
    let has_token = request.headers().contains_key(AUTHORIZATION);
    let caller = has_token.then(|| caller(request)).transpose()?;
    Ok((answer, caller))
}

/// The answer alone.
///
/// # Errors
/// No handshake.
pub(super) fn answer(request: &HttpRequest) -> Result<HttpResponseBuilder, ApiError> {
    ws::handshake(request).map_err(|_| Refusal::invalid("This route wants a WebSocket handshake").into())
}
