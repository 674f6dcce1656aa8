//! What is to be sent over a WebSocket of ours: frames that are framed once and shared by all their recipients.
//!
//! Whoever has something to send queues it and wakes the connection's task (`link.rs`), so that whatever was queued while
//! one actor drained its mailbox goes out in one write. The gate bounds what waits.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    task::Waker,
};

use actix_codec::Encoder;
use actix_http::ws::{Codec, Message};
use actors::Queued;
use bytes::{BufMut, Bytes, BytesMut};
use futures::task::AtomicWaker;

/// The frames that wait to be sent.
#[derive(Default)]
pub(super) struct Frames {
    queue: Mutex<Queue>,
    task: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    ended: bool,
}

impl Frames {
    /// An Engine.IO message, given in pieces, as a frame.
    pub(super) fn message(pieces: &[&str]) -> Bytes {
        framed(b'4', pieces)
    }

    /// Queues a frame.
    pub(super) fn send(&self, frame: Bytes) -> Queued {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.ended {
            return Queued::Closed;
        }
        queue.frames.push_back(frame);
        let is_first = queue.frames.len() == 1;
        drop(queue);
        if is_first {
            self.task.wake();
        }
        Queued::Yes
    }

    /// Who is woken when there is something to do.
    pub(super) fn wakes(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Nothing more is queued. What was is still sent, for [`CLOSE_FLUSH`](super::CLOSE_FLUSH) at most.
    pub(super) fn end(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.task.wake();
    }

    /// Fills `frames`, which is empty, with what is queued; whether the queue has ended.
    pub(super) fn take(&self, frames: &mut VecDeque<Bytes>) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queue.frames, frames);
        queue.ended
    }
}

/// A text frame (RFC 6455, section 5.2) with an Engine.IO packet.
pub(super) fn framed(kind: u8, pieces: &[&str]) -> Bytes {
    let length = 1 + pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(length + 10);
    frame.put_u8(0x81);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => frame.put_u8(short),
        (_, Ok(medium)) => {
            frame.put_u8(126);
            frame.put_u16(medium);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    frame.put_u8(kind);
    for piece in pieces {
        frame.put_slice(piece.as_bytes());
    }
    frame.into()
}

/// A frame that carries no packet.
pub(super) fn control(message: Message) -> Bytes {
    let mut frame = BytesMut::new();
    let encoded = Codec::new().encode(message, &mut frame);
    encoded.expect("only fragments can come at the wrong moment");
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use actix_codec::Decoder;
    use actix_http::ws::Frame;

    use super::*;
    use crate::socket_io::MAX_PAYLOAD;

    #[test]
    fn a_frame_says_its_length_in_one_three_or_nine_bytes() {
        for (length, head) in [
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 255, 255]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(length - 3);
            let frame = Frames::message(&["2", &text, "y"]);
            assert_eq!(frame[..head.len()], head);
            assert_eq!(frame[head.len()..], *format!("42{text}y").as_bytes());
            let mut read = BytesMut::from(frame);
            let decoded = Codec::new().client_mode().max_size(MAX_PAYLOAD).decode(&mut read).expect("a frame");
            assert!(matches!(decoded, Some(Frame::Text(packet)) if packet.len() == length));
        }
    }

    #[test]
    fn only_the_first_of_several_frames_wakes_the_task() {
        let (frames, waker) = (Frames::default(), futures::task::noop_waker());
        frames.task.register(&waker);
        assert_eq!(frames.send(Frames::message(&["a"])), Queued::Yes);
        assert!(frames.task.take().is_none());
        frames.task.register(&waker);
        assert_eq!(frames.send(Frames::message(&["b"])), Queued::Yes);
        assert!(frames.task.take().is_some());
        let mut taken = VecDeque::new();
        assert!(!frames.take(&mut taken));
        assert_eq!(taken, [Frames::message(&["a"]), Frames::message(&["b"])]);
        frames.end();
        assert_eq!(frames.send(Frames::message(&["c"])), Queued::Closed);
        assert!(frames.take(&mut VecDeque::new()));
    }
}
