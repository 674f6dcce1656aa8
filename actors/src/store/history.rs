//! A conversation's messages, page by page.

use tokio_postgres::Row;

use crate::{
    ids::{ConversationId, MessageId, UserId},
    message::StoredMessage,
    sql,
    timestamp::Timestamp,
};

use super::{Reading, Store, StoreError};

/// Which messages, and at most how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    start: Start,
    limit: i64,
}

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// A page number: 1 has the newest.
    Number(i64),
    /// The first messages behind a seq.
    After(i64),
    /// The last messages before a seq.
    Before(i64),
}

impl Page {
    const DEFAULT_LIMIT: i64 = 30;
    const MAX_LIMIT: i64 = 100;

    /// From a query string's parameters: what is no number, or too small, means the default; too large a limit the
    /// largest.
    pub fn parse(number: Option<&str>, limit: Option<&str>) -> Self {
        Self::of(Start::Number(at_least_1(number).unwrap_or(1)), limit)
    }

    /// The same with a given start.
    pub fn of(start: Start, limit: Option<&str>) -> Self {
        Self { start, limit: at_least_1(limit).unwrap_or(Self::DEFAULT_LIMIT).min(Self::MAX_LIMIT) }
    }

    /// The first messages behind a seq.
    pub(crate) fn after(seq: i64, limit: i64) -> Self {
        Self { start: Start::After(seq), limit }
    }
}

fn at_least_1(text: Option<&str>) -> Option<i64> {
    text.and_then(|text| whole_number(text.trim())).filter(|number| *number >= 1)
}

/// A number too large for the type is a number all the same.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

/// A page as it was at one moment.
#[derive(Debug)]
pub struct History {
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// Whether there were more in the direction of the page; not known of numbered ones.
    pub has_more: bool,
    /// The conversation's newest seq at that moment.
    pub last_seq: i64,
    /// How many messages of the other the reader had not read.
    pub unread: i64,
}

/// Where a message is that somebody wants to delete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: i64,
    /// Beside the caller.
    pub(crate) other: UserId,
    /// Otherwise it is not deleted.
    pub(crate) by_sender: bool,
    /// It was not deleted before.
    pub(crate) is_first: bool,
}

impl Store {
    /// Deletes a message, if the caller is its sender; once more is no error. `None` if the caller has no part in it.
    pub(crate) async fn delete_message(
        &self,
        message: MessageId,
        caller: UserId,
    ) -> Result<Option<Deletion>, StoreError> {
        let reading = self.begin_reading(caller).await?;
        let rows = self.read(&reading, sql::DELETE_MESSAGE, &[&message, &caller, &Timestamp::now()]).await?;
        let deletion = |row: &Row| Deletion {
            conversation: row.get(0),
            seq: row.get(1),
            other: row.get(2),
            by_sender: row.get(3),
            is_first: row.get(4),
        };
        Ok(rows.first().map(deletion))
    }

    /// The lowest seq among those of these messages that are stored.
    pub(crate) async fn find_first_seq(&self, messages: &[MessageId]) -> Result<Option<i64>, StoreError> {
        let rows = self.query_before_stop(sql::FIND_MESSAGES_BY_ID, &[&messages]).await?;
        Ok(rows.iter().map(|row| row.get(1)).min())
    }

    /// A page of a conversation that exists, as one of its participants sees it whose reading this is.
    pub(crate) async fn read_history(
        &self,
        reading: &Reading,
        conversation: ConversationId,
        page: Page,
    ) -> Result<History, StoreError> {
        let reader = reading.reader();
        let one_more = page.limit + 1;
        let rows = match page.start {
            Start::Number(number) => {
                let offset = (number - 1).saturating_mul(page.limit);
                self.read(reading, sql::READ_HISTORY, &[&conversation, &reader, &page.limit, &offset]).await?
            }
            Start::After(seq) => {
                self.read(reading, sql::READ_AFTER, &[&conversation, &reader, &seq, &one_more]).await?
            }
            Start::Before(seq) => {
                self.read(reading, sql::READ_BEFORE, &[&conversation, &reader, &seq, &one_more]).await?
            }
        };
        let (last_seq, unread) = rows.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
        let mut messages: Vec<_> = rows.iter().filter_map(|row| StoredMessage::from_row(row, 2)).collect();
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        if !matches!(page.start, Start::After(_)) {
            messages.reverse();
        }
        Ok(History { last_seq, unread, has_more, messages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_and_limit_keep_to_their_bounds() {
        let page = |number, limit| match Page::parse(number, limit) {
            Page { start: Start::Number(number), limit } => (number, limit),
            other => panic!("no number in {other:?}"),
        };
        assert_eq!(page(None, None), (1, 30));
        assert_eq!(page(Some("3"), Some("100")), (3, 100));
        assert_eq!(page(Some("0"), Some("101")), (1, 100));
        assert_eq!(page(Some("-1"), Some("0")), (1, 30));
        assert_eq!(page(Some("abc"), Some("-5")), (1, 30));
        assert_eq!(page(Some(""), Some("1e3")), (1, 30));
        assert_eq!(page(Some("99999999999999999999"), Some("99999999999999999999")), (i64::MAX, 100));
    }
}
