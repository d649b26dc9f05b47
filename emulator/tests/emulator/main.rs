//! The emulator, seen from outside: by the real AWS CLI, by OpenSSL, by a socket, and in virtual
//! time.

mod associations;
mod aws_cli;
mod certificates;
mod client;
mod command_line;
mod constraints;
mod faults;
mod imds;
mod openssl;
mod plane;
mod signatures;
mod throttle;

/// What a test returns; an error is its message.
type Outcome = Result<(), Box<dyn std::error::Error>>;
