//! Sessions over a planned restart: kept in Postgres by the server that stops, started again by the next one, and forgotten
//! there when it opens.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    event::{EncodedEvent, Offset, encode},
    ids::{ConversationId, SessionId, UserId},
    limits::ROOMS_AT_ONCE,
    message::{Notification, StoredMessage},
    profile::Profile,
    room::RoomHandle,
    session::start_kept,
    shared::Shared,
    store::{Aside, StoreError},
    text,
};

use super::{Log, Pid, Place, Recoverable};

/// A session, as its row has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptSession {
    session: SessionId,
    user: UserId,
    rooms: Vec<ConversationId>,
    floor: Option<Offset>,
    /// What the client may not have.
    log: Vec<KeptEvent>,
}

/// An event. Those of messages are made again.
#[derive(Debug, Serialize, Deserialize)]
struct KeptEvent {
    offset: Offset,
    /// Name and payload of those that are stored nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<(String, String)>,
}

impl KeptEvent {
    fn of(offset: Offset, event: Option<&Arc<EncodedEvent>>) -> Self {
        let own = event.and_then(|event| Some((event.own_name()?.to_owned(), event.payload.clone())));
        Self { offset, own }
    }
}

/// A row.
pub(crate) struct KeptRow {
    pub(crate) pid: [u8; 16],
    /// For how long it may still be taken over.
    pub(crate) left: Duration,
    /// [`KeptSession`], JSON.
    pub(crate) state: String,
}

/// A message of a log.
pub(crate) struct SentMessage {
    pub(crate) conversation: ConversationId,
    pub(crate) sender: Profile,
    pub(crate) message: StoredMessage,
}

impl SentMessage {
    fn event(&self, offset: Offset) -> Arc<EncodedEvent> {
        let (conversation_id, message) = (self.conversation, &self.message);
        if offset.notification {
            let (sender, preview) = (message.sender, text::preview(&message.text));
            EncodedEvent::message_notification(message.id, &Notification { conversation_id, sender, preview })
        } else {
            EncodedEvent::new_message(message.id, encode(&message.on_the_wire(conversation_id, &self.sender)))
        }
    }
}

impl Recoverable {
    /// Ends the session here; what the next server needs of it, but its rooms.
    fn freeze(&self) -> Option<(KeptSession, Duration)> {
        let state = &mut *self.state();
        let left = match state.place {
            Place::Connected(_) => self.window,
            Place::Lost { until, .. } => until.saturating_duration_since(Instant::now()),
            Place::Ended => return None,
        };
        let kept = KeptSession {
            session: self.session,
            user: self.user,
            rooms: Vec::new(),
            floor: state.log.floor(),
            log: state.log.entries().map(|(offset, event)| KeptEvent::of(offset, event)).collect(),
        };
        self.put(state, Place::Ended);
        Some((kept, left))
    }
}

/// Stores all sessions, which can be taken over on the next server only. Nothing is committed meanwhile. Returns how many.
pub(crate) async fn keep(shared: &Shared, postgres: &Aside) -> Result<usize, StoreError> {
    let mut rows = Vec::new();
    // Of the hubs: each session, if asked itself, would answer behind all that those do who send without end.
    let mut rooms_of = shared.workers.rooms_once_delivered().await;
    for recoverable in shared.recoveries.all() {
        let Some(rooms) = rooms_of.remove(&recoverable.session) else { continue };
        if let Some((kept, left)) = recoverable.freeze() {
            rows.push(KeptRow { pid: recoverable.pid.0, left, state: encode(&KeptSession { rooms, ..kept }) });
        }
    }
    let generation = shared.open.get().copied().unwrap_or_default();
    let kept = postgres.keep_sessions(&rows, generation).await?;
    if kept < rows.len() {
        tracing::warn!(sessions = rows.len() - kept, "another server has opened since; clients will get new sessions");
    }
    Ok(kept)
}

/// Starts the sessions that the server before has kept, in their rooms before anybody can say anything there. Returns how
/// many. They stay in Postgres: this server may end before it is open.
pub(crate) async fn restore(shared: &Arc<Shared>) -> Result<usize, StoreError> {
    if !shared.recoveries.are_on() {
        return Ok(0);
    }
    let rows = shared.store.find_kept_sessions().await?;
    let sessions = rows.into_iter().filter_map(|row| match serde_json::from_str::<KeptSession>(&row.state) {
        Ok(kept) => Some((Pid(row.pid), row.left, kept)),
        Err(error) => {
            tracing::warn!(%error, "a kept session cannot be read");
            None
        }
    });
    let sessions: Vec<_> = sessions.collect();
    let mut ids: Vec<_> = sessions.iter().flat_map(|(.., kept)| &kept.log).map(|event| event.offset.message).collect();
    ids.sort_unstable();
    ids.dedup();
    let sent = shared.store.find_sent(&ids).await?.into_iter().map(|sent| (sent.message.id, sent));
    let sent: HashMap<_, _> = sent.collect();
    let mut made = HashMap::new();
    let mut event = |KeptEvent { offset, own }| {
        let make = || match own {
            Some((name, payload)) => EncodedEvent::kept(&name, payload, offset),
            None => sent.get(&offset.message).map(|sent| sent.event(offset)),
        };
        (offset, made.entry(offset).or_insert_with(make).clone())
    };
    let rooms = load_rooms(shared, sessions.iter().flat_map(|(.., kept)| &kept.rooms)).await?;
    let mut restored = 0;
    for (pid, left, kept) in sessions {
        let log =
            Log::restored(shared.recoveries.totals.of(kept.user), kept.floor, kept.log.into_iter().map(&mut event));
        let place = Place::Lost { until: Instant::now() + left, missed: 0 };
        let recoverable = shared.recoveries.add(pid, kept.session, kept.user, log, place);
        restored += usize::from(start_kept(&recoverable, &kept.rooms, shared));
    }
    // Not before their members hold them.
    drop(rooms);
    Ok(restored)
}

/// Starts rooms with what they are made of. Each by itself, all at once, they would ask Postgres for longer than clients wait.
async fn load_rooms(
    shared: &Arc<Shared>,
    rooms: impl Iterator<Item = &ConversationId>,
) -> Result<Vec<RoomHandle>, StoreError> {
    let mut ids: Vec<_> = rooms.copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut rooms = Vec::new();
    for ids in ids.chunks(ROOMS_AT_ONCE) {
        for load in shared.load_rooms(ids).await? {
            if let Some(room) = shared.room(load.conversation) {
                room.loaded(load);
                rooms.push(room);
            }
        }
    }
    Ok(rooms)
}
