//! What was posted, read back: each message must be on the pages of its conversation once, in order, as it was sent.

use std::rc::Rc;

use hyper::Method;

use super::rest::{Fetched, messages};
use crate::{
    failure::Failure,
    ledger::Ledger,
    rest::{Answer, Rest},
    stamp::{Stamp, UserNumber, is_whole},
    track::Track,
    world::World,
};

/// Messages in a page that is read back.
const LIMIT: usize = 100;
/// Length of a text that is posted, in bytes.
const LENGTH: usize = 100;

/// All posts of a run.
pub(super) struct Posts {
    /// Sets them apart from what sockets sent in the same conversations.
    run: String,
    posters: Vec<Poster>,
}

/// What one user has posted.
pub(super) struct Poster {
    run: String,
    user: UserNumber,
    /// How many, refused ones included.
    count: u64,
    /// Those that were found.
    found: Track,
    /// The one that was not answered: it may be there or not.
    unanswered: Option<u64>,
}

impl Poster {
    /// The text of the next post.
    pub(super) fn next(&mut self) -> String {
        self.count += 1;
        Stamp { user: self.user, number: self.count }.text(&self.run, LENGTH)
    }

    /// The last one was refused.
    pub(super) fn refused(&mut self) {
        self.found.withdraw(self.count);
    }

    /// The last one was not answered.
    pub(super) fn unanswered(&mut self) {
        self.unanswered = Some(self.count);
    }

    /// Those that should have been found and were not.
    fn lacking(&self) -> impl Iterator<Item = Stamp> {
        let lacks = |number: &u64| self.found.lacks(*number) && self.unanswered != Some(*number);
        (1..=self.count).filter(lacks).map(|number| Stamp { user: self.user, number })
    }
}

/// A message on a page.
struct Entry {
    /// `None` if it is not a post of this run.
    stamp: Option<Stamp>,
    seq: Option<u64>,
    is_whole: bool,
}

impl Posts {
    /// For each user of the run.
    pub(super) fn new(world: &World) -> Self {
        let run = format!("{}p", world.run);
        let poster =
            |user| Poster { run: run.clone(), user, count: 0, found: Track::starting_after(0), unanswered: None };
        let posters = (0..world.users.len()).map(poster).collect();
        Self { run, posters }
    }

    pub(super) fn posters(&mut self) -> impl Iterator<Item = &mut Poster> {
        self.posters.iter_mut()
    }

    /// Reads the pages of every conversation, users two by two. Whether all is as it was posted; what is not is a violation.
    pub(super) async fn read_back(&mut self, world: &Rc<World>) -> bool {
        let mut sound = true;
        for room in 0..self.posters.len() / 2 {
            let read = self.pages(world, room).await;
            let mut ledger = world.ledger.borrow_mut();
            match read {
                Ok(entries) => sound &= self.check(&mut ledger, room, &entries),
                Err(failure) => {
                    sound = false;
                    ledger.violation(format_args!("what was posted cannot be read back: {failure}"));
                }
            }
        }
        sound
    }

    /// What the pages of a conversation have, oldest first, as far back as this run's posts go.
    async fn pages(&self, world: &World, room: usize) -> Result<Vec<Entry>, Failure> {
        let mut rest = Rest::connect(&world.target).await?;
        let mut newest_first = Vec::new();
        for page in 1.. {
            let path = format!("{}?page={page}&limit={LIMIT}", messages(world, room));
            let token = &world.users[2 * room].token;
            let Answer { status, body, .. } = rest.call_patiently(Method::GET, &path, token, None).await?;
            let fetched = serde_json::from_slice::<Fetched<'_>>(&body).ok().filter(|fetched| fetched.success);
            let fetched = fetched.ok_or_else(|| Failure::new(format!("{path}: {status}, and no page")))?;
            let entries: Vec<_> = fetched
                .data
                .iter()
                .map(|message| Entry {
                    stamp: Stamp::of(&message.text, &self.run).filter(|stamp| stamp.user / 2 == room),
                    seq: message.seq,
                    is_whole: is_whole(&message.text, LENGTH),
                })
                .collect();
            let goes_on = entries.iter().any(|entry| entry.stamp.is_some());
            newest_first.extend(entries.into_iter().rev());
            if !goes_on {
                break;
            }
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    fn check(&mut self, ledger: &mut Ledger, room: usize, entries: &[Entry]) -> bool {
        let id = ledger.conversation_id(room).to_owned();
        let before = ledger.violations();
        for two in entries.windows(2) {
            if let (Some(one), Some(next)) = (two[0].seq, two[1].seq)
                && next != one + 1
            {
                ledger.violation(format_args!("seq {next} follows {one} on the pages of conversation {id}"));
            }
        }
        for (stamp, entry) in entries.iter().filter_map(|entry| entry.stamp.zip(Some(entry))) {
            if !entry.is_whole {
                ledger.violation(format_args!("posted {stamp} has another text on the pages of conversation {id}"));
            }
            if let Err(wrong) = self.posters[stamp.user].found.came(stamp.number) {
                ledger.violation(format_args!("posted {stamp} is there {wrong} on the pages of conversation {id}"));
            }
        }
        for stamp in self.posters[2 * room..][..2].iter().flat_map(Poster::lacking) {
            ledger.violation(format_args!("posted {stamp} is not on the pages of conversation {id}"));
        }
        ledger.violations() == before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The violations when a user has posted three messages, the second of which was refused, and these are found.
    fn found(numbers: &[u64]) -> u64 {
        let mut ledger = Ledger::new("run".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
        ledger.add_conversation("c".to_owned(), [0, 1]);
        let poster =
            |user| Poster { run: "runp".to_owned(), user, count: 0, found: Track::starting_after(0), unanswered: None };
        let mut posts = Posts { run: "runp".to_owned(), posters: vec![poster(0), poster(1)] };
        posts.posters[0].next();
        posts.posters[0].next();
        posts.posters[0].refused();
        posts.posters[0].next();
        let entry = |(place, number): (usize, &u64)| Entry {
            stamp: Some(Stamp { user: 0, number: *number }),
            seq: Some(place as u64 + 1),
            is_whole: true,
        };
        let entries: Vec<_> = numbers.iter().enumerate().map(entry).collect();
        posts.check(&mut ledger, 0, &entries);
        ledger.violations()
    }

    #[test]
    fn posts_are_found_once_and_in_order() {
        assert_eq!(found(&[1, 3]), 0);
        assert_eq!(found(&[]), 2, "stored nowhere");
        assert_eq!(found(&[1, 1, 3]), 1, "twice");
        assert_eq!(found(&[3, 1]), 1, "out of order");
        assert_eq!(found(&[1, 2, 3]), 1, "the refused one, too");
    }
}
