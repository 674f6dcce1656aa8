//! The messages of one session that are under way, and who waits until there are none.

use std::sync::{Arc, Mutex, PoisonError};

/// Counts messages from their way into a room to their delivery, or refusal.
#[derive(Default)]
pub(crate) struct Sends(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: usize,
    when_done: Option<Box<dyn FnOnce() + Send>>,
}

/// One message under way, until it is dropped.
pub(crate) struct UnderWay(Arc<Sends>);

impl Sends {
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way += 1;
        UnderWay(self.clone())
    }

    /// Whether messages are under way. If so, `when_done` is called when the last of them is done; a second call
    /// replaces it.
    pub(crate) fn are_under_way(&self, when_done: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.under_way > 0 {
            state.when_done = Some(Box::new(when_done));
        }
        state.under_way > 0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let when_done = {
            let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.under_way -= 1;
            if state.under_way == 0 { state.when_done.take() } else { None }
        };
        if let Some(when_done) = when_done {
            when_done();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_waits_is_called_when_the_last_message_is_done() {
        let sends = Arc::new(Sends::default());
        let (done, is_done) = mpsc::channel();
        let (one, two) = (sends.begin(), sends.begin());
        assert!(sends.are_under_way(move || done.send(()).expect("the test listens")));
        drop(one);
        assert!(is_done.try_recv().is_err());
        drop(two);
        assert!(is_done.try_recv().is_ok());
        assert!(!sends.are_under_way(|| panic!("nothing to wait for")));
    }
}
