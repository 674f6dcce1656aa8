//! One raw HTTP/1.1 connection: what is written goes out as it is, in segments as it is written.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::{EVENT_LIMIT, crowd::Watched};

/// A TCP connection and what was read ahead from it.
pub(crate) struct Connection {
    stream: TcpStream,
    buffered: Vec<u8>,
}

/// A response whose body was read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server listens"))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        // Each write is a segment of its own: that is what the wire tests are about.
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(EVENT_LIMIT)).expect("a TCP socket");
        stream.set_write_timeout(Some(EVENT_LIMIT)).expect("a TCP socket");
        Self { stream, buffered: Vec::new() }
    }

    /// Ends with a reset where the client ends it, and so leaves no port that waits for a minute.
    pub(crate) fn reset_at_the_end(&self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
    }

    /// For answers that take longer than events do.
    pub(crate) fn wait_up_to(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a TCP socket");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection takes bytes");
    }

    /// `false` when the connection is over.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// To be looked at in turn with others.
    pub(crate) fn watched(self) -> Watched {
        Watched::new(self.stream)
    }

    /// What writes to it while somebody else reads.
    pub(crate) fn writer(&self) -> impl FnMut(&[u8]) + Send + use<> {
        let mut stream = self.stream.try_clone().expect("a second handle");
        move |bytes| stream.write_all(bytes).expect("the connection takes bytes")
    }

    /// The same, of a connection that may be over before the end.
    pub(crate) fn try_writer(&self) -> impl FnMut(&[u8]) -> bool + Send + use<> {
        let mut stream = self.stream.try_clone().expect("a second handle");
        move |bytes| stream.write_all(bytes).is_ok()
    }

    /// What the kernel takes at once, when nobody reads the answers.
    pub(crate) fn send_unread(&mut self, mut bytes: &[u8]) {
        const STUCK: Duration = Duration::from_secs(1);
        self.stream.set_write_timeout(Some(STUCK)).expect("a TCP socket");
        while let Ok(written @ 1..) = self.stream.write(bytes) {
            bytes = &bytes[written..];
        }
        self.stream.set_write_timeout(Some(EVENT_LIMIT)).expect("a TCP socket");
    }

    /// One byte a segment. The pause lets the server read each before the next is there.
    pub(crate) fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut request = head(method, path, headers, Some(body.len()));
        request.extend_from_slice(body);
        self.send(&request);
        self.response()
    }

    /// `None` when the server closes the connection instead.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        if self.buffered.is_empty() && !self.fill() {
            return None;
        }
        Some(self.response())
    }

    pub(crate) fn response(&mut self) -> Response {
        let (status, headers) = self.response_head();
        let mut response = Response { status, headers, body: Vec::new() };
        response.body = match (status, response.header("transfer-encoding"), response.header("content-length")) {
            (101 | 204 | 304, _, _) => Vec::new(),
            (_, Some(_), _) => self.chunks(),
            (_, None, Some(length)) => self.take(length.parse().expect("a length")),
            (_, None, None) => Vec::new(),
        };
        response
    }

    fn response_head(&mut self) -> (u16, Vec<(String, String)>) {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let status = lines[0].split(' ').nth(1).and_then(|code| code.parse().ok());
        let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        (status.unwrap_or_else(|| panic!("no status line: {lines:?}")), headers)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(self.line().trim(), 16).expect("a chunk's length");
            body.extend(self.take(length));
            self.line();
            if length == 0 {
                return body;
            }
        }
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffered.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).expect("heads are ASCII");
            }
            assert!(self.fill(), "closed within a head: {:?}", String::from_utf8_lossy(&self.buffered));
        }
    }

    /// Exactly this many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.try_take(count).expect("the connection goes on")
    }

    /// Exactly this many bytes, or `None` when the server has closed the connection.
    pub(crate) fn try_take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffered.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffered.drain(..count).collect())
    }

    /// Reads whatever still comes until the server closes the connection.
    pub(crate) fn expect_close(&mut self) {
        while self.fill() {
            self.buffered.clear();
        }
    }

    /// Reads what is there; false when the server has closed the connection.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(read) => {
                self.buffered.extend_from_slice(&chunk[..read]);
                read > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing to read: {error}"),
        }
    }

    /// True when not a byte arrives for so long.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a TCP socket");
        let silent = self.buffered.is_empty() && self.stream.peek(&mut [0]).is_err_and(|error| is_timeout(&error));
        self.stream.set_read_timeout(Some(EVENT_LIMIT)).expect("a TCP socket");
        silent
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A request head; `length` is that of the body, where there is to be one.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length.filter(|length| *length > 0 || method != "GET") {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
