//! No text makes the Socket.IO packet parser panic.

#![no_main]

use horsetrust_chat::socket_io::Packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Packet::parse(text);
});
