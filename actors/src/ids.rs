//! ObjectIds, one type for each kind of thing they name, so that none is taken for another.

use std::{error::Error, fmt};

use bson::oid::ObjectId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(ObjectId);

        impl $name {
            /// A new id: seconds, a random part of this process, a counter.
            #[allow(clippy::new_without_default, reason = "two of them are never the same")]
            pub fn new() -> Self {
                Self(ObjectId::new())
            }

            /// 24 hex characters; `None` for anything else.
            pub fn parse(hex: &str) -> Option<Self> {
                let mut bytes = [0; 12];
                hex::decode_to_slice(hex, &mut bytes).ok().map(|()| Self::from(bytes))
            }

            /// The 12 bytes.
            pub fn bytes(&self) -> [u8; 12] {
                self.0.bytes()
            }
        }

        impl From<[u8; 12]> for $name {
            fn from(bytes: [u8; 12]) -> Self {
                Self(ObjectId::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; 24];
                hex::encode_to_slice(self.bytes(), &mut text).expect("twice as long");
                serializer.serialize_str(std::str::from_utf8(&text).expect("hexadecimal digits"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not an ObjectId"))
            }
        }

        impl ToSql for $name {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                self.bytes().as_slice().to_sql(ty, out)
            }
            fn accepts(ty: &Type) -> bool {
                *ty == Type::BYTEA
            }
            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                Ok(Self::from(<[u8; 12]>::try_from(raw)?))
            }
            fn accepts(ty: &Type) -> bool {
                *ty == Type::BYTEA
            }
        }
    };
}

object_id! {
    /// A user of the marketplace.
    UserId
}
object_id! {
    /// A conversation of two users.
    ConversationId
}
object_id! {
    /// A message.
    MessageId
}
object_id! {
    /// A horse that is for sale; the marketplace knows more of it.
    HorseId
}

object_id! {
    /// A session; never used twice, not even by another process.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_24_hex_characters_and_shown_in_lower_case() {
        let id = UserId::parse("507F1f77bcf86cd799439011").expect("well-formed");
        assert_eq!(id.to_string(), "507f1f77bcf86cd799439011");
        assert_eq!(UserId::from(id.bytes()), id);
        for bad in
            ["", "507f1f77bcf86cd79943901", "507f1f77bcf86cd7994390111", "507f1f77bcf86cd79943901g", "éééééééééééé"]
        {
            assert_eq!(UserId::parse(bad), None, "{bad}");
        }
    }
}
