//! Engine.IO's polling transport on raw connections.

use serde_json::Value;

use super::http::{Connection, Response};
use super::people::Person;
use super::socket_io::{SocketIo, connect_packet};
use super::websocket::WebSocket;

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";
/// Parts the packets of one body.
const SEPARATOR: char = '\u{1e}';

/// A session that polls; which connection it uses is the test's choice, call by call.
pub(crate) struct Polling {
    pub(crate) sid: String,
}

impl Polling {
    /// Engine.IO's handshake.
    pub(crate) fn open(connection: &mut Connection) -> Self {
        let response = connection.request("GET", HANDSHAKE, &[], b"");
        assert_eq!(response.status, 200, "{response:?}");
        let open = response.text();
        let open: Value = serde_json::from_str(open.strip_prefix('0').expect("an OPEN packet")).expect("JSON");
        Self { sid: open["sid"].as_str().expect("a session id").to_owned() }
    }

    /// The handshake, and Socket.IO's CONNECT as this person.
    pub(crate) fn connect(connection: &mut Connection, person: &Person) -> Self {
        let polling = Self::open(connection);
        polling.post(connection, &connect_packet(&person.token));
        let packets = polling.poll(connection);
        assert!(packets[0].starts_with("40{\"sid\":"), "{packets:?}");
        polling
    }

    pub(crate) fn path(&self) -> String {
        format!("{HANDSHAKE}&sid={}", self.sid)
    }

    pub(crate) fn upgrade_path(&self) -> String {
        format!("/socket.io/?EIO=4&transport=websocket&sid={}", self.sid)
    }

    /// The upgrade as a client does it, on this connection.
    pub(crate) fn upgraded(&self, connection: Connection) -> SocketIo {
        let mut socket = self.probed(connection);
        socket.send_text("5");
        SocketIo::connected(socket)
    }

    /// A WebSocket whose probe is answered.
    pub(crate) fn probed(&self, connection: Connection) -> WebSocket {
        let mut socket = WebSocket::upgrade(connection, &self.upgrade_path());
        socket.send_text("2probe");
        assert_eq!(socket.next_text(), "3probe");
        socket
    }

    pub(crate) fn post(&self, connection: &mut Connection, body: &str) {
        let response = self.try_post(connection, body);
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }

    pub(crate) fn try_post(&self, connection: &mut Connection, body: &str) -> Response {
        connection.request("POST", &self.path(), &[("Content-Type", "text/plain;charset=UTF-8")], body.as_bytes())
    }

    /// The packets of one poll, as soon as there are any.
    pub(crate) fn poll(&self, connection: &mut Connection) -> Vec<String> {
        packets(&connection.request("GET", &self.path(), &[], b""))
    }
}

pub(crate) fn packets(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{response:?}");
    response.text().split(SEPARATOR).map(str::to_owned).collect()
}
