//! Profiles in the database.

use tokio_postgres::Row;

use crate::{ids::UserId, profile::Profile, sql, timestamp::Timestamp};

use super::{Store, StoreError};

impl Store {
    /// The profiles of some users; unknown ones are missing.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn find_users(&self, users: &[UserId]) -> Result<Vec<Profile>, StoreError> {
        Ok(self.query_before_stop(sql::FIND_USERS, &[&users]).await?.iter().map(|row| profile(row, 0)).collect())
    }

    /// A user's tokens of before do not hold any more.
    pub(crate) async fn revoke(&self, user: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.query(sql::REVOKE, &[&user, &at]).await.map(drop)
    }

    /// Whose tokens do not hold any more, and which.
    pub(crate) async fn list_revocations(&self) -> Result<Vec<(UserId, Timestamp)>, StoreError> {
        Ok(self.query(sql::LIST_REVOCATIONS, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Stores a profile, whether it is new or changed.
    ///
    /// # Errors
    /// Postgres is away.
    pub async fn put_user(&self, profile: &Profile) -> Result<(), StoreError> {
        let url = &profile.profile_picture_url;
        self.query(sql::PUT_USER, &[&profile.id, &profile.full_name, url]).await.map(drop)
    }
}

/// The profile that begins at a column.
pub(super) fn profile(row: &Row, at: usize) -> Profile {
    Profile { id: row.get(at), full_name: row.get(at + 1), profile_picture_url: row.get(at + 2) }
}
