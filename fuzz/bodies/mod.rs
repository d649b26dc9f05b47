//! What every fuzz target does with its input. `fuzz/fuzz_targets` gives it libFuzzer's inputs,
//! `tests/corpus.rs` the committed ones. A broken promise is a panic.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test's code: a panic is how it says no"
)]

pub mod answers;
pub mod certificate;
pub mod environment;
pub mod files;
pub mod imds;
pub mod record;
pub mod settings;
mod wire;
mod world;
