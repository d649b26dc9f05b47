//! The crash harness: the real core, store, key and file writing on a real directory, against the
//! pure control plane in virtual time, stopped at every point and started again. What it
//! promises is in docs/reliability.md.

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
mod cases;
mod checks;
mod claims;
mod clocks;
mod explore;
mod fleet;
mod joins;
mod keys;
mod leaves;
mod machine;
mod node;
#[path = "../common/puppet_node.rs"]
mod puppet_node;
mod renewals;
mod replies;
#[path = "../../benches/fleet/rng.rs"]
mod rng;
mod syscalls;
mod tree;
mod wire;
