//! The text of a message: valid by construction.

use crate::{
    limits::{PREVIEW_CODE_POINTS, TEXT_CODE_POINTS},
    refusal::Refusal,
};

/// 1 to [`TEXT_CODE_POINTS`] code points, not all of them white space, none of them U+0000; otherwise kept to the byte.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(String);

impl MessageText {
    /// # Errors
    /// An invalid argument whose message names the rule that is broken.
    pub fn parse(text: impl Into<String>) -> Result<Self, Refusal> {
        let text = text.into();
        if text.is_empty() {
            return Err(Refusal::invalid("text is required"));
        }
        // A byte count within the limit needs no counting of code points.
        if text.len() > TEXT_CODE_POINTS && text.chars().nth(TEXT_CODE_POINTS).is_some() {
            return Err(Refusal::invalid("text must be 2000 characters or less"));
        }
        if text.chars().all(char::is_whitespace) {
            return Err(Refusal::invalid("text must not be blank"));
        }
        if text.contains('\0') {
            return Err(Refusal::invalid("text must not contain the character U+0000"));
        }
        Ok(Self(text))
    }

    /// The text as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first [`PREVIEW_CODE_POINTS`] code points.
    pub fn preview(&self) -> &str {
        preview(&self.0)
    }
}

/// The first [`PREVIEW_CODE_POINTS`] code points of a text.
pub(crate) fn preview(text: &str) -> &str {
    let end = text.char_indices().nth(PREVIEW_CODE_POINTS).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_2000_code_points_is_kept_and_one_of_2001_refused() {
        for unit in ["a", "é", "🐎"] {
            let longest = unit.repeat(2000);
            assert_eq!(MessageText::parse(longest.clone()).ok().map(|text| text.0), Some(longest));
            assert!(MessageText::parse(unit.repeat(2001)).is_err(), "{unit}");
        }
    }

    #[test]
    fn empty_blank_and_nul_are_refused_and_white_space_around_is_kept() {
        for bad in ["", " ", "\n\t\u{3000}\u{a0}", "a\0b", "\0"] {
            assert!(MessageText::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(MessageText::parse("  a\n").ok().map(|text| text.0), Some("  a\n".to_owned()));
    }

    #[test]
    fn a_preview_is_the_first_60_code_points() {
        let preview = |text: &str| MessageText::parse(text).map(|text| text.preview().to_owned()).ok();
        assert_eq!(preview("short"), Some("short".to_owned()));
        assert_eq!(preview(&"🐎".repeat(61)), Some("🐎".repeat(60)));
    }
}
