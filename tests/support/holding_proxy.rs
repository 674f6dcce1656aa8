//! A proxy that forwards until it is told to hold back what the server says, or to end everything.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{EVENT_LIMIT, relay::relay, until};

/// How often the proxy looks what it is to do.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct HoldingProxy {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    is_held: Arc<AtomicBool>,
    is_cut: Arc<AtomicBool>,
}

impl HoldingProxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (connections, is_held, is_cut) = (Arc::default(), Arc::default(), Arc::default());
        let (connected, held, cut) = (Arc::clone(&connections), Arc::clone(&is_held), Arc::clone(&is_cut));
        let address = relay(server, Arc::clone(&is_cut), move |server, client| {
            AtomicUsize::fetch_add(&connected, 1, Ordering::SeqCst);
            forward(server, client, &held, &cut);
        });
        Self { address, connections, is_held, is_cut }
    }

    /// Waits until there have been so many connections.
    pub(crate) fn has_connections(&self, count: usize) {
        until("connections", EVENT_LIMIT, || self.connections.load(Ordering::SeqCst) >= count);
    }

    /// Holds back, or goes on with, what the server says.
    pub(crate) fn hold(&self, held: bool) {
        self.is_held.store(held, Ordering::SeqCst);
    }

    /// Ends all connections, and takes no more.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        // The listener wakes up, and is closed.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(mut server: &TcpStream, mut client: &TcpStream, held: &AtomicBool, cut: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    server.set_read_timeout(Some(LOOK)).expect("a time that is not 0");
    while !cut.load(Ordering::SeqCst) {
        match server.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                while held.load(Ordering::SeqCst) && !cut.load(Ordering::SeqCst) {
                    thread::sleep(LOOK);
                }
                if client.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => (),
            Err(_) => break,
        }
    }
}
