//! What a client wants to say: valid by construction.

use std::error::Error;

use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::{limits::CLIENT_MSG_ID_BYTES, refusal::Refusal, text::MessageText, way::Way};

/// A message before it has an id.
#[derive(Clone)]
pub struct Draft {
    /// What is said.
    pub text: MessageText,
    /// By which a repeat is known; one of the two is stored.
    pub client_msg_id: Option<ClientMsgId>,
    /// What becomes of it, for those who look.
    pub way: Way,
}

impl From<MessageText> for Draft {
    fn from(text: MessageText) -> Self {
        Self { text, client_msg_id: None, way: Way::none() }
    }
}

/// The sender's own id of a message, for good the only one of its sender in its conversation: 1 to
/// [`CLIENT_MSG_ID_BYTES`] visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientMsgId(Box<str>);

impl ClientMsgId {
    /// What a client is told whose id is none.
    pub const RULE: &str = "client_msg_id, or Idempotency-Key, must be 1 to 64 visible ASCII characters";

    /// # Errors
    /// An invalid argument: [`ClientMsgId::RULE`].
    pub fn parse(id: impl Into<String>) -> Result<Self, Refusal> {
        let id = id.into();
        let is_sound = (1..=CLIENT_MSG_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sound { Ok(Self(id.into())) } else { Err(Refusal::invalid(Self::RULE)) }
    }
}

impl ToSql for ClientMsgId {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        (&*self.0).to_sql(ty, out)
    }
    fn accepts(ty: &Type) -> bool {
        <&str>::accepts(ty)
    }
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_msg_id_is_1_to_64_visible_ascii_characters() {
        for good in ["a", "~!\"/", &"x".repeat(64), "018f9a40-1b7c-7b1e-8f3e-0242ac120002"] {
            assert!(ClientMsgId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", " ", "a b", "a\n", "\u{7f}", "é", "\0", &"x".repeat(65)] {
            assert_eq!(ClientMsgId::parse(bad), Err(Refusal::invalid(ClientMsgId::RULE)), "{bad:?}");
        }
    }
}
