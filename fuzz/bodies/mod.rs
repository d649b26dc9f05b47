//! The checks of each fuzz target. `fuzz/fuzz_targets` runs them with libFuzzer's inputs,
//! `tests/corpus.rs` with the committed ones. A failed check panics.

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
pub mod autosign;
pub mod certificate;
pub mod chef;
pub mod environment;
pub mod files;
pub mod imds;
pub mod record;
pub mod settings;
mod wire;
mod world;
