//! Reads a document's fields, and says in plain words which of them is why it cannot be read.
//!
//! That is looked for only when a document was not read: each field by itself, by the type that it has in its struct.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, oid::ObjectId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::documents::Refused;

/// The fields of a document that could not be read, each as it stands there.
type Found<'a> = BTreeMap<String, &'a RawValue>;

/// A struct of fields.
pub(super) trait Fields<'de>: Deserialize<'de> {
    /// The first field that is not what it must be, and why.
    fn wrong(found: &Found<'_>) -> Option<String>;
}

/// A struct that is [`Fields`]; its fields are of types that are [`Field`].
macro_rules! fields {
    ($(struct $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        #[derive(serde::Deserialize)]
        struct $name { $($field: $type,)* }

        impl crate::transfer::fields::Fields<'_> for $name {
            fn wrong(found: &std::collections::BTreeMap<String, &serde_json::value::RawValue>) -> Option<String> {
                None$(.or_else(|| crate::transfer::fields::wrong::<$type>(stringify!($field), found)))*
            }
        }
    )*};
}
pub(super) use fields;

/// What stands in a field.
pub(super) trait Field: DeserializeOwned {
    /// What it must be.
    const NAME: &'static str;
    const MAY_BE_MISSING: bool = false;

    /// Why this JSON is none, if so.
    fn wrong(path: &str, json: &str) -> Option<String> {
        serde_json::from_str::<Self>(json).is_err().then(|| is_not(path, json, Self::NAME))
    }
}

impl Field for ObjectId {
    const NAME: &'static str = "an ObjectId";
}

impl Field for DateTime {
    const NAME: &'static str = "a date";
}

impl Field for String {
    const NAME: &'static str = "a string";
}

impl Field for bool {
    const NAME: &'static str = "true or false";
}

/// A number, in whichever way it was written.
impl Field for Bson {
    const NAME: &'static str = "a number";
}

impl<T: Field> Field for Option<T> {
    const NAME: &'static str = T::NAME;
    const MAY_BE_MISSING: bool = true;

    fn wrong(path: &str, json: &str) -> Option<String> {
        if json == "null" { None } else { T::wrong(path, json) }
    }
}

impl<T: Field> Field for Vec<T> {
    const NAME: &'static str = "an array";

    fn wrong(path: &str, json: &str) -> Option<String> {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) else {
            return Some(is_not(path, json, Self::NAME));
        };
        items.iter().enumerate().find_map(|(at, item)| T::wrong(&format!("{path}[{at}]"), item.get()))
    }
}

/// Why a document has no such field, if so.
pub(super) fn wrong<T: Field>(name: &str, found: &Found<'_>) -> Option<String> {
    match found.get(name) {
        Some(json) => T::wrong(name, json.get()),
        None => (!T::MAY_BE_MISSING).then(|| format!("{name}: missing")),
    }
}

fn is_not(path: &str, json: &str, name: &str) -> String {
    let but = match json.as_bytes().first() {
        Some(b'n') => return format!("{path}: null is not {name}"),
        Some(b'"') => ", but a string",
        Some(b'[') => ", but an array",
        Some(b't' | b'f') => ", but true or false",
        Some(b'0'..=b'9' | b'-') => ", but a number",
        // Such as a `$date` that is none.
        _ => "",
    };
    format!("{path}: not {name}{but}")
}

/// Reads a document.
///
/// # Errors
/// Why it has not such fields.
pub(super) fn read<'de, T: Fields<'de>>(text: &'de [u8]) -> Result<T, Refused> {
    serde_json::from_slice(text).map_err(|error| {
        let Ok(text) = str::from_utf8(text) else {
            return Refused { id: None, reason: "not JSON: its characters are not UTF-8".to_owned() };
        };
        match serde_json::from_str::<Found<'_>>(text) {
            Ok(found) => {
                let id = found.get("_id").and_then(|id| serde_json::from_str::<ObjectId>(id.get()).ok());
                let reason = T::wrong(&found).unwrap_or_else(|| without_place(&error));
                Refused { id: id.map(ObjectId::to_hex), reason }
            }
            Err(error) => Refused { id: None, reason: format!("not JSON: {}", without_place(&error)) },
        }
    })
}

/// Where it is in the document is of no use: the report does not have that.
fn without_place(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let reason = reason.split_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    // What is left when each field by itself is sound.
    match reason.strip_prefix("duplicate field `").and_then(|name| name.strip_suffix('`')) {
        Some(name) => format!("{name}: there twice"),
        None => reason.to_owned(),
    }
}
