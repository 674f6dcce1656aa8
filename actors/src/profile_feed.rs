//! Keeps the profiles in use, and whose tokens were revoked, in step with the database, whoever changed it.
//!
//! Postgres announces each change (`LISTEN`). While the connection is away announcements are missed; so all profiles in
//! use and all revocations are read again when it is back.

use std::sync::{Arc, atomic::Ordering};

use futures::{StreamExt, stream};
use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Config, NoTls};

use crate::{backoff::Backoff, ids::UserId, limits::CONNECT_TIMEOUT, shared::Shared, store::StoreError};

/// Follows the announcements until the server stops.
pub(crate) async fn follow(mut database: Config, shared: Arc<Shared>) {
    database.application_name("horsetrust-chat profiles").connect_timeout(CONNECT_TIMEOUT);
    let mut backoff = Backoff::default();
    loop {
        let listened = listen(&database, &shared, &mut backoff).await;
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match listened {
            Ok(()) => tracing::warn!("lost the connection that announces changed profiles"),
            Err(error) => tracing::warn!(%error, "cannot listen for changed profiles"),
        }
        sleep(backoff.next()).await;
    }
}

async fn listen(database: &Config, shared: &Shared, backoff: &mut Backoff) -> Result<(), StoreError> {
    let (client, mut connection) = database.connect(NoTls).await?;
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    // The connection has to be driven while the statement is under way.
    let listening = client.batch_execute("LISTEN user_changed; LISTEN user_revoked");
    tokio::pin!(listening);
    loop {
        tokio::select! {
            done = &mut listening => break done?,
            message = messages.next() => if message.is_none() { return Ok(()) },
        }
    }
    backoff.reset();
    refresh(shared, &shared.profiles.in_use()).await?;
    revoke(shared).await?;
    while let Some(message) = messages.next().await {
        let AsyncMessage::Notification(announcement) = message? else { continue };
        match (announcement.channel(), UserId::parse(announcement.payload())) {
            ("user_revoked", _) => revoke(shared).await?,
            (_, Some(user)) if shared.profiles.is_in_use(&user) => refresh(shared, &[user]).await?,
            _ => (),
        }
    }
    Ok(())
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

/// Reads profiles again. A failure ends the listening, so that all are read when it begins anew.
async fn refresh(shared: &Shared, users: &[UserId]) -> Result<(), StoreError> {
    let profiles = shared.store.find_users(users).await?;
    profiles.into_iter().for_each(|profile| shared.profiles.changed(profile));
    Ok(())
}
