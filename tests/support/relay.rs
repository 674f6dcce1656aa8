//! A TCP relay: what clients say goes to the server as it is; what the server says goes by the way that a test wants.

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Where it listens, until the first connection after it is cut. `back` carries what the server says, to the end.
pub(crate) fn relay(
    server: SocketAddr,
    is_cut: Arc<AtomicBool>,
    back: impl Fn(&TcpStream, &TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let back = Arc::new(back);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if is_cut.load(Ordering::SeqCst) {
                return;
            }
            let server = TcpStream::connect(server).expect("the server listens");
            let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let back = back.clone();
            thread::spawn(move || {
                back(&server, &client);
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    address
}
