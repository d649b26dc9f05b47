//! Runs the program under strace, and parses what strace reports.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::common::{Node, run, text};

/// The system calls to trace: those with which data leaves a process, and those about core dumps.
const CALLS: &str =
    "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg,execve,prlimit64,setrlimit,prctl";

/// A system call: the program that made it, and all texts in it, decoded.
pub struct Call {
    pub program: String,
    /// The line of strace, with file names.
    pub line: String,
    pub texts: Vec<Vec<u8>>,
}

/// The output of a command, and its system calls.
pub struct Traced {
    pub said: String,
    pub calls: Vec<Call>,
}

pub fn may_trace() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let may = tried.is_ok_and(|status| status.success());
    assert!(may || std::env::var("CI").as_deref() != Ok("true"), "CI needs strace");
    if !may {
        println!("SKIPPED: strace is not installed, or can't trace here");
    }
    may
}

/// Runs the program under strace with this umask, and checks its exit code.
pub fn traced(node: &Node, arguments: &[&str], umask: &str, code: i32) -> Traced {
    traced_as(&node.command(arguments), arguments, umask, code)
}

pub fn traced_as(plain: &Command, arguments: &[&str], umask: &str, code: i32) -> Traced {
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_path = text(log.path());
    let strace =
        ["-f", "-v", "-xx", "-y", "-s", "65536", "-e", CALLS, "-e", "signal=none", "-o", log_path];
    let shell = format!("umask {umask}; exec strace \"$@\"");
    let run = run(through(plain, &shell, &strace).stdin(Stdio::null()));
    assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
    let calls = parse(&fs::read_to_string(log.path()).unwrap());
    assert!(calls.len() > 3, "strace reported nothing");
    Traced { said: run.stdout + &run.stderr, calls }
}

/// The same command with the same environment, run by a shell line that gets these arguments first.
pub fn through(plain: &Command, shell: &str, before: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).args(before);
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn parse(log: &str) -> Vec<Call> {
    let mut programs: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let texts: Vec<Vec<u8>> = rest.split('"').skip(1).step_by(2).map(decoded).collect();
        if rest.trim_start().starts_with("execve(") && rest.ends_with("= 0") {
            let program = String::from_utf8_lossy(&texts[0]).into_owned();
            programs.insert(pid, program);
        }
        // A process without an execve is a thread of this program.
        let program = programs.get(pid).cloned().unwrap_or_else(|| "enlist".to_owned());
        calls.push(Call { program, line: rest.trim_start().to_owned(), texts });
    }
    calls
}

/// Decodes `\x61\x62`.
fn decoded(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok()).collect()
}

impl Call {
    pub fn holds(&self, secret: &[u8]) -> bool {
        self.texts.iter().any(|text| text.windows(secret.len()).any(|part| part == secret))
    }

    pub fn is_ours(&self) -> bool {
        self.program.ends_with("/enlist") || self.program == "enlist"
    }

    pub fn is(&self, name: &str) -> bool {
        self.line.starts_with(&format!("{name}("))
    }

    /// What the file descriptor refers to: `pipe:[1]`, `socket:[2]`, or a path.
    pub fn to(&self) -> String {
        let inside = self.line.split_once('<').map_or("", |(_, rest)| rest);
        let name = inside.split_once('>').map_or(inside, |(name, _)| name);
        if name.starts_with("\\x") {
            return String::from_utf8_lossy(&decoded(name)).into_owned();
        }
        name.to_owned()
    }
}
