//! WebSocket: what the upgrade hook does with a request for Engine.IO.

use std::sync::Arc;

use actix_codec::Framed;
use actix_http::{Request, Response, body::BodySize, h1, ws};
use actix_web::{Error, http::StatusCode};
use actors::CloseReason;
use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use tokio::net::TcpStream;

use crate::http::App;

use super::{
    Handshake, HandshakeError,
    connection::Connection,
    link,
    stream::{Cut, EngineStream},
};

/// Checks the request, answers 101 and hands the stream on, with what the client sent behind its request.
pub(crate) async fn accept(
    app: &App,
    request: &Request,
    mut framed: Framed<TcpStream, h1::Codec>,
) -> Result<(), Error> {
    let handshake = match admit(app, request) {
        Ok(handshake) => handshake,
        Err(error) => return refuse(framed, error).await,
    };
    let answer = match ws::handshake(request.head()) {
        Ok(mut answer) => answer.message_body(()).map_err(Error::from)?,
        Err(_) => return refuse(framed, HandshakeError::BadRequest).await,
    };
    framed.send((answer, BodySize::None).into()).await?;
    let parts = framed.into_parts();
    let ahead = parts.read_buf.freeze();
    match handshake.sid.and_then(|sid| app.socket_io.connections.get(&sid).map(|known| known.clone())) {
        Some(connection) => take_over(app, request, connection, parts.io, ahead)?,
        None => drop(actix_web::rt::spawn(link::run(parts.io, ahead, app.socket_io.handler.clone()))),
    }
    Ok(())
}

/// Hands the stream to engineioxide, whose polling session goes on over it.
fn take_over(
    app: &App,
    request: &Request,
    connection: Arc<Connection>,
    stream: TcpStream,
    ahead: Bytes,
) -> Result<(), Error> {
    let Some(socket) = connection.engine() else { return Ok(()) };
    let cut = Arc::new(Cut::default());
    socket.upgrades_on(cut.clone());
    let gate = connection.gate.clone();
    // engineioxide 0.17 forgets a session whose upgrade breaks off: it polls for ever and gets nothing.
    let stream = EngineStream::new(stream, ahead, gate, cut, move || {
        if connection.is_polling() {
            connection.close(CloseReason::UpgradeDropped);
        }
    });
    let forwarded = http::Request::get(request.uri().to_string()).body(());
    let forwarded = forwarded.map_err(actix_web::error::ErrorBadRequest)?;
    if let Err(error) = hyper::service::Service::call(&app.socket_io.service, (stream, forwarded)).into_inner() {
        // It was checked above; the stream is gone, and with it the client.
        tracing::warn!(%error, "engineioxide refused a request that was checked");
    }
    Ok(())
}

fn admit(app: &App, request: &Request) -> Result<Handshake, HandshakeError> {
    if !app.origins.admit(request.head().headers()) {
        return Err(HandshakeError::Forbidden);
    }
    let handshake = Handshake::parse(request.uri().query().unwrap_or_default())?;
    if !handshake.websocket {
        return Err(HandshakeError::BadRequest);
    }
    match handshake.sid {
        Some(sid) => match app.socket_io.connections.get(&sid) {
            Some(connection) if connection.is_polling() => Ok(handshake),
            Some(_) => Err(HandshakeError::BadRequest),
            None => Err(HandshakeError::UnknownSession),
        },
        None if app.chat.is_stopping() => Err(HandshakeError::Stopping),
        None => Ok(handshake),
    }
}

async fn refuse(mut framed: Framed<TcpStream, h1::Codec>, error: HandshakeError) -> Result<(), Error> {
    let body = Bytes::from(error.body());
    let mut answer = Response::with_body(error.parts().0, ());
    answer.headers_mut().insert(
        actix_web::http::header::CONTENT_TYPE,
        actix_web::http::header::HeaderValue::from_static("application/json"),
    );
    answer.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    debug_assert_ne!(error.parts().0, StatusCode::SWITCHING_PROTOCOLS);
    framed.send((answer, BodySize::Sized(body.len() as u64)).into()).await?;
    framed.send(h1::Message::Chunk(Some(body))).await?;
    framed.send(h1::Message::Chunk(None)).await?;
    Ok(())
}

/// A request's head as it came, and what came behind it.
pub(crate) fn encode_head(request: &Request, behind: &[u8]) -> Bytes {
    let mut head = BytesMut::with_capacity(1024 + behind.len());
    head.put_slice(format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).as_bytes());
    for (name, value) in request.head().headers() {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.put_slice(behind);
    head.freeze()
}
