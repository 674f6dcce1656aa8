//! How long a connection may keep the server waiting where actix-http has no time for it: a request's head that is not the
//! first one, and an answer that its client does not read.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::places::Place;

/// How long after an answer the next head may be whole: actix-http's keep-alive ends with its first byte.
const NEXT_HEAD: Duration = Duration::from_secs(40);
/// How long a client may take to read an answer that the kernel has no room for.
const ANSWER: Duration = Duration::from_secs(60);
/// The same for what is sent over a plain WebSocket. While it is stuck, nothing else of the connection goes on: neither its
/// heartbeat, nor its end.
pub(crate) const STUCK: Duration = Duration::from_secs(10);

/// Whose turn it is on a connection; its stream and its requests share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Rc<Cell<Whose>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Whose {
    /// A request is being served; or none has come yet, for which actix-http has a time.
    #[default]
    Server,
    /// The answer is there, and not written yet.
    Answer,
    /// The next request is to come.
    Client,
    /// Everybody's: it is a plain WebSocket.
    Both,
}

/// Keeps a connection's turn: wraps all requests.
pub(super) async fn keep_turn(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let turn = request.request().conn_data::<Turn>().cloned().unwrap_or_default();
    turn.0.set(Whose::Server);
    let answer = next.call(request).await;
    let goes_on = answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SWITCHING_PROTOCOLS);
    turn.0.set(if goes_on { Whose::Both } else { Whose::Answer });
    answer
}

/// A connection that fails when its client takes too long.
#[derive(Debug)]
pub(crate) struct PatientStream {
    stream: TcpStream,
    /// Among the connections that there may be.
    place: Place,
    turn: Turn,
    next_head: Option<Pin<Box<Sleep>>>,
    answer: Option<Pin<Box<Sleep>>>,
}

impl PatientStream {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream, place, turn: Turn::default(), next_head: None, answer: None }
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// The next request has come, and those who serve it do not know of turns.
    pub(super) fn served(self) -> Self {
        self.turn.0.set(Whose::Server);
        self
    }

    /// For those who have times of their own; with its place, for as long as it is open.
    pub(crate) fn into_inner(self) -> (TcpStream, Place) {
        (self.stream, self.place)
    }

    fn poll_next_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.turn.0.get() != Whose::Client {
            self.next_head = None;
        }
        expired(&mut self.next_head, cx)
    }
}

/// An error when the time is over.
fn expired(time: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> io::Result<()> {
    let is_over = time.as_mut().is_some_and(|time| time.as_mut().poll(cx).is_ready());
    if is_over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

fn within(time: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Instant::now() + time))
}

impl AsyncRead for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_next_head(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_pending() {
            // Of all that waits: a client that reads a little now and then gets no more time.
            let limit = if self.turn.0.get() == Whose::Both { STUCK } else { ANSWER };
            self.answer.get_or_insert_with(|| within(limit));
            expired(&mut self.answer, cx)?;
        }
        written
    }

    /// Called when all is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.answer = None;
        if self.turn.0.get() == Whose::Answer {
            self.turn.0.set(Whose::Client);
            self.next_head = Some(within(NEXT_HEAD));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
