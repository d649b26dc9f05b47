#![forbid(unsafe_code)]
//! `enlist` runs on a machine at boot and makes it a member of the service that manages it, without
//! a person's help.
//!
//! The modules are below. A pure module has no clock, no random source and no I/O, and imports pure
//! modules only; `tests/layers.rs` checks the direction of imports.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line, one file per command |
//! | [`config`] | the files of settings, the merged input, the validated settings |
//! | [`daemon`] | `enlist run`: the supervisor, a worker for each target, status, metrics |
//! | [`driver`] | the loop: poll, perform, handle |
//! | [`bootstrap`] | pure: the state machine, its record and its retries |
//! | [`targets`] | pure: who the node enlists with; what to ask next, what an answer means |
//! | [`engines`] | pure: what manages the node afterwards; what it needs, what is written for it |
//! | [`pki`] | pure: keys, requests, certificates |
//! | [`facts`], [`fault`], [`secret`], [`text`] | pure: what every module may import |
//! | [`autosign`] | pure: the authority's side, which judges a certificate request |
//! | [`host`] | clock, disk, network, processes |

pub mod autosign;
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
