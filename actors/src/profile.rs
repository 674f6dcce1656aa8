//! Profiles of users, and the ones in use: a change reaches every room that shows them.

use std::sync::{
    Arc, PoisonError, RwLock, Weak,
    atomic::{AtomicU64, Ordering},
};

use dashmap::{DashMap, Entry};
use serde::Serialize;

use crate::{ids::UserId, refusal::Refusal};

/// What others see of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Who.
    #[serde(rename = "_id")]
    pub id: UserId,
    /// Shown name.
    pub full_name: String,
    /// Where the picture is, if there is one.
    pub profile_picture_url: Option<String>,
}

impl Profile {
    /// Longest name, in code points.
    const NAME: usize = 200;
    /// Longest URL, in code points.
    const URL: usize = 2048;

    /// # Errors
    /// The name or the URL is too long, the name is blank, or one has a character that Postgres cannot hold.
    pub fn parse(id: UserId, full_name: String, profile_picture_url: Option<String>) -> Result<Self, Refusal> {
        let url = profile_picture_url.as_deref().unwrap_or_default();
        if full_name.trim().is_empty() || full_name.chars().count() > Self::NAME {
            return Err(Refusal::invalid("full_name must have 1 to 200 characters"));
        }
        if url.chars().count() > Self::URL {
            return Err(Refusal::invalid("profile_picture_url must have 2048 characters or less"));
        }
        if full_name.contains('\0') || url.contains('\0') {
            return Err(Refusal::invalid("a profile must not contain the character U+0000"));
        }
        Ok(Self { id, full_name, profile_picture_url })
    }
}

/// A profile that is kept up to date while somebody holds it.
#[derive(Debug)]
pub(crate) struct LiveProfile {
    /// Whose, which does not change.
    pub(crate) id: UserId,
    now: RwLock<Read>,
    /// How many readings have begun.
    readings: AtomicU64,
    registry: Weak<Registry>,
}

/// What a reading has found.
#[derive(Debug)]
struct Read {
    reading: u64,
    profile: Arc<Profile>,
}

impl LiveProfile {
    pub(crate) fn get(&self) -> Arc<Profile> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).profile.clone()
    }

    /// It is about to be read: see [`LiveProfile::end_reading`].
    pub(crate) fn begin_reading(&self) -> u64 {
        self.readings.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes what a reading has found, unless one that began later has ended already: that one has seen all changes of
    /// before it began, whichever order both come back in.
    pub(crate) fn end_reading(&self, reading: u64, profile: Profile) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if reading > now.reading {
            *now = Read { reading, profile: Arc::new(profile) };
        }
    }
}

impl Drop for LiveProfile {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            // Somebody may have put a new one in its place since.
            registry.held.remove_if(&self.id, |_, held| held.strong_count() == 0);
        }
    }
}

#[derive(Debug, Default)]
struct Registry {
    held: DashMap<UserId, Weak<LiveProfile>>,
    changes: AtomicU64,
}

/// The profiles in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles(Arc<Registry>);

impl Profiles {
    /// To be called before profiles are read that are not in use yet.
    pub(crate) fn begin_reading(&self) -> FirstReading<'_> {
        FirstReading { profiles: self, changes: self.changes(), disagrees: false }
    }

    fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }

    /// Holds a user's profile: the one that others hold, else this one. Changes reach it from now on.
    pub(crate) fn hold(&self, profile: Profile) -> Arc<LiveProfile> {
        let mut entry = self.0.held.entry(profile.id);
        if let Entry::Occupied(held) = &mut entry
            && let Some(live) = held.get().upgrade()
        {
            return live;
        }
        let live = Arc::new(LiveProfile {
            id: profile.id,
            now: RwLock::new(Read { reading: 0, profile: Arc::new(profile) }),
            readings: AtomicU64::new(0),
            registry: Arc::downgrade(&self.0),
        });
        entry.insert(Arc::downgrade(&live));
        live
    }

    /// A user's has changed: it, if it is in use, to be read again.
    pub(crate) fn changed(&self, user: UserId) -> Option<Arc<LiveProfile>> {
        // In this order: whoever begins to hold it meanwhile is found, or finds the change.
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.held.get(&user).and_then(|held| held.upgrade())
    }

    /// Any may have changed: those in use.
    pub(crate) fn all_changed(&self) -> Vec<Arc<LiveProfile>> {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        // Not under the registry's lock: the last to let go of one takes it.
        let held: Vec<_> = self.0.held.iter().map(|held| held.clone()).collect();
        held.iter().filter_map(Weak::upgrade).collect()
    }
}

/// A reading of profiles that nobody may hold yet: it may have missed a change that was heard of before they were held.
pub(crate) struct FirstReading<'a> {
    profiles: &'a Profiles,
    changes: u64,
    disagrees: bool,
}

impl FirstReading<'_> {
    /// Holds what was read.
    pub(crate) fn hold(&mut self, read: &Profile) -> Arc<LiveProfile> {
        let live = self.profiles.hold(read.clone());
        // Others hold it, and either of the two readings may be the older one.
        self.disagrees |= *live.get() != *read;
        live
    }

    /// Whether what it holds has to be read again before it is shown.
    pub(crate) fn must_be_repeated(&self) -> bool {
        self.disagrees || self.profiles.changes() != self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(id: UserId, name: &str) -> Profile {
        Profile { id, full_name: name.to_owned(), profile_picture_url: None }
    }

    #[test]
    fn whichever_reading_began_last_is_shown_to_all_who_hold_the_profile() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "old"));
        let (before, after) = (held.begin_reading(), held.begin_reading());
        profiles.changed(id).expect("it is held").end_reading(after, profile(id, "new"));
        assert_eq!(held.get().full_name, "new");
        held.end_reading(before, profile(id, "old"));
        assert_eq!(held.get().full_name, "new");
        held.end_reading(held.begin_reading(), profile(id, "newer"));
        assert_eq!(held.get().full_name, "newer");
    }

    #[test]
    fn what_was_read_is_read_again_where_a_change_may_have_been_missed() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let mut quiet = profiles.begin_reading();
        let _held = quiet.hold(&profile(id, "old"));
        assert!(!quiet.must_be_repeated());
        let mut missed = profiles.begin_reading();
        profiles.changed(UserId::new());
        let _other = missed.hold(&profile(UserId::new(), "old"));
        assert!(missed.must_be_repeated(), "a change was heard of before it was held");
        let mut newer = profiles.begin_reading();
        assert_eq!(newer.hold(&profile(id, "new")).get().full_name, "old");
        assert!(newer.must_be_repeated(), "who holds it may never hear of what was missed");
    }

    #[test]
    fn a_profile_nobody_holds_is_forgotten() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "name"));
        assert_eq!(profiles.all_changed().len(), 1);
        drop(held);
        assert!(profiles.changed(id).is_none() && profiles.all_changed().is_empty());
    }
}
