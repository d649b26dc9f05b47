#![no_main]
//! See the body: it is the same that `tests/corpus.rs` replays.

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::chef::run(data));
