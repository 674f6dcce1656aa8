//! What the black-box tests share: a server process, people who talk to it, and clients that control every byte.
//!
//! `server` starts and ends the built binary, `process` looks at it from outside, `people` speaks REST for users, who are of
//! every kind in `callers`; `http` is one raw connection, `crowd` opens many, and `websocket`, `socket_io` and `polling`
//! build the protocol on it layer by layer, as `plain` does without Socket.IO; `witnessed` has a client who must not notice
//! what another one does; `postgres` and `cutting_proxy` stand behind the server; `old_files` is what it imports and
//! exports; `relay` with `meddling_proxy` and `holding_proxy` before it, and `lying_server` in its place, for those who
//! judge it. Everything blocks; every wait ends after [`EVENT_LIMIT`].
#![allow(dead_code, unused_imports, reason = "each test crate uses its own part of this")]

use std::time::{Duration, Instant};

pub(crate) mod callers;
pub(crate) mod crowd;
pub(crate) mod cutting_proxy;
pub(crate) mod holding_proxy;
pub(crate) mod http;
pub(crate) mod lying_server;
pub(crate) mod meddling_proxy;
pub(crate) mod old_files;
pub(crate) mod people;
pub(crate) mod plain;
pub(crate) mod polling;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod server;
pub(crate) mod socket_io;
pub(crate) mod websocket;
pub(crate) mod witnessed;

pub(crate) use http::{Connection, Response};
pub(crate) use people::{Person, new_id, token};
pub(crate) use plain::Plain;
pub(crate) use polling::Polling;
pub(crate) use server::{DataDir, Launch, SECRET, Server};
pub(crate) use socket_io::SocketIo;
pub(crate) use websocket::{Frame, WebSocket};

/// Far beyond what a loaded machine needs; a passing test never waits for it.
pub(crate) const EVENT_LIMIT: Duration = Duration::from_secs(40);

/// How long a client goes on answering heartbeats without anything else to do.
pub(crate) const HEARTBEATS_LIMIT: Duration = Duration::from_secs(120);

/// Waits for a state that has no event to wait for: a counter of the server, or a process that ends.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
