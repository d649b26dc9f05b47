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
use std::time::Duration;

use clap::{Args, Parser};

use super::{Global, printer};
use crate::autosign::{Checks, Decision, Found, Judge, LARGEST, Policy, Refusal};
use crate::fault::{Fault, Kind};
use crate::host::{Root, clock, core_dumps, files, timer};
use crate::secret::Secret;
use crate::text;

/// The name of the program of its own.
pub const PROGRAM: &str = "enlist-autosign";

/// Where the settings are.
pub const SETTINGS: &str = "/etc/enlist/autosign.toml";

/// How much of a request that is too large is read and dropped, in bytes: the server should not find
/// its pipe closed.
const DRAINED: u64 = 16 * 1024 * 1024;

/// Until the request must have come. A server writes it at once.
const READING: Duration = Duration::from_secs(10);

/// Until the decision must be made, whatever hangs. STS may take a minute.
const JUDGING: Duration = Duration::from_secs(90);

#[derive(Clone, Debug, Args)]
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
/// The autosign setting of the server must be exactly /usr/bin/enlist-autosign: under any other name, a
/// copy or a link of it is the program enlist, whose help ends with 0, and that signs.
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
        match arguments.len() {
            0 | 1 => {
                say(
                    "which name? A server gives one argument, the certname; for people there is `enlist autosign --help`",
                );
                return Kind::Usage.exit_code();
            }
            2 => arguments.insert(1, "--".into()),
            _ => {}
        }
        let program = match Self::try_parse_from(arguments) {
            Ok(program) => program,
            Err(error) => {
                // If this fails, nobody reads the output.
                let _ = error.print();
                return Kind::Usage.exit_code();
            }
        };
        judge(Root::running_system(), program.config, program.options).unwrap_or_else(|fault| {
            printer::error(&fault);
            fault.kind.exit_code()
        })
    }
}

/// Runs the command. `--root` applies to all files.
///
/// # Errors
/// `Usage` for `--set`: whoever starts it does not change the rules.
pub fn command(global: &Global, options: &Options) -> Result<u8, Fault> {
    if !global.set.is_empty() {
        let todo =
            format!("write it to a file, and name that with --config; else {SETTINGS} is read");
        let what = "enlist autosign takes no settings from --set";
        return Err(Fault::new(Kind::Usage, what, "--set", todo));
    }
    judge(global.root()?, global.config.clone(), options.clone())
}

/// Runs it, with an end.
fn judge(root: Root, config: Option<PathBuf>, options: Options) -> Result<u8, Fault> {
    let certname = options.certname.clone();
    let judged = timer::within(JUDGING, move || run(&root, config, &options));
    judged.unwrap_or_else(|error| {
        say(&format!("{certname}: not signed: the judgement has no result: {error}"));
        Ok(Kind::Transient.exit_code())
    })
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
            let decision = unread(&options.certname, refusal);
            // Which file the settings name is not known, and stderr says it anyway.
            if !options.explain {
                let _ = record::write(root, None, &decision);
            }
            say(&decision.sentence());
            return Ok(exit_code(&decision));
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
    let found = find(root, &policy, &judge);
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
            io::ErrorKind::NotFound => "docs/trust.md says what to write there".to_owned(),
            _ => owners_advice(root, path, &error),
        };
        Refusal::new(Kind::Config, format!("the settings {shown} can't be read: {error}; {todo}"))
    })?;
    Policy::parse(&text).map_err(|error| {
        Refusal::new(Kind::Config, format!("the settings {shown} can't be used: {error}"))
    })
}

/// The request from standard input, at most one byte more than is accepted.
fn request() -> Result<Vec<u8>, Refusal> {
    let why = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => format!("standard input has not ended: {error}"),
        _ => format!("standard input can't be read: {error}"),
    };
    let read = timer::within(READING, read).and_then(|read| read);
    read.map_err(|error| Refusal::new(Kind::Host, why(error)))
}

fn read() -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    let mut request = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    (&mut stdin).take(limit).read_to_end(&mut request)?;
    if request.len() > LARGEST {
        let _ = io::copy(&mut stdin.take(DRAINED), &mut io::sink());
    }
    Ok(request)
}

/// Reads and asks what the decision needs.
fn find(root: &Root, policy: &Policy, judge: &Judge<'_>) -> Found {
    let needs = judge.needs();
    let passwords = needs.passwords.into_iter().map(|path| {
        let read = password(root, &path);
        (path, read)
    });
    let mut found = Found {
        passwords: passwords.collect(),
        certificate: needs.certificate.and_then(|path| certificate(root, &path)),
        sts: None,
    };
    let request = judge.needs_sts(&found);
    found.sts = request.map(|request| sts::ask(root, &policy.sts, &request));
    found
}

fn password(root: &Root, path: &str) -> Result<Secret, Refusal> {
    let read = files::read_closed_secret(root, path);
    read.map(|text| Secret::new(text.to_string()))
        .map_err(|error| unreadable("password", root, path, &error))
}

/// The certificate of a region. None: there is none, in a directory that exists.
fn certificate(root: &Root, path: &str) -> Option<Result<String, Refusal>> {
    let (directory, _) = path.rsplit_once('/')?;
    match files::read_trusted_text(root, path, files::LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_there = files::holder(root, directory).is_some();
            (!is_there)
                .then(|| Err(unreadable("directory of certificates", root, directory, &error)))
        }
        read => Some(read.map_err(|error| unreadable("certificate", root, path, &error))),
    }
}

/// The refusal for a file that the settings name, with what to do.
fn unreadable(what: &str, root: &Root, path: &str, error: &io::Error) -> Refusal {
    let shown = root.shown(path);
    let todo = match error.kind() {
        io::ErrorKind::NotFound => "put it there, or correct its path in the settings".to_owned(),
        _ => owners_advice(root, path, error),
    };
    Refusal::new(Kind::Config, format!("the {what} in {shown} can't be read: {error}; {todo}"))
}

/// What to do about a file that this account can't use.
fn owners_advice(root: &Root, path: &str, error: &io::Error) -> String {
    let (shown, me) = (root.shown(path), root.expected_owner());
    match files::holder(root, path) {
        // The server's account reads it. Root must not take it away.
        Some((_, owner)) if me == "root" && owner != me => format!(
            "if the server runs as {owner}, judge as {owner} too: sudo -u {owner} {PROGRAM} --explain CERTNAME < REQUEST"
        ),
        _ if error.kind() == io::ErrorKind::NotADirectory => "name a directory".to_owned(),
        _ => match files::advice(error) {
            Some(todo) => todo.to_owned(),
            None => format!("run as root: chgrp {me} {shown} && chmod g+r {shown}"),
        },
    }
}
