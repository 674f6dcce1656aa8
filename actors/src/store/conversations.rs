//! Conversations in the database.

use serde::Serialize;
use thiserror::Error;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    ids::{ConversationId, HorseId, UserId},
    limits::CONVERSATIONS,
    profile::Profile,
    sql,
    timestamp::Timestamp,
};

use super::{Store, StoreError, users::profile};

/// A conversation on the wire. `P` is a participant: a [`Profile`], or only the id where the contract says so.
#[derive(Debug, Serialize)]
pub struct Conversation<P: Serialize> {
    /// The conversation.
    #[serde(rename = "_id")]
    pub id: ConversationId,
    /// Who began it, then the other.
    pub participants: [P; 2],
    /// What it is about, if it is about a horse.
    pub horse_id: Option<HorseId>,
    /// Its newest message, if there is one.
    pub last_message: Option<LastMessage>,
    /// The seq of the newest message that it has had, shown or deleted; 0 before the first.
    pub head_seq: i64,
    /// Undeleted messages by the other that the caller has not read.
    pub unread_count: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The newest message of a conversation, for lists.
#[derive(Debug, Serialize)]
pub struct LastMessage {
    /// What.
    pub text: String,
    /// By whom.
    pub sender_id: UserId,
    /// When.
    pub sent_at: Timestamp,
    /// Its place in the conversation.
    pub seq: i64,
    /// Whether the other has read it.
    pub is_read: bool,
}

/// Why two users have no conversation.
#[derive(Debug, Error)]
pub enum OpenConversationError {
    /// The recipient has no profile here.
    #[error("recipient not found")]
    RecipientNotFound,
    /// The caller has no profile here: the marketplace has not told of them yet.
    #[error("caller not found")]
    CallerNotFound,
    /// Postgres did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// A user's conversations, the last changed first, at most [`CONVERSATIONS`].
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn list_conversations(&self, user: UserId) -> Result<Vec<Conversation<Profile>>, StoreError> {
        let reading = self.begin_reading(user).await?;
        let rows = self.read(&reading, sql::LIST_CONVERSATIONS, &[&user, &CONVERSATIONS]).await?;
        Ok(rows.iter().map(listed).collect())
    }

    /// The conversation of two users, about a horse if one is given; made if there is none.
    ///
    /// # Errors
    /// One of them is unknown, or Postgres is away.
    pub async fn open_conversation(
        &self,
        caller: UserId,
        recipient: UserId,
        horse: Option<HorseId>,
    ) -> Result<Conversation<UserId>, OpenConversationError> {
        let reading = self.begin_reading(caller).await?;
        let rows = self.read(&reading, sql::FIND_USERS, &[&[caller, recipient].as_slice()]).await?;
        let known: Vec<_> = rows.iter().map(|row| profile(row, 0)).collect();
        if !known.iter().any(|profile| profile.id == recipient) {
            return Err(OpenConversationError::RecipientNotFound);
        }
        if !known.iter().any(|profile| profile.id == caller) {
            return Err(OpenConversationError::CallerNotFound);
        }
        let (id, now) = (ConversationId::new(), Timestamp::now());
        // Whoever loses the race against another call finds the winner's in the next round; they are never deleted.
        for _ in 0..3 {
            let rows = self.read(&reading, sql::OPEN_CONVERSATION, &[&id, &caller, &recipient, &horse, &now]).await?;
            if let Some(row) = rows.first() {
                return Ok(opened(row));
            }
        }
        Err(StoreError::Unavailable("a conversation was neither found nor made".to_owned()).into())
    }

    /// Undeleted, unread messages by others in the user's conversations.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn count_unread(&self, user: UserId) -> Result<i64, StoreError> {
        let reading = self.begin_reading(user).await?;
        let rows = self.read(&reading, sql::COUNT_UNREAD, &[&user]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// The same in one of them, and in all. Counts have turns of their own: see `Shared::count_turns`.
    pub(crate) async fn count_unread_here(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<(i64, i64), StoreError> {
        let columns: [&(dyn ToSql + Sync); 2] = [&user, &conversation];
        let rows = self.query_before_stop(sql::COUNT_UNREAD_HERE, &columns).await?;
        Ok(rows.first().map_or((0, 0), |row| (row.get(0), row.get(1))))
    }

    /// Conversations with their participants and newest seqs; unknown ones are missing.
    pub(crate) async fn find_rooms(
        &self,
        conversations: &[ConversationId],
    ) -> Result<Vec<(ConversationId, [Profile; 2], i64)>, StoreError> {
        let rows = self.query_before_stop(sql::FIND_ROOMS, &[&conversations]).await?;
        Ok(rows.iter().map(|row| (row.get(0), [profile(row, 1), profile(row, 4)], row.get(7))).collect())
    }
}

fn listed(row: &Row) -> Conversation<Profile> {
    Conversation {
        id: row.get(0),
        horse_id: row.get(1),
        created_at: row.get(2),
        updated_at: row.get(3),
        participants: [profile(row, 4), profile(row, 7)],
        head_seq: row.get(10),
        unread_count: row.get(11),
        last_message: last_message(row, 12),
    }
}

fn opened(row: &Row) -> Conversation<UserId> {
    Conversation {
        id: row.get(0),
        participants: [row.get(1), row.get(2)],
        horse_id: row.get(3),
        created_at: row.get(4),
        updated_at: row.get(5),
        head_seq: row.get(6),
        unread_count: row.get(7),
        last_message: last_message(row, 8),
    }
}

fn last_message(row: &Row, at: usize) -> Option<LastMessage> {
    Some(LastMessage {
        text: row.get::<_, Option<_>>(at)?,
        sender_id: row.get(at + 1),
        sent_at: row.get(at + 2),
        is_read: row.get::<_, Option<Timestamp>>(at + 3).is_some(),
        seq: row.get(at + 4),
    })
}
