//! What has to hold for whatever others write: one function for each part of the server that reads it.
//!
//! Each takes an input, panics where something does not hold, and returns whether the input was let in, so that a test can
//! see that not everything is turned away at the door. The fuzzer runs them for as long as one likes (`make fuzz`, on
//! nightly Rust); `tests/fuzz_corpus.rs` runs them on the kept corpus, and on a fixed number of inputs made from it.
//!
//! | file | an input is |
//! | --- | --- |
//! | `packet.rs` | a Socket.IO packet; for `envelope` what a plain WebSocket says instead |
//! | `polling.rs` | an Engine.IO polling payload, behind two bytes that say how it is cut |
//! | `token.rs` | a token as it stands, or its header, claims and signature, each on a line |
//! | `keys.rs` | a file with public keys |
//! | `configuration.rs` | a configuration file and, behind a line `---`, environment variables |

mod configuration;
mod keys;
mod packet;
mod polling;
mod token;

pub use configuration::configuration;
pub use keys::keys;
pub use packet::{envelope, packet};
pub use polling::polling;
pub use token::token;
