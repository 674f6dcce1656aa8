//! What the hub and the session see of a session that outlives its connection.

use std::{sync::Arc, time::Instant};

use crate::{
    event::EncodedEvent,
    ids::SessionId,
    outbox::{AckId, CloseReason, Outbox, Queued},
    refusal::Refusal,
};

use super::{Pid, Place, Recoverable};

impl Outbox for Recoverable {
    fn opened(&self, session: SessionId, _: Option<Pid>) {
        if let Place::Connected(outbox) = &self.state().place {
            outbox.opened(session, Some(self.pid));
        }
    }

    fn event(&self, event: &Arc<EncodedEvent>) -> Queued {
        let state = &mut *self.state();
        if matches!(state.place, Place::Ended) {
            return Queued::Closed;
        }
        if let Some(offset) = event.offset {
            state.log.push(offset, event.clone(), Instant::now());
            let kept = state.log.len();
            if let Place::Lost { missed, .. } = &mut state.place {
                *missed += 1;
                if *missed > kept {
                    // Whoever comes back can no longer be sent everything.
                    self.put(state, Place::Ended);
                }
            }
        }
        match &state.place {
            Place::Connected(outbox) => outbox.event(event),
            Place::Lost { .. } if event.offset.is_some() => Queued::Kept,
            _ => Queued::Closed,
        }
    }

    fn connection(&self) -> u32 {
        self.state().connection
    }

    fn ack(&self, id: AckId, body: &str) {
        if let Place::Connected(outbox) = &self.state().place {
            outbox.ack(id, body);
        }
    }

    fn refuse(&self, id: Option<AckId>, refusal: &Refusal) {
        if let Place::Connected(outbox) = &self.state().place {
            outbox.refuse(id, refusal);
        }
    }

    fn close(&self, reason: CloseReason) {
        let mut state = self.state();
        let outbox = match &state.place {
            Place::Connected(outbox) => Some(outbox.clone()),
            _ => None,
        };
        if !reason.is_recoverable() {
            self.put(&mut state, Place::Ended);
        }
        drop(state);
        if let Some(outbox) = outbox {
            outbox.close(reason);
        }
    }
}
