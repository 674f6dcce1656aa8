//! What a text says about itself: `<run>-<sender>-<number>`, then letters up to its length.
//!
//! The number counts the sender's messages: 1, 2, 3 … The letters follow from their places, so that a text that was altered
//! or cut is known without keeping it.

use std::fmt;

/// A user's number.
pub(crate) type UserNumber = usize;

/// One message, by its sender and the sender's count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Stamp {
    pub(crate) user: UserNumber,
    pub(crate) number: u64,
}

impl Stamp {
    /// A text of so many bytes, or more where the stamp needs them; `run` sets it apart from those of other runs.
    pub(crate) fn text(self, run: &str, length: usize) -> String {
        let mut text = format!("{run}-{}-{} ", self.user, self.number);
        text.extend((text.len()..length).map(|place| char::from(letter(place))));
        text
    }

    /// Whose text it is; `None` if it is not of this run.
    pub(crate) fn of(text: &str, run: &str) -> Option<Self> {
        let mut parts = text.split(' ').next()?.split('-');
        let (of_run, user, number) = (parts.next()?, parts.next()?, parts.next()?);
        let stamp = Self { user: user.parse().ok()?, number: number.parse().ok()? };
        (of_run == run).then_some(stamp)
    }
}

/// Whether a text of so many bytes is what was sent, from its stamp on.
pub(crate) fn is_whole(text: &str, length: usize) -> bool {
    let begins = text.find(' ').map_or(text.len(), |space| space + 1);
    text.len() == length && text.bytes().enumerate().skip(begins).all(|(place, byte)| byte == letter(place))
}

fn letter(place: usize) -> u8 {
    b'a' + (place % 26) as u8
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of user {}", self.number, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_message_and_shows_when_it_was_altered() {
        let stamp = Stamp { user: 7, number: 42 };
        let text = stamp.text("run", 60);
        assert_eq!((text.len(), Stamp::of(&text, "run"), Stamp::of(&text, "other")), (60, Some(stamp), None));
        assert!(is_whole(&text, 60));
        assert!(!is_whole(&text[..50], 60) && !is_whole(&text.replacen('t', "x", 1), 60));
        assert_eq!(stamp.text("run", 0), "run-7-42 ", "a stamp is never cut");
    }
}
