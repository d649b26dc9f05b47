//! The crash harness: the real core, store, key and file writing on a real directory, against the
//! emulator's pure control plane in virtual time. A start is stopped at every point and started
//! again. docs/reliability.md says what is checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod agent;
mod aside;
mod authority;
mod by_hand;
mod cases;
mod checks;
mod chef_names;
mod chef_server;
mod claims;
mod clocks;
mod crash_points;
mod explore;
mod fleet;
mod joins;
mod keys;
mod leaves;
mod machine;
mod node;
mod puppet_ca;
#[path = "../common/puppet_node.rs"]
mod puppet_node;
mod renewals;
mod replies;
#[path = "../../benches/fleet/rng.rs"]
mod rng;
mod rotations;
mod signing;
mod syscalls;
mod tree;
mod under_way;
mod wire;
