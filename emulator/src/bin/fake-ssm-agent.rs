//! `fake-ssm-agent`: registers a machine as `amazon-ssm-agent` does, for tests.

use std::process::ExitCode;

use enlist_emulator::fake_ssm_agent::{Machine, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(run(&Machine::from_env(), &arguments))
}
