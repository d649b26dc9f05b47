//! Another account of the machine attacks the program, which runs as root: with links, hard links,
//! pipes and devices in every place where the program writes, and with races. No file of root's may
//! change.
//!
//! The tests need root, to use two accounts. Otherwise they print SKIPPED, and fail with CI=true. By
//! default a sample is run, and each race 10 times; `ATTACK=all` runs everything, and each race
//! 60 times. `RACES=300` runs each race 300 times.

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

/// The attacker of `races`, which starts this test in a process of the other account.
#[test]
fn the_other_account() {
    if let Some(what) = std::env::var_os("ATTACKER") {
        races::attack(
            what.to_str().unwrap(),
            std::path::Path::new(&std::env::var("DIRECTORY").unwrap()),
        );
    }
}
