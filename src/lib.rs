#![forbid(unsafe_code)]
//! `enlist`: a machine boots, and with nobody at the keyboard it becomes a member of what
//! manages it.
//!
//! The modules. Pure ones (no clock, no random source, no I/O) import pure ones only;
//! `tests/layers.rs` checks the direction of imports.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line, one file per command |
//! | [`config`] | fragments on disk, merged input, validated settings |
//! | [`daemon`] | `enlist run`: every target joined, watched and reported on |
//! | [`driver`] | the loop: poll, perform, handle |
//! | [`bootstrap`] | pure: the state machine, its record and its retries |
//! | [`targets`] | pure: who the node enlists with; what to ask next, what an answer means |
//! | [`engines`] | pure: what manages the node afterwards; what it needs, what is written for it |
//! | [`pki`] | pure: keys, requests, certificates |
//! | [`facts`], [`fault`], [`secret`], [`text`] | pure: what every module may import |
//! | [`host`] | clock, disk, network, processes |

pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod driver;
pub mod engines;
pub mod facts;
pub mod fault;
pub mod host;
pub mod pki;
pub mod secret;
pub mod targets;
pub mod text;
