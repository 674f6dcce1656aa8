//! Profiles of users, and the ones in use: a change reaches every room that shows them.

use std::sync::{Arc, PoisonError, RwLock, Weak};

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
    now: RwLock<Version>,
    registry: Weak<Registry>,
}

#[derive(Debug)]
struct Version {
    number: u64,
    profile: Arc<Profile>,
}

impl LiveProfile {
    pub(crate) fn get(&self) -> Arc<Profile> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).profile.clone()
    }

    /// Counts changes.
    pub(crate) fn version(&self) -> u64 {
        self.now.read().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Takes what was read after it had this version, unless it changed since.
    pub(crate) fn refresh(&self, version: u64, profile: Profile) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if now.number == version {
            now.profile = Arc::new(profile);
        }
    }

    fn change(&self, profile: Profile) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = Version { number: now.number + 1, profile: Arc::new(profile) };
    }
}

impl Drop for LiveProfile {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            // Somebody may have put a new one in its place since.
            registry.0.remove_if(&self.id, |_, held| held.strong_count() == 0);
        }
    }
}

#[derive(Debug, Default)]
struct Registry(DashMap<UserId, Weak<LiveProfile>>);

/// The profiles in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles(Arc<Registry>);

impl Profiles {
    /// Holds a user's profile: the one that others hold, else this one. Changes reach it from now on; whoever has read
    /// it before reads again, see [`LiveProfile::refresh`].
    pub(crate) fn hold(&self, profile: Profile) -> Arc<LiveProfile> {
        let mut entry = self.0.0.entry(profile.id);
        if let Entry::Occupied(held) = &mut entry
            && let Some(live) = held.get().upgrade()
        {
            return live;
        }
        let live = Arc::new(LiveProfile {
            id: profile.id,
            now: RwLock::new(Version { number: 0, profile: Arc::new(profile) }),
            registry: Arc::downgrade(&self.0),
        });
        entry.insert(Arc::downgrade(&live));
        live
    }

    /// A profile changed: whoever holds it has the new one from now on.
    pub(crate) fn changed(&self, profile: Profile) {
        let live = self.0.0.get(&profile.id).and_then(|held| held.upgrade());
        if let Some(live) = live {
            live.change(profile);
        }
    }

    /// Whose profiles are in use.
    pub(crate) fn in_use(&self) -> Vec<UserId> {
        self.0.0.iter().map(|held| *held.key()).collect()
    }

    pub(crate) fn is_in_use(&self, user: &UserId) -> bool {
        self.0.0.contains_key(user)
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
        let held = profiles.hold(profile(id, "old"));
        profiles.changed(profile(id, "new"));
        assert_eq!(held.get().full_name, "new");
    }

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "old"));
        let version = held.version();
        held.refresh(version, profile(id, "read again"));
        assert_eq!(held.get().full_name, "read again");
        profiles.changed(profile(id, "new"));
        held.refresh(version, profile(id, "read before"));
        assert_eq!(held.get().full_name, "new");
    }

    #[test]
    fn a_profile_nobody_holds_is_forgotten() {
        let (profiles, id) = (Profiles::default(), UserId::new());
        let held = profiles.hold(profile(id, "name"));
        assert!(profiles.is_in_use(&id));
        drop(held);
        assert_eq!(profiles.in_use(), vec![]);
    }
}
