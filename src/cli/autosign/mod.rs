//! `enlist autosign`, and the program `enlist-autosign`: a policy executable for a Puppet Server.
//!
//! Source: Puppet's documentation, "Autosigning certificate requests", policy-based autosigning. The
//! server runs it once for each request, as its own user, and holds the node's request meanwhile. So it
//! reads only what the request makes necessary: no certificates of CAs, no runtime and no client before
//! STS has to be asked.

mod record;
mod sts;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Parser};

use super::{Global, printer};
use crate::autosign::{Checks, Decision, Found, Judge, LARGEST, Needs, Policy, Refusal};
use crate::fault::{Fault, Kind};
use crate::host::{Root, clock, core_dumps, files};
use crate::secret::Secret;
use crate::text;

/// The name of the program of its own.
pub const PROGRAM: &str = "enlist-autosign";

/// Where the settings are.
pub const SETTINGS: &str = "/etc/enlist/autosign.toml";

/// How much of a request that is too large is read and dropped, in bytes: the server should not find
/// its pipe closed.
const DRAINED: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub struct Options {
    /// Print each check with its result, and write no audit line
    #[arg(long)]
    explain: bool,
    /// The name that the certificate is asked for
    certname: String,
}

/// Decides whether a Puppet Server signs a certificate request: exit code 0 signs
///
/// The request, PEM, is read from standard input. The settings are in /etc/enlist/autosign.toml.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, max_term_width = 100)]
pub struct Program {
    /// Read the settings from this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Whether this process was started under the name of the program of its own.
#[must_use]
pub fn is_program(started_as: Option<&OsStr>) -> bool {
    started_as.map(std::path::Path::new).and_then(std::path::Path::file_name)
        == Some(OsStr::new(PROGRAM))
}

impl Program {
    /// Runs the program with its arguments, the first of which is its own name, and returns its exit
    /// code. Only a signature is 0: the server signs whatever ends so, and the help would.
    ///
    /// A single argument is the certname, since that is how the server runs it. Servers before 7.9.2
    /// accept a node named `--help`.
    #[must_use]
    pub fn run(mut arguments: Vec<OsString>) -> u8 {
        core_dumps::disable();
        if arguments.len() == 2 {
            arguments.insert(1, "--".into());
        }
        let program = match Self::try_parse_from(arguments) {
            Ok(program) => program,
            Err(error) => {
                // If this fails, nobody reads the output.
                let _ = error.print();
                return Kind::Usage.exit_code();
            }
        };
        run(&Root::running_system(), program.config, &program.options).unwrap_or_else(|fault| {
            printer::error(&fault);
            fault.kind.exit_code()
        })
    }
}

/// Runs the command. `--root` applies to all files.
pub fn command(global: &Global, options: &Options) -> Result<u8, Fault> {
    run(&global.root()?, global.config.clone(), options)
}

/// Judges the request on standard input, and says the decision. Every problem of settings, request and
/// network is a refusal with an exit code.
///
/// # Errors
/// `Host` if the explanation can't be written.
fn run(root: &Root, config: Option<PathBuf>, options: &Options) -> Result<u8, Fault> {
    let path = match config {
        Some(path) => std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned(),
        None => SETTINGS.to_owned(),
    };
    let policy = match settings(root, &path) {
        Ok(policy) => policy,
        Err(refusal) => {
            say(&format!("{}: not signed: {}", options.certname, refusal.why));
            return Ok(refusal.kind.exit_code());
        }
    };
    let request = match request() {
        Ok(request) => request,
        Err(refusal) => {
            let decision = unread(&options.certname, refusal);
            return conclude(root, &policy, options, decision);
        }
    };
    let judge = Judge::begin(&policy, &options.certname, &request, clock::unix_now());
    let found = find(root, &policy, judge.needs());
    conclude(root, &policy, options, judge.decide(&found))
}

/// Says the decision, after it was recorded. What can't be recorded is not signed.
fn conclude(
    root: &Root,
    policy: &Policy,
    options: &Options,
    mut decision: Decision,
) -> Result<u8, Fault> {
    if options.explain {
        printer::out(&decision.explanation())?;
        return Ok(exit_code(&decision));
    }
    if let Err(refusal) = record::write(root, policy.audit.as_deref(), &decision)
        && decision.verdict.is_ok()
    {
        decision.verdict = Err(refusal);
    }
    say(&decision.sentence());
    Ok(exit_code(&decision))
}

fn exit_code(decision: &Decision) -> u8 {
    decision.verdict.as_ref().err().map_or(0, |refusal| refusal.kind.exit_code())
}

/// One line on stderr, which the server writes to its log.
fn say(sentence: &str) {
    let _ = io::stderr()
        .lock()
        .write_all(format!("{PROGRAM}: {}\n", text::phrase(sentence)).as_bytes());
}

fn unread(certname: &str, refusal: Refusal) -> Decision {
    Decision {
        certname: certname.to_owned(),
        key: None,
        now: clock::unix_now(),
        verdict: Err(refusal),
        proof: None,
        proven: crate::autosign::Proven::default(),
        checks: Checks::default(),
        rules: Vec::new(),
    }
}

/// Reads the settings. They decide who gets a certificate, so nobody else may be able to write them.
fn settings(root: &Root, path: &str) -> Result<Policy, Refusal> {
    let shown = root.shown(path);
    let text = files::read_trusted_text(root, path, files::LARGEST).map_err(|error| {
        let todo = match error.kind() {
            io::ErrorKind::NotFound => Some("docs/autosign.md says what to write there"),
            _ => files::advice(&error),
        };
        let todo = todo.map(|todo| format!("; {todo}")).unwrap_or_default();
        Refusal::new(Kind::Config, format!("the settings {shown} can't be read: {error}{todo}"))
    })?;
    Policy::parse(&text).map_err(|error| {
        Refusal::new(Kind::Config, format!("the settings {shown} can't be used: {error}"))
    })
}

/// The request from standard input, at most one byte more than is accepted.
fn request() -> Result<Vec<u8>, Refusal> {
    let mut stdin = io::stdin().lock();
    let mut request = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    (&mut stdin).take(limit).read_to_end(&mut request).map_err(|error| {
        Refusal::new(Kind::Host, format!("standard input can't be read: {error}"))
    })?;
    if request.len() > LARGEST {
        let _ = io::copy(&mut stdin.take(DRAINED), &mut io::sink());
    }
    Ok(request)
}

/// Reads and asks what the decision needs.
fn find(root: &Root, policy: &Policy, needs: Needs) -> Found {
    let passwords = needs.passwords.into_iter().map(|path| {
        let read = password(root, &path);
        (path, read)
    });
    Found {
        passwords: passwords.collect(),
        certificate: needs.certificate.and_then(|path| certificate(root, &path)),
        sts: needs.sts.map(|request| sts::ask(root, &policy.sts, &request)),
    }
}

fn password(root: &Root, path: &str) -> Result<Secret, Refusal> {
    let read = files::read_secret(root, path);
    read.map(|text| Secret::new(text.to_string()))
        .map_err(|error| unreadable("password", root, path, &error))
}

/// The certificate of a region. None: there is none.
fn certificate(root: &Root, path: &str) -> Option<Result<String, Refusal>> {
    match files::read_trusted_text(root, path, files::LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.map_err(|error| unreadable("certificate", root, path, &error))),
    }
}

fn unreadable(what: &str, root: &Root, path: &str, error: &io::Error) -> Refusal {
    let todo = files::advice(error).map(|todo| format!("; {todo}")).unwrap_or_default();
    let path = root.shown(path);
    Refusal::new(Kind::Config, format!("the {what} in {path} can't be read: {error}{todo}"))
}
