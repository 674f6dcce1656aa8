//! An event for many recipients: encoded once, shared by all.

use std::{any::Any, fmt, sync::OnceLock};

use serde::Serialize;

use crate::message::{Notification, Typist};

/// What happens to an event that a recipient has no room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It must not be missed: the recipient is closed and resumes.
    Durable,
    /// It is dropped.
    Ephemeral,
}

/// A named event with its payload as JSON, and the form that a transport gave it.
pub struct EncodedEvent {
    /// The name on the wire.
    pub name: &'static str,
    /// The payload, JSON.
    pub payload: String,
    /// What to do when there is no room for it.
    pub durability: Durability,
    form: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl EncodedEvent {
    /// A committed message, encoded already, for the members of its room.
    pub(crate) fn new_message(json: String) -> Self {
        Self::new("new_message", json, Durability::Durable)
    }

    /// The same in short, for the other participant.
    pub(crate) fn message_notification(notification: &Notification<'_>) -> Self {
        Self::new("message_notification", encode(notification), Durability::Durable)
    }

    /// Somebody types, or stopped.
    pub(crate) fn typing(typist: &Typist, started: bool) -> Self {
        let name = if started { "user_typing" } else { "user_stop_typing" };
        Self::new(name, encode(typist), Durability::Ephemeral)
    }

    fn new(name: &'static str, payload: String, durability: Durability) -> Self {
        Self { name, payload, durability, form: OnceLock::new() }
    }

    /// The event as a transport sends it, made by the first recipient that needs it.
    pub fn form<F: Clone + Send + Sync + 'static>(&self, make: impl Fn(&Self) -> F) -> F {
        self.form
            .get_or_init(|| Box::new(make(self)))
            .downcast_ref::<F>()
            // Another kind of transport was first.
            .map_or_else(|| make(self), F::clone)
    }
}

impl fmt::Debug for EncodedEvent {
    // Without the payload: texts do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedEvent").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs of strings and numbers always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_form_is_made_once_for_all_recipients() {
        let event = EncodedEvent::new_message("{}".to_owned());
        let made = Cell::new(0);
        for _ in 0..3 {
            let form = event.form(|event| {
                made.set(made.get() + 1);
                format!("{}{}", event.name, event.payload)
            });
            assert_eq!(form, "new_message{}");
        }
        assert_eq!(made.get(), 1);
    }
}
