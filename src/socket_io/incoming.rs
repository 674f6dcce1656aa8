//! What comes over a WebSocket: its messages, while the connection's gate lets them in. A message has so many bytes at most,
//! in however many frames: [`MAX_PAYLOAD`], unless it is told otherwise.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame, Item, Message, ProtocolError};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::task::coop::consume_budget;

use super::{MAX_PAYLOAD, connection::Connection};

/// How far the frames of one client have been read.
pub(super) struct Incoming {
    codec: Codec,
    /// The most bytes of a message.
    largest: usize,
    /// A message of several frames, so far; whether it is text.
    fragments: Option<(bool, BytesMut)>,
    /// For the gate, while it is closed.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::of_at_most(MAX_PAYLOAD)
    }
}

impl Incoming {
    fn of_at_most(largest: usize) -> Self {
        Self { codec: Codec::new().max_size(largest), largest, fragments: None, waiting: None }
    }

    /// Ready while the connection's gate is open, or nobody cares any more.
    pub(super) fn poll_open(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() && !connection.gate.is_open() && !connection.is_closing() {
            self.waiting = Some(Box::pin(connection.gate.clone().opened()));
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Poll::Ready(())
    }

    /// What the next frame in `buffer` completes: [`Message::Nop`] where it is a part; `None` if it has not come whole.
    ///
    /// # Errors
    /// [`ProtocolError::Overflow`]: larger than a message may be. Any other: not what a client may send.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, ProtocolError> {
        let Some(frame) = self.codec.decode(buffer)? else {
            let is_too_large = announced(buffer) > self.largest as u64;
            return if is_too_large { Err(ProtocolError::Overflow) } else { Ok(None) };
        };
        let message = match frame {
            Frame::Text(bytes) => text(bytes)?,
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Continuation(Item::FirstText(piece)) => self.begin(true, piece),
            Frame::Continuation(Item::FirstBinary(piece)) => self.begin(false, piece),
            Frame::Continuation(Item::Continue(piece)) => {
                self.append(&piece)?;
                Message::Nop
            }
            Frame::Continuation(Item::Last(piece)) => {
                self.append(&piece)?;
                match self.fragments.take() {
                    Some((true, bytes)) => text(bytes.freeze())?,
                    Some((false, bytes)) => Message::Binary(bytes.freeze()),
                    None => Message::Nop,
                }
            }
            Frame::Ping(payload) => Message::Ping(payload),
            Frame::Pong(payload) => Message::Pong(payload),
            Frame::Close(reason) => Message::Close(reason),
        };
        Ok(Some(message))
    }

    fn begin(&mut self, is_text: bool, piece: Bytes) -> Message {
        self.fragments = Some((is_text, piece.into()));
        Message::Nop
    }

    /// A further piece of a message; the codec has seen to it that there was a first one.
    fn append(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let Some((_, message)) = &mut self.fragments else { return Ok(()) };
        if message.len() + piece.len() > self.largest {
            self.fragments = None;
            return Err(ProtocolError::Overflow);
        }
        message.extend_from_slice(piece);
        Ok(())
    }
}

/// The messages of a plain WebSocket, decoded before more is read; at its end the client is gone.
pub(crate) struct Reading {
    payload: Payload,
    pub(super) incoming: Incoming,
    /// The beginning of a frame, and what came with it.
    read: BytesMut,
}

impl Reading {
    pub(crate) fn of(payload: Payload) -> Self {
        Self::of_at_most(payload, MAX_PAYLOAD)
    }

    /// The same for messages of so many bytes.
    pub(crate) fn of_at_most(payload: Payload, largest: usize) -> Self {
        Self { payload, incoming: Incoming::of_at_most(largest), read: BytesMut::new() }
    }

    /// Reads what nobody wants any more; ready when the client is gone.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.read = BytesMut::new();
        loop {
            ready!(poll_turn(cx));
            if !matches!(ready!(Pin::new(&mut self.payload).poll_next(cx)), Some(Ok(_))) {
                return Poll::Ready(());
            }
        }
    }
}

/// Ready while the task's turn lasts: 128 messages by tokio's own count. A read of 128 KiB has thousands of small ones, and
/// others of the worker are to have theirs.
fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    pin!(consume_budget()).poll(cx)
}

impl Stream for Reading {
    type Item = Result<Message, ProtocolError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { payload, incoming, read } = self.get_mut();
        ready!(poll_turn(cx));
        loop {
            match incoming.next(read) {
                Ok(None) => match ready!(Pin::new(&mut *payload).poll_next(cx)) {
                    Some(Ok(bytes)) => read.extend_from_slice(&bytes),
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                message => return Poll::Ready(message.transpose()),
            }
        }
    }
}

fn text(bytes: Bytes) -> Result<Message, ProtocolError> {
    let text = bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "text that is not UTF-8"))?;
    Ok(Message::Text(text))
}

/// The length that a frame's head announces (RFC 6455, section 5.2), as far as it has come.
fn announced(head: &[u8]) -> u64 {
    match *head {
        [_, length, a, b, c, d, e, f, g, h, ..] if length & 0x7f == 127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use actix_web::{FromRequest, test::TestRequest};

    use super::*;

    #[actix_web::test]
    async fn a_turn_ends_however_many_small_frames_have_come() {
        let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(10_000);
        let (request, mut body) = TestRequest::default().set_payload(pings).to_http_parts();
        let mut reading = Reading::of(Payload::from_request(&request, &mut body).await.expect("a body"));
        let mut turns = Vec::new();
        while turns.iter().sum::<usize>() < 10_000 {
            let turn = poll_fn(|cx| {
                let mut messages = 0;
                while let Poll::Ready(Some(Ok(Message::Ping(_)))) = Pin::new(&mut reading).poll_next(cx) {
                    messages += 1;
                }
                Poll::Ready(messages)
            });
            turns.push(turn.await);
            tokio::task::yield_now().await;
        }
        assert!(turns.len() > 70 && turns.iter().all(|messages| *messages <= 128), "{turns:?}");
    }

    #[test]
    fn a_head_announces_its_length_before_the_frame_has_come() {
        assert_eq!(announced(&[0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0]), 1 << 62);
        assert_eq!(announced(&[0x81, 0xff, 0x40]), 0);
        assert_eq!(announced(&[0x81, 0xfe, 255, 255]), 0);
    }

    #[test]
    fn frames_make_a_message_of_so_many_bytes_and_no_more() {
        let (piece, mask) = (vec![b'x'; 60_000], [0_u8; 4]);
        let frame = |first: u8, payload: &[u8]| {
            let length = u16::try_from(payload.len()).expect("a short piece").to_be_bytes();
            BytesMut::from(&*[&[first, 0xfe][..], &length, &mask, payload].concat())
        };
        let mut incoming = Incoming::default();
        assert!(matches!(incoming.next(&mut frame(0x01, &piece)), Ok(Some(Message::Nop))));
        for _ in 1..16 {
            assert!(matches!(incoming.next(&mut frame(0x00, &piece)), Ok(Some(Message::Nop))));
        }
        // 960,000 so far.
        let last = incoming.next(&mut frame(0x80, &piece[..40_000]));
        assert!(matches!(last, Ok(Some(Message::Text(text))) if text.len() == MAX_PAYLOAD));
        assert!(matches!(incoming.next(&mut frame(0x01, &piece)), Ok(Some(Message::Nop))));
        for _ in 1..16 {
            assert!(matches!(incoming.next(&mut frame(0x00, &piece)), Ok(Some(Message::Nop))));
        }
        assert!(matches!(incoming.next(&mut frame(0x80, &piece[..40_001])), Err(ProtocolError::Overflow)));
    }
}
