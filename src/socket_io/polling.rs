//! Long polling: actix-web's requests to engineioxide and its answers back.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use actors::CloseReason;
use bytes::{Bytes, BytesMut};
use engineioxide::socket::Sid;
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;

use crate::http::{App, BODY_TIMEOUT, places::Place};

use super::{
    Admitted, Handshake, HandshakeError, MAX_PAYLOAD, POLLING_SLICE, POLLING_SLICE_BYTES, SocketIo,
    connection::Connection,
};

/// Between the packets of a payload; inside one JSON escapes it.
const SEPARATOR: u8 = 0x1e;
/// Engine.IO's packet that means nothing: ends a poll.
const NOOP: &[u8] = b"6";

/// A handshake, or a poll for packets.
pub(super) async fn get(app: Data<App>, request: HttpRequest) -> HttpResponse {
    match admit(&app, &request) {
        Ok(Admitted::New(place)) => open(&app, &request, place).await,
        Ok(Admitted::Known(_, connection)) => {
            let Some(polling) = connection.polls() else { return HandshakeError::BadRequest.response() };
            let answer = polling.poll(call(&app, &request, Bytes::new())).await;
            let Some(answer) = answer else { return text(Bytes::from_static(NOOP)) };
            connection.gate.sent(answer.body.split(|byte| *byte == SEPARATOR).count(), answer.body.len());
            answer.into_response()
        }
        Err(error) => error.response(),
    }
}

/// Packets from the client, in slices: each is handled before the next, as fast as the connection's gate allows.
pub(super) async fn post(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let (sid, connection) = match admit(&app, &request) {
        Ok(Admitted::Known(sid, connection)) => (sid, connection),
        Ok(Admitted::New(_)) => return HandshakeError::BadMethod.response(),
        Err(error) => return error.response(),
    };
    let body = match timeout(BODY_TIMEOUT, collect(payload)).await {
        Ok(Ok(body)) => body,
        Ok(Err(status)) => {
            let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
            close_if_polling(&connection, if too_large { CloseReason::TooLarge } else { CloseReason::TransportLost });
            return HttpResponse::build(status).finish();
        }
        Err(_) => {
            close_if_polling(&connection, CloseReason::TransportLost);
            return HttpResponse::build(StatusCode::REQUEST_TIMEOUT).finish();
        }
    };
    if connection.polls().is_none() {
        return HandshakeError::BadRequest.response();
    }
    for slice in slices(&body, POLLING_SLICE, POLLING_SLICE_BYTES) {
        connection.gate.clone().opened().await;
        let answer = call(&app, &request, slice).await;
        if answer.status != StatusCode::OK {
            tracing::debug!(%sid, status = %answer.status, "a payload was refused");
            close_if_polling(&connection, CloseReason::BrokenPacket);
            return answer.into_response();
        }
        if connection.is_closing() {
            return HandshakeError::UnknownSession.response();
        }
        // A payload has hundreds of slices, and others are to have their turn between them.
        tokio::task::yield_now().await;
    }
    text(Bytes::from_static(b"ok"))
}

/// A fault of a request is none of the WebSocket that has taken over meanwhile.
fn close_if_polling(connection: &Arc<Connection>, reason: CloseReason) {
    if connection.polls().is_some() {
        connection.close(reason);
    }
}

fn text(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=UTF-8").body(body)
}

/// The connection that a request is for, or a new one for a handshake.
fn admit(app: &App, request: &HttpRequest) -> Result<Admitted, HandshakeError> {
    if !app.origins.admit(request.headers()) {
        return Err(HandshakeError::Forbidden);
    }
    let handshake = Handshake::parse(request.query_string())?;
    if handshake.websocket {
        return Err(HandshakeError::BadRequest);
    }
    let Some(sid) = handshake.sid else {
        if app.chat.is_draining() {
            return Err(HandshakeError::Stopping);
        }
        let place = app.place(request.peer_addr(), request.headers());
        return place.map(Admitted::New).map_err(HandshakeError::TooMany);
    };
    let connection = app.socket_io.connections.get(&sid).ok_or(HandshakeError::UnknownSession)?;
    Ok(Admitted::Known(sid, connection.clone()))
}

/// Opens a session. engineioxide's first ping comes at once instead of after a `pingInterval`: it is fetched and
/// answered here, before the client knows the session.
async fn open(app: &App, request: &HttpRequest, place: Place) -> HttpResponse {
    let answer = call(app, request, Bytes::new()).await;
    if let Some(sid) = answer.body.strip_prefix(b"0").and_then(session_of) {
        if let Some(connection) = sid.parse().ok().and_then(|sid: Sid| app.socket_io.connections.get(&sid)) {
            connection.has(place);
        }
        let uri = session_path(&sid);
        let ping = exchange(&app.socket_io, http::Request::get(&uri), Bytes::new()).await;
        if ping.body != "2" {
            tracing::warn!("engineioxide did not begin with a ping; is the work-around still needed?");
        }
        exchange(&app.socket_io, http::Request::post(&uri), Bytes::from_static(b"3")).await;
    }
    answer.into_response()
}

/// The packets of one poll of a session; `None` if it is not there.
pub(super) async fn packets(socket_io: &SocketIo, sid: Sid) -> Option<Vec<String>> {
    let answer = exchange(socket_io, http::Request::get(session_path(&sid.to_string())), Bytes::new()).await;
    if answer.status != StatusCode::OK {
        return None;
    }
    let packets = std::str::from_utf8(&answer.body).ok()?;
    Some(packets.split(char::from(SEPARATOR)).map(str::to_owned).collect())
}

fn session_path(sid: &str) -> String {
    format!("{}?EIO=4&transport=polling&sid={sid}", super::PATH)
}

fn session_of(open: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Open {
        sid: String,
    }
    serde_json::from_slice::<Open>(open).ok().map(|open| open.sid)
}

/// An answer of engineioxide.
struct Answer {
    status: StatusCode,
    content_type: Option<String>,
    body: Bytes,
}

impl Answer {
    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(content_type) = self.content_type {
            response.content_type(content_type);
        }
        response.body(self.body)
    }
}

async fn call(app: &App, request: &HttpRequest, body: Bytes) -> Answer {
    let mut forwarded = http::Request::builder().method(request.method().as_str()).uri(request.uri().to_string());
    if let Some(content_type) = request.headers().get("content-type") {
        forwarded = forwarded.header("content-type", content_type.as_bytes());
    }
    exchange(&app.socket_io, forwarded, body).await
}

async fn exchange(socket_io: &SocketIo, request: http::request::Builder, body: Bytes) -> Answer {
    let failed = Answer { status: StatusCode::BAD_REQUEST, content_type: None, body: Bytes::new() };
    let Ok(request) = request.body(Full::new(body)) else { return failed };
    let Ok(answer) = hyper::service::Service::call(&socket_io.service, request).await;
    let (parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await;
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer { status, content_type, body: body.to_bytes() }
}

async fn collect(mut payload: Payload) -> Result<Bytes, StatusCode> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if body.len() + chunk.len() > MAX_PAYLOAD {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The payload in pieces of so many packets or, if they are large, as many as have so many bytes; without a copy.
pub(super) fn slices(body: &Bytes, most_packets: usize, enough_bytes: usize) -> Vec<Bytes> {
    let mut slices = Vec::new();
    let (mut from, mut packets) = (0, 0);
    for (at, _) in body.iter().enumerate().filter(|(_, byte)| **byte == SEPARATOR) {
        packets += 1;
        if packets == most_packets || at - from >= enough_bytes {
            slices.push(body.slice(from..at));
            (from, packets) = (at + 1, 0);
        }
    }
    slices.push(body.slice(from..));
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_cut_between_packets_only() {
        let packets: Vec<String> = (0..POLLING_SLICE * 2 + 3).map(|number| format!("4{number}")).collect();
        let whole = Bytes::from(packets.join("\u{1e}"));
        let cut = slices(&whole, POLLING_SLICE, POLLING_SLICE_BYTES);
        assert_eq!(
            cut.iter().map(|slice| slice.split(|byte| *byte == SEPARATOR).count()).collect::<Vec<_>>(),
            [POLLING_SLICE, POLLING_SLICE, 3]
        );
        assert_eq!(cut.join(&SEPARATOR), whole);
        let large = Bytes::from([vec![b'x'; POLLING_SLICE_BYTES], b"4y".to_vec()].join(&SEPARATOR));
        assert_eq!(slices(&large, POLLING_SLICE, POLLING_SLICE_BYTES).last(), Some(&Bytes::from_static(b"4y")));
        assert_eq!(slices(&Bytes::from_static(b"2"), 1, 1), [Bytes::from_static(b"2")]);
    }
}
