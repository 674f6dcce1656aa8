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
    now: RwLock<Arc<Profile>>,
    registry: Weak<Registry>,
}

impl LiveProfile {
    pub(crate) fn get(&self) -> Arc<Profile> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for LiveProfile {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            let id = self.get().id;
            // Somebody may have put a new one in its place since.
            registry.live.remove_if(&id, |_, held| held.strong_count() == 0);
        }
    }
}

#[derive(Debug, Default)]
struct Registry {
    live: DashMap<UserId, Weak<LiveProfile>>,
    changes: AtomicU64,
}

/// The profiles in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles(Arc<Registry>);

impl Profiles {
    /// Counts changes. A profile read from the database before a change must not be held after it.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }

    /// Holds a profile that was read when there had been `changes`; `None` if there were more since: read again.
    pub(crate) fn hold(&self, profile: Profile, changes: u64) -> Option<Arc<LiveProfile>> {
        let mut entry = self.0.live.entry(profile.id);
        if let Entry::Occupied(held) = &mut entry
            && let Some(live) = held.get().upgrade()
        {
            return Some(live);
        }
        // Under the entry's lock: a change is either counted already or finds the profile here.
        if self.changes() != changes {
            return None;
        }
        let live = Arc::new(LiveProfile { now: RwLock::new(Arc::new(profile)), registry: Arc::downgrade(&self.0) });
        entry.insert(Arc::downgrade(&live));
        Some(live)
    }

    /// A profile changed: whoever holds it has the new one from now on.
    pub(crate) fn changed(&self, profile: Profile) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        let live = self.0.live.get(&profile.id).and_then(|held| held.upgrade());
        if let Some(live) = live {
            *live.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(profile);
        }
    }

    /// Whose profiles are in use.
    pub(crate) fn in_use(&self) -> Vec<UserId> {
        self.0.live.iter().map(|held| *held.key()).collect()
    }

    pub(crate) fn is_in_use(&self, user: &UserId) -> bool {
        self.0.live.contains_key(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(id: UserId, name: &str) -> Profile {
        Profile { id, full_name: name.to_owned(), profile_picture_url: None }
    }

    #[test]
    fn a_change_reaches_who_holds_the_profile() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "old"), profiles.changes()).expect("no change since");
        profiles.changed(profile(id, "new"));
        assert_eq!(held.get().full_name, "new");
    }

    #[test]
    fn a_profile_read_before_a_change_is_not_held() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let before = profiles.changes();
        profiles.changed(profile(id, "new"));
        assert!(profiles.hold(profile(id, "old"), before).is_none());
    }

    #[test]
    fn a_profile_nobody_holds_is_forgotten() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "name"), 0).expect("no change since");
        assert!(profiles.is_in_use(&id));
        drop(held);
        assert_eq!(profiles.in_use(), vec![]);
    }
}
