//! The handshake of plain WebSockets (RFC 6455, section 4.2): who is let in, and with which token.

use actix_web::{
    HttpRequest, HttpResponseBuilder,
    http::{
        Version,
        header::{
            AUTHORIZATION, CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
            UPGRADE,
        },
    },
};
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
    let answer = ws::handshake(request).ok().filter(|_| is_sound(request));
    answer.ok_or_else(|| Refusal::invalid("This route wants a WebSocket handshake of version 13").into())
}

/// The package lets through HTTP/1.0, versions of drafts, keys that are none, further protocols, and a body.
fn is_sound(request: &HttpRequest) -> bool {
    let value = |name| request.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    request.version() == Version::HTTP_11
        && value(UPGRADE).eq_ignore_ascii_case(b"websocket")
        && value(SEC_WEBSOCKET_VERSION) == b"13"
        // 16 bytes in Base64.
        && matches!(value(SEC_WEBSOCKET_KEY), [key @ .., b'=', b'='] if key.len() == 22)
        && value(TRANSFER_ENCODING).is_empty()
        && matches!(value(CONTENT_LENGTH), b"" | b"0")
}
