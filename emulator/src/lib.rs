//! An API-compatible control plane and EC2 instance metadata service: to try `enlist` out, to test
//! it, and for image pipelines. It shares no code with the agent: shared types would hide a
//! misspelled member.
//!
//! Rooms: [`control`], [`imds`] and [`sigv4`] are pure (time is an argument); [`ca`] signs;
//! [`emulator`] serves them over HTTP. [`fake_ssm_agent`] is no part of it: a program on a node that
//! tests run in place of `amazon-ssm-agent`.

mod admin_api;
pub mod ca;
pub mod control;
pub mod emulator;
pub mod error;
pub mod fake_ssm_agent;
mod hex;
pub mod http;
pub mod imds;
mod listener;
mod log;
pub mod now;
pub mod options;
mod page;
pub mod random;
mod setup;
mod shared;
pub mod sigv4;
mod state;
mod store;
mod tar;
mod zip;

pub use control::{Call, ControlPlane, Fault, FaultKind};
pub use emulator::{Emulator, StartError, machine_now};
pub use now::Now;
pub use options::{CaSource, Options, SeedNode};
pub use setup::MISLEADING_ENV;
pub use store::StateError;
