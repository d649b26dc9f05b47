#![forbid(unsafe_code)]
//! `enlist`: a machine boots, and with nobody at the keyboard it becomes a member of what
//! manages it.
//!
//! The map of the house. Pure rooms (no clock, no random source, no I/O) import pure rooms only;
//! `tests/house.rs` holds the arrows.
//!
//! | room | what |
//! |---|---|
//! | [`cli`] | the command line, one file per command |
//! | [`config`] | fragments on disk, merged input, validated settings |
//! | [`daemon`] | staying a member: every target driven, watched over and reported on |
//! | [`driver`] | the loop: poll, perform, handle |
//! | [`bootstrap`] | pure: the state machine, its record and its pacing |
//! | [`target`] | pure: who we enlist with; what to ask next, what an answer means |
//! | [`engine`] | pure: what is written for Puppet once we are in |
//! | [`pki`] | pure: keys, requests, certificates |
//! | [`facts`], [`fault`], [`secret`], [`text`] | pure: the words that all rooms share |
//! | [`host`] | clock, disk, network, processes |

pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod driver;
pub mod engine;
pub mod facts;
pub mod fault;
pub mod host;
pub mod pki;
pub mod secret;
pub mod target;
pub mod text;
