//! The chat service as one would write it today in Rust on stock parts: axum, socketioxide, deadpool-postgres.
//!
//! A message: `events.rs` queues it on its socket's worker, `store.rs` writes it with one statement, `announce.rs`
//! emits it. `rest.rs` has the routes, `rules.rs` what a caller may say.

mod announce;
mod events;
mod id;
mod rest;
mod rules;
mod store;

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use socketioxide::SocketIo;
use tokio::{
    net::{TcpSocket, lookup_host},
    signal::unix::{SignalKind, signal},
};

use rules::Tokens;
use store::Store;

/// Packets that may wait for a slow reader, as many as in the server.
const OUTBOX_PACKETS: usize = 1024;
const MAX_PAYLOAD_BYTES: u64 = 1_000_000;
const POOL_SIZE: usize = 20;

/// What every handler needs.
#[derive(Clone)]
struct App {
    store: Arc<Store>,
    tokens: Arc<Tokens>,
    io: SocketIo,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let required = |name: &str| env::var(name).map_err(|_| format!("{name} has to be set"));
    let database_url = required("DATABASE_URL")?;
    let tokens = Arc::new(Tokens::new(required("JWT_SECRET")?.as_bytes()));
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let pool_size = env::var("POOL_SIZE").map_or(Ok(POOL_SIZE), |size| size.parse())?;

    let store = Arc::new(Store::connect(&database_url, pool_size).await?);
    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(25))
        .ping_timeout(Duration::from_secs(20))
        .max_payload(MAX_PAYLOAD_BYTES)
        .max_buffer_size(OUTBOX_PACKETS)
        .build_layer();
    let app = App { store, tokens, io };
    events::register(&app);
    let routes = rest::routes(app).layer(layer);

    let address = lookup_host((host.as_str(), port)).await?.next().ok_or("HOST has no address")?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Instead of 128: else a crowd that comes back waits for its next try.
    let listener = socket.listen(4096)?;
    println!("listening on http://{}", listener.local_addr()?);
    // Else small packets wait for the acknowledgement of the ones before.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
