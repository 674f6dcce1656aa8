#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    horsetrust_chat_fuzz::envelope(input);
});
