//! Postgres, one prepared statement a call where it can be one, and what may be kept in memory.

use std::{error::Error, sync::Arc};

use chrono::{DateTime, SubsecRound, Utc};
use dashmap::DashMap;
use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use serde::{Serialize, Serializer};
use tokio_postgres::{NoTls, Row, types::ToSql};

use crate::id::ObjectId;

const APPEND_MESSAGE: &str = "
    WITH conversation AS (
        UPDATE conversations SET last_message = $1, updated_at = $5
        WHERE id = $2 AND $3 IN (creator_id, recipient_id)
        RETURNING id, creator_id, recipient_id
    ), stored AS (
        INSERT INTO messages (id, conversation_id, sender_id, text, sent_at)
        SELECT $1, id, $3, $4, $5 FROM conversation
    )
    SELECT CASE WHEN creator_id = $3 THEN recipient_id ELSE creator_id END FROM conversation";

// All parts see the same snapshot, so the page shows the state before the marks. One row without a message: the page
// is empty.
const READ_PAGE: &str = "
    WITH conversation AS (
        SELECT id FROM conversations WHERE id = $1 AND $2 IN (creator_id, recipient_id)
    ), marked AS (
        UPDATE messages SET is_read = true, read_at = $5
        WHERE conversation_id = (SELECT id FROM conversation)
          AND sender_id <> $2 AND NOT is_read AND deleted_at IS NULL
    )
    SELECT page.*
    FROM conversation
    LEFT JOIN LATERAL (
        SELECT id, sender_id, text, is_read, read_at, sent_at
        FROM messages
        WHERE conversation_id = conversation.id AND deleted_at IS NULL
        ORDER BY sent_at DESC, id DESC
        LIMIT $3 OFFSET $4
    ) page ON true
    ORDER BY page.sent_at, page.id";

const FIND_PARTICIPANTS: &str = "SELECT creator_id, recipient_id FROM conversations WHERE id = $1";

const FIND_USER: &str = "SELECT id, full_name, profile_picture_url FROM users WHERE id = $1";

const PUT_USER: &str = "
    INSERT INTO users (id, full_name, profile_picture_url) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE
    SET full_name = excluded.full_name, profile_picture_url = excluded.profile_picture_url";

const FIND_CONVERSATION: &str = "
    SELECT c.id, c.creator_id, c.recipient_id, c.horse_id, c.created_at, c.updated_at,
           m.text, m.sender_id, m.sent_at, m.is_read
    FROM conversations c
    LEFT JOIN messages m ON m.id = c.last_message AND m.deleted_at IS NULL
    WHERE least(c.creator_id, c.recipient_id) = least($1::bytea, $2::bytea)
      AND greatest(c.creator_id, c.recipient_id) = greatest($1::bytea, $2::bytea)
      AND ($3::bytea IS NULL OR c.horse_id = $3)
    ORDER BY ($3::bytea IS NULL AND c.horse_id IS NULL) DESC, c.updated_at DESC
    LIMIT 1";

const MAKE_CONVERSATION: &str = "
    INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT DO NOTHING";

const LIST_CONVERSATIONS: &str = "
    SELECT c.id, c.creator_id, c.recipient_id, c.horse_id, c.created_at, c.updated_at,
           m.text, m.sender_id, m.sent_at, m.is_read
    FROM conversations c
    LEFT JOIN messages m ON m.id = c.last_message AND m.deleted_at IS NULL
    WHERE c.creator_id = $1 OR c.recipient_id = $1
    ORDER BY c.updated_at DESC, c.id DESC";

const COUNT_UNREAD: &str = "
    SELECT count(*)
    FROM conversations c
    JOIN messages m ON m.conversation_id = c.id
    WHERE (c.creator_id = $1 OR c.recipient_id = $1)
      AND m.sender_id <> $1 AND NOT m.is_read AND m.deleted_at IS NULL";

/// How an instant is shown: UTC, milliseconds.
pub struct Instant(DateTime<Utc>);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[derive(Serialize)]
pub struct Profile {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub full_name: String,
    pub profile_picture_url: Option<String>,
}

#[derive(Serialize)]
pub struct Message {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub conversation_id: ObjectId,
    pub sender_id: Arc<Profile>,
    pub text: String,
    pub is_read: bool,
    pub read_at: Option<Instant>,
    pub sent_at: Instant,
}

/// `P`: a participant, as an id or populated.
#[derive(Serialize)]
pub struct Conversation<P> {
    #[serde(rename = "_id")]
    id: ObjectId,
    participants: [P; 2],
    horse_id: Option<ObjectId>,
    last_message: Option<LastMessage>,
    created_at: Instant,
    updated_at: Instant,
}

#[derive(Serialize)]
struct LastMessage {
    text: String,
    sender_id: ObjectId,
    sent_at: Instant,
    is_read: bool,
}

impl<P> Conversation<P> {
    fn of_row(row: &Row, participants: [P; 2]) -> Self {
        let text: Option<String> = row.get(6);
        Self {
            id: row.get(0),
            participants,
            horse_id: row.get(3),
            created_at: Instant(row.get(4)),
            updated_at: Instant(row.get(5)),
            last_message: text.map(|text| LastMessage {
                text,
                sender_id: row.get(7),
                sent_at: Instant(row.get(8)),
                is_read: row.get(9),
            }),
        }
    }
}

pub struct Store {
    pool: Pool,
    /// They never change.
    participants: DashMap<ObjectId, [ObjectId; 2]>,
    /// They change through this process only.
    profiles: DashMap<ObjectId, Arc<Profile>>,
}

impl Store {
    /// Connects and makes the tables that are missing.
    pub async fn connect(url: &str, pool_size: usize) -> Result<Self, Box<dyn Error>> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(url.parse()?, NoTls, recycling);
        let pool = Pool::builder(manager).max_size(pool_size).build()?;
        pool.get().await?.batch_execute(include_str!("../../schema.sql")).await?;
        Ok(Self { pool, participants: DashMap::new(), profiles: DashMap::new() })
    }

    /// Stores a message and tells who else is to hear of it. `None`: unknown, or the sender is not a participant.
    pub async fn append_message(
        &self,
        conversation: ObjectId,
        sender: ObjectId,
        text: String,
    ) -> Result<Option<(Message, ObjectId)>, PoolError> {
        // Who has no profile is in no conversation.
        let Some(profile) = self.profile(sender).await? else { return Ok(None) };
        let id = ObjectId::new();
        let sent_at = Utc::now().trunc_subsecs(3);
        let rows = self.query(APPEND_MESSAGE, &[&id, &conversation, &sender, &text, &sent_at]).await?;
        Ok(rows.first().map(|row| {
            let message = Message {
                id,
                conversation_id: conversation,
                sender_id: profile,
                text,
                is_read: false,
                read_at: None,
                sent_at: Instant(sent_at),
            };
            (message, row.get(0))
        }))
    }

    /// A page, oldest first, as it was before everything of the other became read. `None`: not the reader's.
    pub async fn read_page(
        &self,
        conversation: ObjectId,
        reader: ObjectId,
        (limit, offset): (i64, i64),
    ) -> Result<Option<Vec<Message>>, PoolError> {
        let now = Utc::now().trunc_subsecs(3);
        let rows = self.query(READ_PAGE, &[&conversation, &reader, &limit, &offset, &now]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(id) = row.get(0) else { continue };
            let Some(sender) = self.profile(row.get(1)).await? else { continue };
            page.push(Message {
                id,
                conversation_id: conversation,
                sender_id: sender,
                text: row.get(2),
                is_read: row.get(3),
                read_at: row.get::<_, Option<_>>(4).map(Instant),
                sent_at: Instant(row.get(5)),
            });
        }
        Ok(Some(page))
    }

    pub async fn is_participant(&self, conversation: ObjectId, user: ObjectId) -> Result<bool, PoolError> {
        if let Some(participants) = self.participants.get(&conversation) {
            return Ok(participants.contains(&user));
        }
        let rows = self.query(FIND_PARTICIPANTS, &[&conversation]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let participants = [row.get(0), row.get(1)];
        self.participants.insert(conversation, participants);
        Ok(participants.contains(&user))
    }

    pub async fn profile(&self, user: ObjectId) -> Result<Option<Arc<Profile>>, PoolError> {
        if let Some(profile) = self.profiles.get(&user) {
            return Ok(Some(Arc::clone(&profile)));
        }
        let rows = self.query(FIND_USER, &[&user]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let profile = Arc::new(Profile { id: user, full_name: row.get(1), profile_picture_url: row.get(2) });
        self.profiles.insert(user, Arc::clone(&profile));
        Ok(Some(profile))
    }

    pub async fn put_user(&self, profile: Profile) -> Result<Arc<Profile>, PoolError> {
        self.query(PUT_USER, &[&profile.id, &profile.full_name, &profile.profile_picture_url]).await?;
        let profile = Arc::new(profile);
        self.profiles.insert(profile.id, Arc::clone(&profile));
        Ok(profile)
    }

    /// The conversation of these two, about the horse if one is given; made if there is none.
    pub async fn open_conversation(
        &self,
        caller: ObjectId,
        recipient: ObjectId,
        horse: Option<ObjectId>,
    ) -> Result<Option<Conversation<ObjectId>>, PoolError> {
        let mut found = self.query(FIND_CONVERSATION, &[&caller, &recipient, &horse]).await?;
        if found.is_empty() {
            let now = Utc::now().trunc_subsecs(3);
            self.query(MAKE_CONVERSATION, &[&ObjectId::new(), &caller, &recipient, &horse, &now]).await?;
            // Ours, or what a concurrent call made.
            found = self.query(FIND_CONVERSATION, &[&caller, &recipient, &horse]).await?;
        }
        Ok(found.first().map(|row| Conversation::of_row(row, [row.get(1), row.get(2)])))
    }

    pub async fn list_conversations(&self, user: ObjectId) -> Result<Vec<Conversation<Arc<Profile>>>, PoolError> {
        let rows = self.query(LIST_CONVERSATIONS, &[&user]).await?;
        let mut list = Vec::with_capacity(rows.len());
        for row in rows {
            if let (Some(creator), Some(recipient)) = (self.profile(row.get(1)).await?, self.profile(row.get(2)).await?)
            {
                list.push(Conversation::of_row(&row, [creator, recipient]));
            }
        }
        Ok(list)
    }

    pub async fn count_unread(&self, user: ObjectId) -> Result<i64, PoolError> {
        let rows = self.query(COUNT_UNREAD, &[&user]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// Runs a statement, prepared once on each connection.
    async fn query(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, PoolError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, parameters).await?)
    }
}
