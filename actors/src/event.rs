//! An event for many recipients: encoded once, shared by all.

use std::{any::Any, fmt, sync::OnceLock};

use serde::Serialize;

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
    pub(crate) fn durable(name: &'static str, payload: String) -> Self {
        Self { name, payload, durability: Durability::Durable, form: OnceLock::new() }
    }

    pub(crate) fn ephemeral(name: &'static str, payload: &impl Serialize) -> Self {
        Self { name, payload: encode(payload), durability: Durability::Ephemeral, form: OnceLock::new() }
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
        let event = EncodedEvent::durable("new_message", "{}".to_owned());
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
