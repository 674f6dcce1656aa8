//! WebSocket: what the upgrade hook does with a request for Engine.IO.

use std::{collections::VecDeque, sync::Arc};

use actix_codec::Framed;
use actix_http::{
    Request, Response,
    body::BodySize,
    h1,
    ws::{self, Codec, Frame, Message},
};
use actix_web::{Error, http::StatusCode, rt};
use actors::{CloseReason, Durability};
use bytes::{BufMut, Bytes, BytesMut};
use engineioxide::socket::Sid;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};

use crate::http::{App, patience::PatientStream, places::Place};

use super::{
    Admitted, Handshake, HandshakeError, MAX_PAYLOAD, SocketIo, UPGRADE_TIMEOUT,
    connection::Connection,
    engine::{Polling, RemainingSocket, Upgrading},
    frames::framed,
    link::{self, Listed},
    polling,
    stream::PrefixedStream,
};

/// Checks the request, answers 101 and hands the stream on, with what the client sent behind its request.
pub(crate) async fn accept(
    app: &App,
    request: &Request,
    mut framed: Framed<PatientStream, h1::Codec>,
) -> Result<(), Error> {
    let admitted = match admit(app, request) {
        Ok(admitted) => admitted,
        Err(error) => return refuse(framed, error).await,
    };
    let answer = match ws::handshake(request.head()) {
        Ok(mut answer) => answer.message_body(()).map_err(Error::from)?,
        Err(_) => return refuse(framed, HandshakeError::BadRequest).await,
    };
    framed.send((answer, BodySize::None).into()).await?;
    let parts = framed.into_parts();
    let (stream, tcp) = parts.io.into_inner();
    let tcp = tcp.without_address();
    match admitted {
        Admitted::Known(sid, connection) => {
            let socket_io = app.socket_io.clone();
            rt::spawn(take_over(socket_io, sid, connection, (stream, tcp), parts.read_buf));
        }
        Admitted::New(place) => {
            rt::spawn(link::run((stream, tcp), parts.read_buf, place, app.socket_io.handler.clone()));
        }
    }
    Ok(())
}

/// Engine.IO's upgrade: a probe, and then the WebSocket carries the session on. Where the probe breaks off, the client
/// polls on, as if nothing had been.
async fn take_over(
    socket_io: SocketIo,
    sid: Sid,
    connection: Arc<Connection>,
    (stream, tcp): (TcpStream, Place),
    ahead: BytesMut,
) {
    let Some(upgrading) = connection.polling.as_deref().and_then(Polling::upgrade) else { return };
    let stream = PrefixedStream::new(stream, ahead.freeze());
    let mut framed = Framed::new(stream, Codec::new().max_size(MAX_PAYLOAD));
    let probed = tokio::select! {
        probed = timeout(UPGRADE_TIMEOUT, probe(&mut framed, &upgrading)) => probed == Ok(Some(())),
        () = upgrading.session_ended() => false,
    };
    if !probed {
        tracing::debug!(%sid, "an upgrade broke off");
        return;
    }
    let Some((rest, polls)) = upgrading.take_over(&connection).await else { return };
    // It ends with this task from now on.
    let listed = Listed::new(sid, connection.clone(), socket_io.handler.clone());
    let first = match remaining(&socket_io, sid, &connection, &rest).await {
        Some(first) => first,
        None => {
            tracing::debug!(%sid, "a session ended at the moment of its upgrade");
            connection.close(CloseReason::TransportLost);
            VecDeque::new()
        }
    };
    drop((rest, polls));
    let parts = framed.into_parts();
    let (stream, unread) = parts.io.into_parts();
    let mut ahead = parts.read_buf;
    ahead.extend_from_slice(&unread);
    // A task of its own is smaller than this one, for as long as the connection lasts.
    rt::spawn(link::go_on((stream, tcp), ahead, first, listed));
}

/// The client's probe and its word that it polls no more; `None` if it says something else or leaves.
async fn probe(framed: &mut Framed<PrefixedStream<TcpStream>, Codec>, upgrading: &Upgrading<'_>) -> Option<()> {
    expect(framed, "2probe").await?;
    framed.send(Message::Text("3probe".into())).await.ok()?;
    upgrading.probed();
    expect(framed, "5").await
}

async fn expect(framed: &mut Framed<PrefixedStream<TcpStream>, Codec>, packet: &str) -> Option<()> {
    loop {
        match framed.next().await?.ok()? {
            Frame::Text(text) => return (text == packet).then_some(()),
            Frame::Ping(payload) => framed.send(Message::Pong(payload)).await.ok()?,
            Frame::Pong(_) => (),
            _ => return None,
        }
    }
}

/// What was queued for the next poll, as frames; `None` if the session is not there any more.
async fn remaining(
    socket_io: &SocketIo,
    sid: Sid,
    connection: &Arc<Connection>,
    rest: &RemainingSocket,
) -> Option<VecDeque<Bytes>> {
    let mut frames = VecDeque::new();
    if !rest.mark_the_end() {
        return None;
    }
    loop {
        for packet in polling::packets(socket_io, sid).await? {
            match packet.split_at_checked(1)? {
                ("4", "") => return Some(frames),
                (kind, rest) => {
                    let frame = framed(kind.as_bytes()[0], &[rest]);
                    // It is let in again whether there is room or not: only its frame is new, and a few bytes longer.
                    connection.gate.sent(1, rest.len());
                    connection.gate.queue(frame.len(), Durability::Durable);
                    frames.push_back(frame);
                }
            }
        }
    }
}

/// The polling connection that an upgrade is for, or a new one.
fn admit(app: &App, request: &Request) -> Result<Admitted, HandshakeError> {
    if !app.origins.admit(request.head().headers()) {
        return Err(HandshakeError::Forbidden);
    }
    let handshake = Handshake::parse(request.uri().query().unwrap_or_default())?;
    if !handshake.websocket {
        return Err(HandshakeError::BadRequest);
    }
    match handshake.sid {
        Some(sid) => match app.socket_io.connections.get(&sid) {
            Some(connection) if connection.polling.as_deref().is_some_and(Polling::may_upgrade) => {
                Ok(Admitted::Known(sid, connection.clone()))
            }
            Some(_) => Err(HandshakeError::BadRequest),
            None => Err(HandshakeError::UnknownSession),
        },
        None if app.chat.is_draining() => Err(HandshakeError::Stopping),
        None => {
            let place = app.place(request.head().peer_addr, request.head().headers());
            place.map(Admitted::New).map_err(HandshakeError::TooMany)
        }
    }
}

async fn refuse(mut framed: Framed<PatientStream, h1::Codec>, error: HandshakeError) -> Result<(), Error> {
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
    head.put_slice(format!("{} {} {:?}\r\n", request.method(), request.uri(), request.head().version).as_bytes());
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
