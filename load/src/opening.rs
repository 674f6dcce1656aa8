//! A connection from its dialling to the open namespace, directly or by an upgrade from polling.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message};
use bytes::BytesMut;
use hyper::Method;
use nix::sys::socket::{
    setsockopt,
    sockopt::{IpBindAddressNoPort, RcvBuf, TcpMaxSeg},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    cli::Transport,
    failure::Failure,
    rest::{Answer, Rest},
    socket::Seat,
    wire::{self, Packet},
    world::World,
};

/// Largest frame of a server, in bytes.
const FRAME_BYTES: usize = 4 << 20;
/// Receive buffer and segments of a narrow connection, in bytes: the kernel then keeps little for it on the server's side,
/// too.
const NARROW: (usize, u32) = (4096, 536);
/// How long it may take to read to the end of what the server has sent, of a refusal as well.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How much a connection takes before anybody reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// As the kernel likes.
    Usual,
    /// As little as it allows, for a client that will not read.
    Narrow,
}

/// A connection whose namespace is not open yet.
pub(crate) struct Opening {
    pub(crate) stream: TcpStream,
    pub(crate) codec: Codec,
    /// What came already.
    pub(crate) buffer: BytesMut,
    /// How long the server may be silent.
    pub(crate) ping_limit: Duration,
}

impl Opening {
    /// Connects, up to the open namespace.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub(crate) async fn connected(world: &World, seat: Seat, width: Width) -> Result<Self, Failure> {
        let mut opening = Self::connect(world, seat.source, width).await?;
        opening.send(&wire::connect(&world.users[seat.user].token)).await?;
        opening.expect("CONNECT", |packet| matches!(packet, Packet::Connected).then_some(())).await?;
        Ok(opening)
    }

    async fn connect(world: &World, source: Option<Ipv4Addr>, width: Width) -> Result<Self, Failure> {
        if world.transport == Transport::Websocket {
            let mut opening = Self::upgrade(world, (source, width), None).await?;
            opening.ping_limit = opening.expect("the open packet", opened).await?.1;
            return Ok(opening);
        }
        let (sid, ping_limit) = polling_session(world).await?;
        let mut opening = Self::upgrade(world, (source, width), Some(&sid)).await?;
        opening.ping_limit = ping_limit;
        opening.send("2probe").await?;
        opening.expect("the probe's answer", |packet| matches!(packet, Packet::Probe).then_some(())).await?;
        opening.send("5").await?;
        Ok(opening)
    }

    async fn upgrade(
        world: &World,
        (source, width): (Option<Ipv4Addr>, Width),
        sid: Option<&str>,
    ) -> Result<Self, Failure> {
        let target = &world.target;
        let stream = dial(target.address, source, width).await;
        let stream = stream.map_err(|error| Failure::cannot_reach(&target.address, &error))?;
        let sid = sid.map_or_else(String::new, |sid| format!("&sid={sid}"));
        let host = &target.host;
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket{sid} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: Y2hhdC1sb2FkIGNsaWVudA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let codec = Codec::new().client_mode().max_size(FRAME_BYTES);
        let mut opening = Self { stream, codec, buffer: BytesMut::new(), ping_limit: Duration::ZERO };
        opening.stream.write_all(request.as_bytes()).await.map_err(broke)?;
        if sid.is_empty() {
            world.dialled_at.set(Instant::now());
        }
        let head = loop {
            opening.read().await?;
            if let Some(end) = opening.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break opening.buffer.split_to(end + 4);
            }
        };
        if head.starts_with(b"HTTP/1.1 101") {
            return Ok(opening);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default();
        Err(refuses("a WebSocket", status, &opening.body(&head).await))
    }

    /// What a refusal has to say besides its head.
    async fn body(&mut self, head: &str) -> String {
        let length = head.lines().filter_map(|line| line.split_once(':'));
        let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0);
        let all = async { while self.buffer.len() < length && self.read().await.is_ok() {} };
        // The status alone tells enough.
        let _ = timeout(CLOSED_WITHIN, all).await;
        String::from_utf8_lossy(&self.buffer[..length.min(self.buffer.len())]).into_owned()
    }

    /// Joins a conversation, up to the answer; what comes before it is passed over.
    ///
    /// # Errors
    /// The server refuses, or goes away.
    pub(crate) async fn join(&mut self, conversation: &str) -> Result<(), Failure> {
        self.send(&wire::conversation_event("join_conversation", conversation, Some(0))).await?;
        loop {
            match self.codec.decode(&mut self.buffer).map_err(broke)? {
                Some(Frame::Text(text)) => match Packet::parse(&String::from_utf8_lossy(&text)) {
                    Ok(Packet::Ack(0, ack)) if ack.success => return Ok(()),
                    Ok(Packet::Ack(0, ack)) => {
                        return Err(Failure::new(format!("a join was refused: {}", ack.message.unwrap_or_default())));
                    }
                    _ => (),
                },
                Some(_) => (),
                None => self.read().await?,
            }
        }
    }

    /// Whether the server has closed it, behind what it had to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let to_the_end = async {
            while self.read().await.is_ok() {
                self.buffer.clear();
            }
        };
        timeout(CLOSED_WITHIN, to_the_end).await.is_ok()
    }

    async fn read(&mut self) -> Result<(), Failure> {
        self.buffer.reserve(512);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Failure::new("the server closed a connection while it was being opened")),
            Ok(_) => Ok(()),
            Err(error) => Err(broke(error)),
        }
    }

    async fn send(&mut self, packet: &str) -> Result<(), Failure> {
        let mut frame = BytesMut::new();
        let encoded = self.codec.encode(Message::Text(packet.into()), &mut frame);
        encoded.expect("only fragments can come at the wrong moment");
        self.stream.write_all(&frame).await.map_err(broke)
    }

    /// Reads one packet, which must be the one that is due: what `found` finds in it.
    async fn expect<T>(&mut self, what: &str, found: impl Fn(&Packet<'_>) -> Option<T>) -> Result<T, Failure> {
        loop {
            match self.codec.decode(&mut self.buffer).map_err(broke)? {
                Some(Frame::Text(text)) => {
                    let text = String::from_utf8_lossy(&text);
                    let packet = Packet::parse(&text).map_err(|error| Failure::new(error.to_string()))?;
                    if let Some(found) = found(&packet) {
                        return Ok(found);
                    }
                    return match packet {
                        Packet::Noop => continue,
                        // Some servers ask at once.
                        Packet::Ping => {
                            self.send("3").await?;
                            continue;
                        }
                        _ => {
                            Err(Failure::new(format!("the server refuses a connection: instead of {what} came {text}")))
                        }
                    };
                }
                Some(frame) => return Err(Failure::new(format!("instead of {what} came {frame:?}"))),
                None => self.read().await?,
            }
        }
    }
}

fn broke(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("a connection broke while it was being opened: {error}"))
}

async fn dial(address: SocketAddr, source: Option<Ipv4Addr>, width: Width) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        // The port is chosen by connect, which knows the other end; bind alone would search long when many are taken.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(source.into(), 0))?;
    }
    if width == Width::Narrow {
        // Window and segments are agreed when it connects.
        setsockopt(&socket, RcvBuf, &NARROW.0)?;
        setsockopt(&socket, TcpMaxSeg, &NARROW.1)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The session's id and its limit between two pings, if that is what a packet says.
fn opened(packet: &Packet<'_>) -> Option<(String, Duration)> {
    match packet {
        Packet::Open(handshake) => Some((handshake.sid.to_string(), handshake.ping_limit())),
        _ => None,
    }
}

/// Opens a session by polling.
async fn polling_session(world: &World) -> Result<(String, Duration), Failure> {
    let mut rest = Rest::connect(&world.target).await?;
    world.dialled_at.set(Instant::now());
    let path = "/socket.io/?EIO=4&transport=polling";
    let Answer { status, body, .. } = rest.call(Method::GET, path, "", None).await?;
    let body = String::from_utf8_lossy(&body);
    let session = Packet::parse(&body).ok().as_ref().and_then(opened);
    session.ok_or_else(|| refuses("polling", status.as_str(), &body))
}

/// A handshake that was refused: in the server's words, and what may be the reason.
fn refuses(what: &str, status: &str, body: &str) -> Failure {
    let full = match status {
        "429" | "503" => "; its CONNECTIONS or CONNECTIONS_PER_ADDRESS may be the limit",
        _ => "",
    };
    Failure::new(format!("the server refuses {what}: {status} {}{full}", body.trim()))
}
