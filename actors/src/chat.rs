//! The chat of one server, as the layers around it see it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures::future::join_all;
use tokio::{sync::SetOnce, time::timeout};
use tokio_postgres::Config;

use crate::{
    counters::{Counters, Gauge, Held},
    credentials::{Credentials, Revocations},
    directory::Directory,
    draft::Draft,
    feed,
    hub::Presence,
    ids::{ConversationId, MessageId, UserId},
    limits::{LOCK_TIMEOUT, UNDECIDED_DELETIONS, UNDECIDED_FOR},
    loading::Loader,
    message::{MessageDeleted, MessagePage},
    outbox::Outbox,
    per_user::PerUser,
    profile::{Profile, Profiles},
    recovery::{self, Recover, Recoveries},
    refusal::{Code, Refusal},
    reply::{Committed, PostError},
    room::RoomDescription,
    session::SessionHandle,
    shared::Shared,
    store::{Aside, Deletion, Page, Store, StoreError},
    timestamp::Timestamp,
    turns::Turns,
    workers::Workers,
};

/// What a chat needs to know.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// A database whose schema is up to date.
    pub database: Config,
    /// How many workers will enter, 1 to [`WORKERS`](crate::limits::WORKERS).
    pub workers: usize,
    /// How long a room that nobody needs stays in memory.
    pub room_idle: Duration,
    /// How long a session whose client has asked for it waits for another connection; zero: not at all.
    pub recovery: Duration,
}

/// All rooms, sessions and lanes of one server; clones are the same chat.
#[derive(Clone, Debug)]
pub struct Chat(Arc<Shared>);

impl Chat {
    /// A chat without workers, which come with [`Chat::enter_worker`]. Must be called in an actix system.
    pub fn start(config: &ChatConfig) -> Self {
        let counters = Arc::new(Counters::default());
        let (presence, revocations) = (Presence::default(), Revocations::default());
        let database = config.database.clone();
        let shared = Arc::new(Shared {
            directory: Directory::default(),
            profiles: Profiles::default(),
            loader: Loader::default(),
            store: Store::new(&config.database),
            workers: Workers::new(config.workers, database, presence.clone(), revocations.clone(), counters.clone()),
            revocations,
            joined: PerUser::default(),
            count_turns: Turns::new(1),
            undecided_deletions: DashMap::new(),
            recoveries: Recoveries::new(config.recovery, counters.clone()),
            room_idle: config.room_idle,
            open: SetOnce::new(),
            risks: Mutex::default(),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            presence,
            counters,
        });
        actix::spawn(feed::follow(config.database.clone(), shared.clone()));
        actix::spawn(recovery::sweep(shared.clone()));
        Self(shared)
    }

    /// Makes this thread one of the chat's workers. Must be called in an actix arbiter.
    pub fn enter_worker(&self) {
        self.0.workers.hub_here();
    }

    /// Returns when all workers have entered: no room can be asked for before the first one has.
    pub async fn workers_entered(&self) {
        self.0.workers.all_entered().await;
    }

    /// Starts the sessions that the server before has kept, so that their clients can come back to them. To be called once,
    /// when all workers have entered and before [`Chat::open`]. Returns how many there are.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn restore_sessions(&self) -> Result<usize, StoreError> {
        recovery::restore(&self.0).await
    }

    /// From now on connections are served, and the sessions of the server before are this one's: whoever begins this has to
    /// [keep](Self::keep_sessions) them in the end.
    ///
    /// # Errors
    /// Postgres is away: it still has those sessions, perhaps, and nobody is served.
    pub async fn open(&self) -> Result<(), StoreError> {
        // Else the server after this one might start what has gone on here since.
        let generation = self.0.store.forget_kept_sessions().await?;
        let _ = self.0.open.set(generation);
        Ok(())
    }

    /// Returns when connections are served.
    pub async fn opened(&self) {
        self.0.open.wait().await;
    }

    /// Whether sessions can outlive their connection.
    pub fn recovers(&self) -> bool {
        self.0.recoveries.are_on()
    }

    /// Starts a session of a user whose frames go to `outbox`; with `recover` one that outlives its connection, or the one
    /// that the client had before.
    pub fn connect(
        &self,
        user: UserId,
        credentials: Credentials,
        outbox: Arc<dyn Outbox>,
        recover: Option<Recover>,
    ) -> SessionHandle {
        let hub = || self.0.workers.hub_here();
        let Some(recover) = recover.filter(|_| self.recovers()) else {
            return SessionHandle::start(user, credentials, outbox, &self.0, hub());
        };
        SessionHandle::recover(recover, user, credentials, outbox.clone(), &self.0)
            .unwrap_or_else(|| SessionHandle::start_recoverable(user, credentials, outbox, &self.0, hub()))
    }

    /// Refuses a user's tokens of before, here and on all servers of the database, and closes the user's sessions. Returns
    /// the moment.
    ///
    /// # Errors
    /// Postgres is away, or has not answered: then it may be revoked all the same.
    pub async fn revoke(&self, user: UserId) -> Result<Timestamp, StoreError> {
        let now = Timestamp::now();
        self.0.store.revoke(user, now).await?;
        self.0.revoked(user, now);
        Ok(now)
    }

    /// Whether a token of a user's, issued then, was revoked.
    pub fn is_revoked(&self, user: UserId, credentials: Credentials) -> bool {
        self.0.revocations.concern(user, credentials)
    }

    /// Whether a token of a user's, which held once, holds now.
    pub fn still_holds(&self, user: UserId, credentials: Credentials) -> bool {
        credentials.expires_at > Timestamp::now().seconds() && !self.is_revoked(user, credentials)
    }

    /// Learns what was revoked before. To be called before [`Chat::open`].
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn load_revocations(&self) -> Result<(), StoreError> {
        self.0.load_revocations().await
    }

    /// Says something in a conversation, and waits for the commit.
    ///
    /// # Errors
    /// Refused, or the outcome is not known.
    pub async fn post(
        &self,
        conversation: ConversationId,
        sender: UserId,
        draft: impl Into<Draft>,
    ) -> Result<Committed, PostError> {
        let room = self.0.room(conversation).ok_or_else(|| PostError::Refused(Refusal::overloaded()))?;
        room.post_and_wait(sender, draft.into()).await
    }

    /// A page of a conversation, oldest first, as it was before this call; with `mark_read`, everything up to then is read
    /// afterwards.
    ///
    /// # Errors
    /// Unknown, or not the reader's; or Postgres is away.
    pub async fn read_history(
        &self,
        conversation: ConversationId,
        reader: UserId,
        page: Page,
        mark_read: bool,
    ) -> Result<MessagePage, Refusal> {
        let _told = if mark_read { Some(self.begin_announcement()?) } else { None };
        let room = self.0.room(conversation).ok_or_else(Refusal::unavailable)?;
        let participants = room.introduce(reader).await?;
        let reading = self.0.store.begin_reading(reader).await.map_err(log)?;
        let history = self.0.store.read_history(&reading, conversation, page).await.map_err(log)?;
        drop(reading);
        if mark_read && history.unread > 0 {
            room.mark_read_and_wait(reader, history.last_seq).await?;
        }
        Ok(MessagePage {
            conversation,
            participants,
            messages: history.messages,
            has_more: history.has_more,
            head_seq: history.last_seq,
        })
    }

    /// Deletes a message of the caller's and tells the room; once more is answered the same, and the room hears nothing.
    ///
    /// # Errors
    /// Unknown, or not the caller's; or Postgres is away.
    pub async fn delete_message(&self, message: MessageId, caller: UserId) -> Result<MessageDeleted, Refusal> {
        let told = self.begin_announcement()?;
        let (found, is_in_doubt) = self.delete(message, caller).await?;
        let found = found.ok_or_else(Refusal::message_not_found)?;
        if !found.by_sender {
            return Err(Refusal::new(Code::Forbidden, "Only its sender can delete a message"));
        }
        let deleted = || MessageDeleted { conversation_id: found.conversation, id: message, seq: found.seq };
        // Whoever cannot be told sees it with the next page.
        if (found.is_first || is_in_doubt)
            && let Some(room) = self.0.room(found.conversation)
        {
            room.deleted(deleted(), found.other, told);
        }
        Ok(deleted())
    }

    /// Deletes it, and says whether an attempt before may have done so unheard: its connection had broken. Then the room hears
    /// of it now, perhaps once more.
    async fn delete(&self, message: MessageId, caller: UserId) -> Result<(Option<Deletion>, bool), Refusal> {
        let undecided = &self.0.undecided_deletions;
        let _turn = self.0.store.begin_deleting(caller).await.map_err(log)?;
        let (this, begun) = ((message, caller), Instant::now());
        let mut found = self.0.store.delete_message(message, caller).await;
        let mut is_in_doubt = matches!(found, Err(StoreError::Unanswered(_)));
        // A connection that breaks does so at once; whatever takes longer is left to the caller.
        if is_in_doubt && begun.elapsed() < LOCK_TIMEOUT {
            found = self.0.store.delete_message(message, caller).await;
        }
        if found.is_ok() {
            is_in_doubt |= undecided.remove(&this).is_some();
        } else if is_in_doubt {
            if undecided.len() >= UNDECIDED_DELETIONS {
                undecided.retain(|_, since| since.elapsed() < UNDECIDED_FOR);
            }
            if undecided.len() < UNDECIDED_DELETIONS {
                undecided.insert(this, begun);
            }
        }
        Ok((found.map_err(log)?, is_in_doubt))
    }

    /// What changes while the server stops would be missing in the sessions that are kept: refused then, waited for before.
    fn begin_announcement(&self) -> Result<Held, Refusal> {
        // In this order: a stop that begins meanwhile waits for it.
        let told = self.0.counters.hold(Gauge::Announcements);
        if self.is_stopping() { Err(Refusal::unavailable()) } else { Ok(told) }
    }

    /// Rooms in memory whose conversation's id begins so, so many at most, but for those that wait for Postgres; and how many
    /// there are.
    pub async fn describe_rooms(&self, begins: &str, limit: usize) -> (usize, Vec<RoomDescription>) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (count, rooms) = self.0.directory.find(begins, limit);
        let described = join_all(rooms.iter().map(|room| timeout(PATIENCE, room.describe()))).await;
        (count, described.into_iter().flatten().flatten().collect())
    }

    /// Stores a profile; rooms show it from now on.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn put_user(&self, profile: &Profile) -> Result<(), StoreError> {
        self.0.store.put_user(profile).await?;
        // Read, since another change may be the last one. It is committed: if this fails, the announcement makes up for it.
        if let Err(error) = self.0.read_again(self.0.profiles.changed(profile.id).as_slice()).await {
            tracing::warn!(%error, "cannot read a profile that was changed");
        }
        Ok(())
    }

    /// For tests and benchmarks.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Reads that need no room.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// How Postgres is set so that it may lose what was committed; empty if all is well, or not known yet.
    pub fn risks(&self) -> Vec<&'static str> {
        self.0.risks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is there and what has happened.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// How many messages and read marks are not committed yet, and how many lanes there are.
    pub fn lanes(&self) -> (usize, usize) {
        (self.0.workers.rows_waiting(), self.0.workers.lanes())
    }

    /// The server will stop: no new connections from now on. Returns whether that was known already.
    pub fn drain(&self) -> bool {
        self.0.draining.swap(true, Ordering::SeqCst)
    }

    /// Whether the server will stop.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// The server stops: new messages are refused from now on, and reads that wait for Postgres to have time for them.
    pub fn refuse_new(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
        self.0.store.refuse_waiting();
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }

    /// Keeps the sessions that can be recovered for the next server. To be called when everything has [settled](Self::settled);
    /// they cannot be recovered here any more. Returns how many there are.
    ///
    /// # Errors
    /// Postgres is away; their clients will get new sessions.
    pub async fn keep_sessions(&self) -> Result<usize, StoreError> {
        if !self.recovers() {
            return Ok(0);
        }
        let postgres = self.0.store.aside().await;
        self.tell_undecided_deletions(&postgres).await?;
        self.settled().await;
        recovery::keep(&self.0, &postgres).await
    }

    /// The next server does not know that the answer to a deletion was lost, and would tell nobody when it is repeated.
    async fn tell_undecided_deletions(&self, postgres: &Aside) -> Result<(), StoreError> {
        let undecided: Vec<_> = self.0.undecided_deletions.iter().map(|deletion| *deletion.key()).collect();
        if undecided.is_empty() {
            return Ok(());
        }
        let messages: Vec<_> = undecided.iter().map(|(message, _)| *message).collect();
        for (caller, other, deleted) in postgres.find_deleted(&messages).await? {
            if undecided.contains(&(deleted.id, caller))
                && let Some(room) = self.0.room(deleted.conversation_id)
            {
                room.deleted(deleted, other, self.0.counters.hold(Gauge::Announcements));
            }
        }
        Ok(())
    }

    /// Returns when everything that was accepted is committed and answered, and everybody told of it.
    pub async fn settled(&self) {
        // Only a stop waits for it, so that looking now and then is simpler than being told.
        const LOOK: Duration = Duration::from_millis(5);
        let counters = &self.0.counters;
        const UNDER_WAY: [Gauge; 3] = [Gauge::Unanswered, Gauge::MessagesInFlight, Gauge::Announcements];
        let open = || UNDER_WAY.iter().map(|gauge| counters.get(*gauge)).sum::<i64>();
        while self.0.workers.rows_waiting() > 0 || open() > 0 {
            tokio::time::sleep(LOOK).await;
        }
        // What rooms have told the hubs may still be on its way to the sessions.
        self.0.workers.rooms_once_delivered().await;
    }
}

fn log(error: StoreError) -> Refusal {
    tracing::warn!(%error, "a read failed");
    error.into()
}
