//! What the database tells: changed profiles and revoked tokens, whoever changed them, and whether it keeps what it has.
//!
//! Postgres announces each change (`LISTEN`). While the connection is away announcements are missed; so all profiles in
//! use and all revocations are read again when it is back. Settings that lose messages are looked for now and then.

use std::{
    fmt::Display,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client, Config};

use crate::{
    backoff::Backoff,
    connect::connect,
    ids::{MessageId, UserId},
    limits::READ_TIMEOUT,
    shared::Shared,
    sql,
    store::StoreError,
};

/// Announcements that wait; then Postgres does.
const ANNOUNCED: usize = 1024;
/// How often an outage is told of while it lasts.
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// How often the settings are looked at.
const SETTINGS_LOOK: Duration = Duration::from_secs(10);
/// What the columns of `durability.sql` mean where they are false.
const RISKS: [&str; 2] = [
    "fsync is off: when the machine goes down, acknowledged messages are lost, and the database may be damaged",
    "synchronous_commit is off: this server turns it on for what it writes, others may lose what they wrote last",
];

/// Follows the announcements until the server stops.
pub(crate) async fn follow(database: Config, shared: Arc<Shared>) {
    let mut outage = Outage::default();
    // Its own, so that a connection that is lost, which Postgres has not noticed yet, is not taken for another server's.
    let name = format!("horsetrust-chat feed {}", MessageId::new());
    loop {
        let listened = listen(&database, &name, &shared, &mut outage).await;
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match listened {
            Ok(()) => outage.goes_on(&"lost the connection that announces changes"),
            Err(error) => outage.goes_on(&error),
        }
        sleep(outage.backoff.next()).await;
    }
}

/// Postgres is away: told when that begins, now and then while it lasts, and when it is over.
#[derive(Default)]
struct Outage {
    /// Between two attempts.
    backoff: Backoff,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Outage {
    fn goes_on(&mut self, why: &dyn Display) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            self.told = Some(Instant::now());
            tracing::warn!(%why, seconds = since.elapsed().as_secs(), "Postgres is away");
        }
    }

    fn is_over(&mut self) {
        if let Some(since) = std::mem::take(self).since {
            tracing::info!(seconds = (since.elapsed().as_secs_f64() * 10.0).round() / 10.0, "Postgres answers again");
        }
    }
}

async fn listen(database: &Config, name: &str, shared: &Shared, outage: &mut Outage) -> Result<(), StoreError> {
    let (client, mut connection) = connect(database, name).await?;
    let (announce, mut announcements) = mpsc::channel(ANNOUNCED);
    // Ends with the client, or with the connection.
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(announcement) = message
                && announce.send(announcement).await.is_err()
            {
                return;
            }
        }
    });
    in_time(client.batch_execute("LISTEN user_changed; LISTEN user_revoked")).await?;
    // A failure ends the listening, so that all are read when it begins anew.
    shared.read_again(&shared.profiles.all_changed()).await?;
    revoke(shared).await?;
    outage.is_over();
    look_for_others(&client, name).await;
    let mut look = interval(SETTINGS_LOOK);
    let mut announced = Vec::new();
    loop {
        tokio::select! {
            // All that have come meanwhile, however many users were renamed at once.
            count = announcements.recv_many(&mut announced, ANNOUNCED) => {
                if count == 0 {
                    return Ok(());
                }
                let (revoked, changed): (Vec<_>, Vec<_>) =
                    announced.drain(..).partition(|announcement| announcement.channel() == "user_revoked");
                if !revoked.is_empty() {
                    revoke(shared).await?;
                }
                let users = changed.iter().filter_map(|announcement| UserId::parse(announcement.payload()));
                let profiles: Vec<_> = users.filter_map(|user| shared.profiles.changed(user)).collect();
                shared.read_again(&profiles).await?;
            }
            _ = look.tick() => look_at_settings(&client, shared).await?,
        }
    }
}

/// What Postgres answers within the time that reads have.
async fn in_time<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    Ok(timeout(READ_TIMEOUT, answer).await.map_err(|_| StoreError::late())??)
}

/// Says what is set so that a crash of the machine loses messages.
async fn look_at_settings(client: &Client, shared: &Shared) -> Result<(), StoreError> {
    // Also the only way to notice that the connection has died without a word, and nothing is announced any more.
    let found = in_time(risks(client)).await?;
    let mut risks = shared.risks.lock().unwrap_or_else(PoisonError::into_inner);
    if *risks != found {
        found.iter().for_each(|risk| tracing::warn!(risk, "Postgres may lose messages"));
        *risks = found;
    }
    Ok(())
}

/// How Postgres is set so that it may lose what was committed.
pub(crate) async fn risks(client: &Client) -> Result<Vec<&'static str>, tokio_postgres::Error> {
    let row = client.query_one(sql::DURABILITY, &[]).await?;
    let is_off = |(column, _): &(usize, &&str)| !row.get::<_, bool>(*column);
    Ok(RISKS.iter().enumerate().filter(is_off).map(|(_, risk)| *risk).collect())
}

/// Says whether there are other servers. Not every role may know.
async fn look_for_others(client: &Client, name: &str) {
    match in_time(other_servers(client, name)).await {
        Ok(0) => (),
        Ok(others) => tracing::warn!(
            others,
            "other servers are connected to this database: their clients do not hear what is said here live"
        ),
        Err(error) => tracing::debug!(%error, "cannot tell whether other servers are connected to this database"),
    }
}

/// How many servers are connected to this database, beside the one of this name.
pub(crate) async fn other_servers(client: &Client, name: &str) -> Result<usize, tokio_postgres::Error> {
    let row = client.query_one(sql::COUNT_OTHER_SERVERS, &[&name]).await?;
    Ok(usize::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Closes the sessions of those whose tokens were revoked since the last look.
async fn revoke(shared: &Shared) -> Result<(), StoreError> {
    for (user, at) in shared.store.list_revocations().await? {
        if shared.revocations.is_news(user, at) {
            shared.revoked(user, at);
        }
    }
    Ok(())
}
