//! The client's side of RFC 6455 on a raw connection, with every frame under the test's control.

use super::http::{Connection, head};

/// The example of RFC 6455, section 1.3, with the answer it gives.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) last: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// The head of an upgrade request.
pub(crate) fn upgrade(path: &str) -> Vec<u8> {
    upgrade_with(path, &[])
}

/// The same with further headers.
pub(crate) fn upgrade_with(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    head("GET", path, &[&headers, more].concat(), None)
}

/// A masked frame, as clients send them.
pub(crate) fn frame(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = unmasked_frame(last, opcode, payload);
    bytes[1] |= 0x80;
    let start = bytes.len() - payload.len();
    for (index, byte) in bytes[start..].iter_mut().enumerate() {
        *byte ^= MASK[index % 4];
    }
    bytes.splice(start..start, MASK);
    bytes
}

/// A frame that no client may send.
pub(crate) fn unmasked_frame(last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(last) << 7 | opcode];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => bytes.push(length.to_le_bytes()[0]),
        Ok(length) => {
            bytes.push(126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(true, TEXT, payload.as_bytes())
}

/// A connection after its upgrade.
pub(crate) struct WebSocket {
    pub(crate) connection: Connection,
}

impl WebSocket {
    /// Upgrades a connection, fresh or used.
    pub(crate) fn upgrade(mut connection: Connection, path: &str) -> Self {
        connection.send(&upgrade(path));
        Self::accepted(connection)
    }

    /// Reads the answer to an upgrade request that is already sent.
    pub(crate) fn accepted(mut connection: Connection) -> Self {
        let response = connection.response();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
        Self { connection }
    }

    pub(crate) fn send_text(&mut self, payload: &str) {
        self.connection.send(&text(payload));
    }

    /// `false` when the connection is over.
    pub(crate) fn try_send_text(&mut self, payload: &str) -> bool {
        self.connection.try_send(&text(payload))
    }

    pub(crate) fn next_frame(&mut self) -> Frame {
        self.try_next_frame().expect("the connection goes on")
    }

    /// `None` when the server has closed the connection.
    pub(crate) fn try_next_frame(&mut self) -> Option<Frame> {
        let start = self.connection.try_take(2)?;
        assert_eq!(start[1] & 0x80, 0, "a server does not mask");
        let length = match start[1] {
            126 => self.connection.try_take(2)?,
            127 => self.connection.try_take(8)?,
            length => vec![length],
        };
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let payload = self.connection.try_take(length)?;
        Some(Frame { last: start[0] & 0x80 != 0, opcode: start[0] & 0x0f, payload })
    }

    /// The next text message; anything else is an error.
    pub(crate) fn next_text(&mut self) -> String {
        self.try_next_text().expect("the connection goes on")
    }

    pub(crate) fn try_next_text(&mut self) -> Option<String> {
        let frame = self.try_next_frame()?;
        if frame.opcode == CLOSE {
            return None;
        }
        assert!(frame.last && frame.opcode == TEXT, "no text but {frame:?}");
        Some(String::from_utf8(frame.payload).expect("text frames are UTF-8"))
    }

    /// A close frame or the end of the connection, whatever comes before it.
    pub(crate) fn expect_close(&mut self) {
        while self.try_next_frame().is_some_and(|frame| frame.opcode != CLOSE) {}
    }
}
