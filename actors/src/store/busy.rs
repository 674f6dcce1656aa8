//! A connection of the pool with a statement that is not answered yet.

use std::{ops::Deref, sync::Arc};

use deadpool_postgres::Object;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{limits::READ_TIMEOUT, link::takes_no_writes, turns::Turn};

use super::{StoreError, stop::Stop};

/// Whoever asked may go away before there is an answer. The connection goes back into the pool when Postgres is done with the
/// statement, and not before: the next caller would wait behind it. So does the user's turn, which would be no bound else.
pub(super) struct Busy {
    client: Option<Object>,
    turn: Option<Arc<Turn>>,
    until: Instant,
    stop: Arc<Stop>,
}

impl Busy {
    pub(super) fn new(client: Object, turn: Option<Arc<Turn>>, stop: Arc<Stop>) -> Self {
        Self { client: Some(client), turn, until: Instant::now() + READ_TIMEOUT, stop }
    }

    /// What the connection has answered; `None` where it has not in time.
    pub(super) fn done<T>(mut self, answer: Option<Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        if let Some(client) = self.client.take() {
            give_back(client, answer.as_ref());
        }
        Ok(answer.ok_or_else(StoreError::late)??)
    }
}

impl Deref for Busy {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.client.as_ref().expect("it is there until it is done")
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // Without one, the pool ends, too.
        let Ok(runtime) = Handle::try_current() else { return };
        let (turn, until, stop) = (self.turn.take(), self.until, self.stop.clone());
        runtime.spawn(async move {
            let begins = stop.begins();
            let answer = if stop.has_begun() {
                None
            } else {
                tokio::select! {
                    // Is answered behind the statement.
                    answer = timeout_at(until, client.simple_query("")) => answer.ok(),
                    // Which needs the connection's place for others.
                    () = begins => None,
                }
            };
            give_back(client, answer.as_ref());
            drop(turn);
        });
    }
}

/// To the pool, unless nothing was answered in time: the next caller would wait for it, too. Those that nobody uses may be lost
/// in the same way, and are closed as well. So is one whose Postgres takes no writes any more: the next one is made to where it
/// does.
fn give_back<T>(client: Object, answer: Option<&Result<T, tokio_postgres::Error>>) {
    match answer {
        Some(Err(error)) if takes_no_writes(error) => drop(Object::take(client)),
        Some(_) => drop(client),
        None => {
            if let Some(pool) = Object::pool(&client) {
                pool.retain(|_, _| false);
            }
            drop(Object::take(client));
        }
    }
}
