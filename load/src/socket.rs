//! A Socket.IO client over WebSocket, as lean as it can be: thousands of them share one thread with what they measure.
//!
//! What is sent is collected and written at once; what is read goes into a buffer that all connections share.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    net::Ipv4Addr,
    os::fd::AsRawFd,
    pin::Pin,
    rc::Rc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message};
use bytes::{Buf, BytesMut};
use nix::sys::socket::{Shutdown, shutdown};
use tokio::{
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::timeout,
};
use tokio_util::io::poll_read_buf;

use crate::{
    conversation::{Room, SocketNumber},
    failure::Failure,
    opening::{Opening, Width},
    stamp::{Stamp, UserNumber},
    wire::{self, Packet},
    world::World,
};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// How long a connection may take until its namespace is open, a crowd before it included.
const OPENING_LIMIT: Duration = Duration::from_secs(60);

thread_local! {
    static READ_BUFFER: Cell<BytesMut> = Cell::default();
}

/// What an acknowledgement is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Join,
    Send(Stamp),
    Typing,
}

/// What is known of a join.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Join {
    /// It was not asked for, or is not answered yet.
    Open,
    Done,
    Refused,
}

/// A connection whose namespace is open.
pub(crate) struct Socket {
    pub(crate) number: SocketNumber,
    pub(crate) user: UserNumber,
    pub(crate) room: Room,
    writer: OwnedWriteHalf,
    codec: RefCell<Codec>,
    out: RefCell<BytesMut>,
    /// Somebody waits until the kernel takes more.
    is_stuck: Cell<bool>,
    asked: RefCell<VecDeque<(u64, Asked, Instant)>>,
    next_ack: Cell<u64>,
    pub(crate) join: Cell<Join>,
    /// Its end is no surprise.
    is_leaving: Cell<bool>,
    is_over: Cell<bool>,
    /// The server pings at least this often.
    ping_limit: Duration,
    /// When it was opened, or last pinged.
    pinged_at: Cell<Instant>,
}

impl Socket {
    /// Sends a packet with the next [`Socket::flush`].
    pub(crate) fn queue(&self, packet: String) {
        let encoded = self.codec.borrow_mut().encode(Message::Text(packet.into()), &mut self.out.borrow_mut());
        encoded.expect("only fragments can come at the wrong moment");
    }

    /// The number of the next acknowledgement, which is waited for from now on.
    pub(crate) fn ask(&self, what: Asked, since: Instant) -> u64 {
        let ack = self.next_ack.replace(self.next_ack.get() + 1);
        self.asked.borrow_mut().push_back((ack, what, since));
        ack
    }

    /// Who asked what, when: once.
    pub(crate) fn answered(&self, ack: u64) -> Option<(Asked, Instant)> {
        let mut asked = self.asked.borrow_mut();
        let place = asked.iter().position(|(other, ..)| *other == ack)?;
        asked.remove(place).map(|(_, what, since)| (what, since))
    }

    /// Writes what is queued, now or as soon as the kernel takes it.
    pub(crate) fn flush(self: &Rc<Self>) {
        if self.is_stuck.get() || self.try_flush() {
            return;
        }
        self.is_stuck.set(true);
        let socket = self.clone();
        tokio::task::spawn_local(async move {
            while socket.writer.writable().await.is_ok() && !socket.try_flush() {}
            socket.is_stuck.set(false);
        });
    }

    /// Whether all is written, or never will be.
    fn try_flush(&self) -> bool {
        let mut out = self.out.borrow_mut();
        while !out.is_empty() {
            match self.writer.try_write(&out) {
                Ok(written) => out.advance(written),
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
        *out = BytesMut::new();
        true
    }

    /// Ends it on purpose, as a network would: without a word.
    pub(crate) fn cut(&self) {
        self.is_leaving.set(true);
        // Closed or not, the reader sees the end of it.
        let _ = shutdown(self.writer.as_ref().as_raw_fd(), Shutdown::Both);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    /// Whether its connection is gone: nothing can be sent any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Since when each answer is waited for that has not come.
    pub(crate) fn unanswered(&self) -> Vec<Instant> {
        self.asked.borrow().iter().map(|(.., since)| *since).collect()
    }

    /// A ping came. How long there was none before, if that was too long.
    pub(crate) fn pinged(&self) -> Option<Duration> {
        let late = self.without_ping();
        self.pinged_at.set(Instant::now());
        late
    }

    /// How long there has been no ping, if that is too long.
    pub(crate) fn without_ping(&self) -> Option<Duration> {
        Some(self.pinged_at.get().elapsed()).filter(|silent| !self.ping_limit.is_zero() && *silent > self.ping_limit)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) user: UserNumber,
    pub(crate) room: Room,
    /// Whether it joins the room.
    pub(crate) joins: bool,
    /// The address to call from.
    pub(crate) source: Option<Ipv4Addr>,
}

/// Connects, opens the namespace and, if asked to, joins; from then on the connection runs by itself.
///
/// # Errors
/// The server is not there, or refuses.
pub(crate) async fn connect(world: &Rc<World>, seat: Seat) -> Result<Rc<Socket>, Failure> {
    let begun = Instant::now();
    let number = world.next_socket();
    let opening = timeout(OPENING_LIMIT, Opening::connected(world, seat, Width::Usual)).await;
    let opening = opening.map_err(|_| {
        Failure::new(format!("a connection was not open after {} s: the server hangs", OPENING_LIMIT.as_secs()))
    })??;
    world.meter.borrow_mut().record("connect", begun);
    let (reader, writer) = opening.stream.into_split();
    let socket = Rc::new(Socket {
        number,
        user: seat.user,
        room: seat.room,
        writer,
        codec: RefCell::new(opening.codec.clone()),
        out: RefCell::default(),
        is_stuck: Cell::new(false),
        asked: RefCell::default(),
        next_ack: Cell::new(0),
        join: Cell::new(Join::Open),
        is_leaving: Cell::new(false),
        is_over: Cell::new(false),
        ping_limit: opening.ping_limit,
        pinged_at: Cell::new(Instant::now()),
    });
    world.ledger.borrow_mut().listens(seat.room, seat.user, number, seat.joins);
    tokio::task::spawn_local(read(world.clone(), socket.clone(), reader, opening.codec, opening.buffer));
    if seat.joins {
        let ack = socket.ask(Asked::Join, Instant::now());
        let conversation = world.ledger.borrow().conversation_id(seat.room).to_owned();
        socket.queue(wire::conversation_event("join_conversation", &conversation, Some(ack)));
        socket.flush();
    }
    Ok(socket)
}

/// Reads a connection to its end.
async fn read(world: Rc<World>, socket: Rc<Socket>, mut reader: OwnedReadHalf, mut codec: Codec, ahead: BytesMut) {
    let mut partial = ahead;
    let end = poll_fn(|cx| {
        loop {
            let mut buffer = if partial.is_empty() { READ_BUFFER.take() } else { std::mem::take(&mut partial) };
            let decoded = handle_all(&world, &socket, &mut codec, &mut buffer);
            buffer.reserve(READ_BYTES);
            let read = poll_read_buf(Pin::new(&mut reader), cx, &mut buffer);
            let decoded = decoded.and_then(|()| match read {
                Poll::Ready(Ok(1..)) => handle_all(&world, &socket, &mut codec, &mut buffer),
                _ => Ok(()),
            });
            socket.flush();
            partial = BytesMut::from(&*buffer);
            buffer.clear();
            READ_BUFFER.set(buffer);
            if let Err(why) = decoded {
                return Poll::Ready(why);
            }
            match ready!(read) {
                Ok(0) => return Poll::Ready("the server closed it".to_owned()),
                Ok(_) => (),
                Err(error) => return Poll::Ready(error.to_string()),
            }
        }
    })
    .await;
    socket.is_over.set(true);
    world.ended(&socket, &end);
}

fn handle_all(world: &Rc<World>, socket: &Rc<Socket>, codec: &mut Codec, buffer: &mut BytesMut) -> Result<(), String> {
    while let Some(frame) = codec.decode(buffer).map_err(|error| error.to_string())? {
        match frame {
            Frame::Text(text) => {
                let text = std::str::from_utf8(&text).map_err(|error| error.to_string())?;
                let packet = Packet::parse(text).map_err(|error| error.to_string())?;
                world.received(socket, packet);
            }
            Frame::Close(reason) => return Err(format!("the server closed it: {reason:?}")),
            _ => (),
        }
    }
    Ok(())
}
