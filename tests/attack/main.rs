//! Another account of the machine attacks the shipped program, which runs as root: with links,
//! hard links, pipes and devices wherever the program writes, and with races. Whatever it tries,
//! nothing of root's changes.
//!
//! Needs root, to be two accounts; else it says SKIPPED, and fails with CI=true. A sample by
//! default; `ATTACK=all` tries everything, each race 300 times.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod group;
mod races;
mod still;
mod vault;
mod victim;

/// The races, in a process of the other account; see `races`. By itself it does nothing.
#[test]
fn the_other_account() {
    if let Some(what) = std::env::var_os("ATTACKER") {
        races::attack(
            what.to_str().unwrap(),
            std::path::Path::new(&std::env::var("DIRECTORY").unwrap()),
        );
    }
}
