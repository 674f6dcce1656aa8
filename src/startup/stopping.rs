//! What stops a server, and how it stops.

use std::time::{Duration, Instant};

use actors::Chat;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging;

use super::{POSTGRES_STOP, Running, StartError};

/// The two signals that stop the server.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// One that came when nobody could stop for it.
    pub(super) heard: Option<&'static str>,
}

pub(super) fn listen_for(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(|error| StartError::Other(format!("cannot listen for signals: {error}")))
}

impl StopSignals {
    pub(super) fn new() -> Result<Self, StartError> {
        let (terminate, interrupt) = (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, heard: None })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        if let Some(name) = self.heard.take() {
            return name;
        }
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// To be called when what ran is dropped, which has told the private Postgres to stop.
pub(super) fn stop_at_once(signal: &str) -> ! {
    tracing::warn!(signal, "stopped at once");
    logging::end();
    std::process::exit(1);
}

/// What comes of it is no reason not to stop.
async fn keep_sessions(chat: &Chat, limit: Duration) {
    match tokio::time::timeout(limit, chat.keep_sessions()).await {
        Ok(Ok(0)) => (),
        Ok(Ok(sessions)) => tracing::info!(sessions, "kept the sessions for the next server"),
        Ok(Err(error)) => tracing::warn!(%error, "clients will get new sessions"),
        Err(_) => tracing::warn!("sessions were not kept in time; clients may get new ones"),
    }
}

pub(super) async fn stop(running: Running, drain: Duration, limit: Duration) {
    let Running { app, listening, postgres } = running;
    let until = Instant::now() + limit;
    let left = || until.saturating_duration_since(Instant::now());
    app.chat.drain();
    app.socket_io.tell_draining();
    tokio::time::sleep(drain).await;
    let limit = left();
    // A quarter at the end is Postgres'.
    let settle = async {
        // Polling clients fetch their answers by new requests: the listener stays open to the end.
        app.chat.refuse_new();
        if tokio::time::timeout(limit / 2, app.chat.settled()).await.is_ok() {
            keep_sessions(&app.chat, limit / 4).await;
        } else {
            tracing::warn!("not everything was answered in time; clients will get new sessions");
        }
        app.socket_io.close_all(limit / 8).await;
        listening.handle.pause().await;
        // Calls that wait for Postgres get their answers.
        let _ = tokio::time::timeout(limit / 4, app.chat.store().settled()).await;
    };
    let for_postgres = if postgres.is_some() { POSTGRES_STOP.min(limit / 4) } else { Duration::ZERO };
    if tokio::time::timeout(left().saturating_sub(for_postgres), settle).await.is_err() {
        tracing::warn!("not every connection was closed in time");
    }
    let _ = tokio::time::timeout(left(), listening.handle.stop(true)).await;
    app.chat.store().close();
    if let Some(postgres) = postgres {
        postgres.stop(left().max(for_postgres)).await;
    }
}
