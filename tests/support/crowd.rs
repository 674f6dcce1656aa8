//! Many connections: files enough, loopback addresses to call from, and windows as small as the kernel allows.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{setsockopt, sockopt::TcpMaxSeg},
};
use socket2::{Domain, Socket, Type};

use super::http::Connection;

/// As few bytes as the kernel allows to wait on the reader's side.
const RECEIVE_BUFFER: usize = 4096;
/// The kernel measures the sender's buffer in segments.
const SEGMENT: u32 = 536;

/// Raises this process' limit of open files as far as it may; how many that are.
pub(crate) fn raise_open_files() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit everybody may");
    usize::try_from(hard).unwrap_or(usize::MAX)
}

/// A connection from 127.0.0.`last`.
pub(crate) fn connect_from(last: u8, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).expect("loopback has the address");
    socket.connect(&address.into()).expect("the server listens");
    socket.into()
}

/// A connection that takes hardly anything before somebody reads.
pub(crate) fn narrow_connection(address: SocketAddr) -> Connection {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Before connecting: window and segments are agreed in the handshake.
    socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("a small buffer");
    setsockopt(&socket, TcpMaxSeg, &SEGMENT).expect("small segments");
    socket.connect(&address.into()).expect("the server listens");
    Connection::over(TcpStream::from(socket))
}

/// A connection of which many are looked at in turn: nothing waits.
pub(crate) struct Watched {
    stream: TcpStream,
    /// What came last.
    pub(crate) heard: Vec<u8>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a TCP socket");
        Self { stream, heard: Vec::new() }
    }

    /// Writes if there is room; nothing is said of a connection that is over.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write(bytes);
    }

    /// Whether the server has closed it; reads what came.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(read) => self.heard = chunk[..read].to_vec(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }
}
