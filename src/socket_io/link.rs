//! Connections over WebSocket, from the beginning or taken over from polling: an Engine.IO session (protocol 4) of ours on
//! the raw stream.
//!
//! One task a connection does everything: it reads, asks for heartbeats and sends what is queued in its `Frames`. An idle
//! connection has no buffer: what is read goes into a buffer of the worker's, and only a frame that has not come whole is
//! kept. The gate stops the reading; a frame has [`MAX_PAYLOAD`] bytes at most. The task ends with the connection, which it
//! takes out of the directory.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_http::ws::{CloseCode, Message, ProtocolError};
use actors::{CloseReason, Durability};
use bytes::{Buf, Bytes, BytesMut};
use engineioxide::socket::Sid;
use tokio::{io::AsyncWrite, net::TcpStream};
use tokio_util::io::poll_read_buf;

use crate::http::{door, places::Place};

use super::{
    FRAMES_A_TURN, Handler, MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT,
    clock::{Clock, PING_AFTER_POLLING, Phase},
    connection::Connection,
    frames::{control, framed},
    incoming::Incoming,
    wire::Wire,
};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// The same for a connection whose last frame has not come whole.
const PARTIAL_BYTES: usize = 4 * 1024;
/// Frames in one write; the kernel's limit is 1024.
const WRITE_FRAMES: usize = 64;
/// Places that an empty queue keeps.
const QUEUE_KEPT: usize = 16;

thread_local! {
    /// What the connections of this worker read into.
    static READ_BUFFER: Cell<BytesMut> = Cell::default();
}

/// Runs a connection that opens with WebSocket to its end. `ahead` is what the client sent behind its request.
pub(super) async fn run(stream: (TcpStream, Place), ahead: BytesMut, place: Place, handler: Arc<Handler>) {
    let sid = Sid::new();
    let connection = Connection::open(None, Wire::SocketIo, &handler);
    connection.has(place);
    handler.connections.insert(sid, connection.clone());
    let listed = Listed::new(sid, connection, handler);
    let link = Link::new(stream, ahead, &listed, PING_INTERVAL);
    link.send(framed(b'0', &[&open_packet(sid)]));
    drive(link, listed).await;
}

/// Runs a connection that has polled before to its end. `first` is what goes before all that is queued in its frames.
pub(super) async fn go_on(stream: (TcpStream, Place), ahead: BytesMut, first: VecDeque<Bytes>, listed: Listed) {
    let mut link = Link::new(stream, ahead, &listed, PING_AFTER_POLLING);
    link.writing = first;
    drive(link, listed).await;
}

async fn drive(mut link: Link, mut listed: Listed) {
    let reason = poll_fn(|cx| link.poll(cx)).await;
    listed.reason = Some(reason);
    // Nothing more is queued for it while it waits.
    link.connection.close(reason);
    if !link.handler.chat.is_stopping() {
        door::leave().await;
    }
}

fn open_packet(sid: Sid) -> String {
    let (interval, timeout) = (PING_INTERVAL.as_millis(), PING_TIMEOUT.as_millis());
    format!(
        r#"{{"sid":"{sid}","upgrades":[],"pingInterval":{interval},"pingTimeout":{timeout},"maxPayload":{MAX_PAYLOAD}}}"#
    )
}

/// A connection's place in the directory; it goes with the task, however that ends.
pub(super) struct Listed {
    sid: Sid,
    connection: Arc<Connection>,
    handler: Arc<Handler>,
    reason: Option<CloseReason>,
}

impl Listed {
    /// For a connection that is in the directory.
    pub(super) fn new(sid: Sid, connection: Arc<Connection>, handler: Arc<Handler>) -> Self {
        Self { sid, connection, handler, reason: None }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.handler.connections.remove(&self.sid);
        self.connection.ended(self.reason.unwrap_or(CloseReason::TransportLost));
    }
}

/// Why no further frame is handled now.
enum Decoded {
    /// More has to be read.
    All,
    /// Too much is unanswered or unsent.
    GateClosed,
    /// Others of the worker are to have theirs.
    TurnOver,
}

/// What a client says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saying {
    /// Frames.
    Frames,
    /// What is no frame, or follows one that is none: read and thrown away, so that it gets what was sent before.
    Rubbish,
    /// Nothing more, after its close frame.
    Nothing,
}

/// A stream and what it takes to speak Engine.IO over it.
struct Link {
    stream: TcpStream,
    /// Among the TCP connections that there may be.
    _tcp: Place,
    connection: Arc<Connection>,
    handler: Arc<Handler>,
    incoming: Incoming,
    /// The beginning of a frame, or what came ahead.
    partial: BytesMut,
    /// Frames being written.
    writing: VecDeque<Bytes>,
    clock: Clock,
    saying: Saying,
    /// The close frame is queued.
    is_ending: bool,
}

impl Link {
    fn new((stream, tcp): (TcpStream, Place), ahead: BytesMut, listed: &Listed, first_ping: Duration) -> Self {
        Self {
            stream,
            _tcp: tcp,
            connection: listed.connection.clone(),
            handler: listed.handler.clone(),
            incoming: Incoming::default(),
            partial: ahead,
            writing: VecDeque::new(),
            clock: Clock::new(first_ping),
            saying: Saying::Frames,
            is_ending: false,
        }
    }

    /// Queues what the transport itself has to say; dropped where so much waits that nobody would hear it in time.
    fn send(&self, frame: Bytes) {
        if self.connection.gate.queue(frame.len(), Durability::Durable) {
            self.connection.frames.send(frame);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.connection.frames.wakes(cx.waker());
        while let Poll::Ready(phase) = self.clock.poll(cx) {
            match phase {
                Phase::Quiet => {
                    self.send(framed(b'2', &[]));
                    self.clock.enter(Phase::Asked);
                }
                Phase::Asked => return Poll::Ready(CloseReason::HeartbeatTimeout),
                Phase::Closing => return Poll::Ready(CloseReason::TransportLost),
            }
        }
        if let Poll::Ready(Err(_)) = self.poll_read(cx) {
            return Poll::Ready(CloseReason::TransportLost);
        }
        if self.connection.is_closing() && self.clock.phase != Phase::Closing {
            self.clock.enter(Phase::Closing);
            self.connection.end_session();
            // Registers the new time.
            cx.waker().wake_by_ref();
        }
        match self.poll_write(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(CloseReason::TransportLost),
            // Where both have closed, the server ends the connection (RFC 6455, section 7.1.1): some clients wait for it.
            _ if self.is_ending && self.writing.is_empty() && self.saying == Saying::Nothing => {
                Poll::Ready(CloseReason::ClientLeft)
            }
            _ => Poll::Pending,
        }
    }

    /// Reads and handles what there is. Ready when the stream has failed or ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_shared = self.partial.is_empty();
        let mut buffer = if is_shared { READ_BUFFER.take() } else { std::mem::take(&mut self.partial) };
        let read = self.poll_read_into(&mut buffer, if is_shared { READ_BYTES } else { PARTIAL_BYTES }, cx);
        if is_shared {
            self.partial = BytesMut::from(&*buffer);
            buffer.clear();
            READ_BUFFER.set(buffer);
        } else if !buffer.is_empty() {
            self.partial = buffer;
        }
        read
    }

    fn poll_read_into(&mut self, buffer: &mut BytesMut, room: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut turn = FRAMES_A_TURN;
        loop {
            ready!(self.incoming.poll_open(&self.connection, cx));
            match self.decode(buffer, &mut turn) {
                Decoded::All => {
                    buffer.reserve(room);
                    if ready!(poll_read_buf(Pin::new(&mut self.stream), cx, buffer))? == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Decoded::GateClosed => (),
                Decoded::TurnOver => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Handles the frames that are there, `turn` of them at most.
    fn decode(&mut self, buffer: &mut BytesMut, turn: &mut usize) -> Decoded {
        while self.saying == Saying::Frames {
            let is_closing = self.connection.is_closing();
            if !is_closing && !self.connection.gate.is_open() {
                return Decoded::GateClosed;
            }
            if *turn == 0 {
                return Decoded::TurnOver;
            }
            *turn -= 1;
            match self.incoming.next(buffer) {
                Ok(Some(Message::Close(_))) => {
                    self.saying = Saying::Nothing;
                    self.connection.close(CloseReason::ClientLeft);
                }
                Ok(Some(message)) if !is_closing => self.handle(message),
                Ok(Some(_)) => (),
                Ok(None) => return Decoded::All,
                Err(error) => {
                    self.saying = Saying::Rubbish;
                    let is_too_large = matches!(error, ProtocolError::Overflow);
                    self.connection.close(if is_too_large { CloseReason::TooLarge } else { CloseReason::BrokenPacket });
                }
            }
        }
        buffer.clear();
        Decoded::All
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Text(packet) => self.text(&packet),
            Message::Binary(_) => self.connection.received_binary(),
            Message::Ping(payload) => self.send(control(Message::Pong(payload))),
            // A close frame is none of those that are handled.
            Message::Pong(_) | Message::Continuation(_) | Message::Nop | Message::Close(_) => (),
        }
    }

    /// An Engine.IO packet.
    fn text(&mut self, packet: &str) {
        match packet.as_bytes().first() {
            Some(b'4') => self.connection.received(&packet[1..], &self.handler),
            // An answer that nobody asked for does no harm.
            Some(b'2' | b'3') if self.clock.phase == Phase::Asked => self.clock.enter(Phase::Quiet),
            Some(b'2' | b'3') => (),
            // Means nothing; some clients send it after an upgrade.
            Some(b'6') => (),
            Some(b'1') => self.connection.close(CloseReason::ClientLeft),
            _ => self.connection.close(CloseReason::BrokenPacket),
        }
    }

    /// Writes what is queued and, when the connection is closed, that it is.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writing.is_empty() {
                let mut queued = std::mem::take(&mut self.writing);
                let ended = self.connection.frames.take(&mut queued);
                self.writing = queued;
                if ended && !self.is_ending {
                    self.is_ending = true;
                    self.writing.push_back(control(Message::Close(Some(CloseCode::Normal.into()))));
                }
            }
            if self.writing.is_empty() {
                self.writing.shrink_to(QUEUE_KEPT);
                return if self.is_ending { Pin::new(&mut self.stream).poll_shutdown(cx) } else { Poll::Ready(Ok(())) };
            }
            let stream = Pin::new(&mut self.stream);
            let written = match self.writing.make_contiguous() {
                // The system call for one buffer costs a tenth less.
                [only] => stream.poll_write(cx, only),
                frames => {
                    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
                    let count = frames.len().min(WRITE_FRAMES);
                    for (slice, frame) in slices.iter_mut().zip(frames) {
                        *slice = IoSlice::new(frame);
                    }
                    stream.poll_write_vectored(cx, &slices[..count])
                }
            };
            let written = ready!(written)?;
            self.written(written);
        }
    }

    /// So many bytes are with the kernel.
    fn written(&mut self, mut bytes: usize) {
        let (mut packets, all) = (0, bytes);
        while let Some(frame) = self.writing.front_mut() {
            if bytes < frame.len() {
                frame.advance(bytes);
                break;
            }
            bytes -= frame.len();
            self.writing.pop_front();
            packets += 1;
        }
        self.connection.gate.sent(packets, all);
    }
}
