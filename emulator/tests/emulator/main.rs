//! The emulator, seen from outside: by the real AWS CLI, by OpenSSL, by a socket, and in virtual
//! time.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests run programs, write files, look at the clock, and end where they fail"
)]

mod activations;
mod admin_api;
mod associations;
mod aws_cli;
mod aws_cli_others;
mod aws_cli_servers;
mod browser;
mod certificates;
mod chef;
mod chef_library;
mod chef_server;
mod client;
mod command_line;
mod constraints;
mod constraints_managed;
mod constraints_ssm;
mod constraints_stacks;
mod curl;
mod fake_ssm_agent;
mod faults;
mod imds;
mod layers;
mod managed;
mod openssl;
mod ordinary_use;
mod page;
mod plane;
mod puppet_ca;
mod puppet_ca_tools;
mod reference;
mod rows;
mod seed_file;
mod serving;
mod signatures;
mod stacks;
mod state;
mod state_killed;
mod sts;
mod throttle;
mod transfer;

use enlist_emulator::{CaSource, Options};

/// The options of tests that have nothing to do with certificates.
fn shared_ca() -> Options {
    Options { ca: CaSource::Shared, ..Options::default() }
}

/// What a test returns; an error is its message.
type Outcome = Result<(), Box<dyn std::error::Error>>;
