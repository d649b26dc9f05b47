//! A fake `amazon-ssm-agent`, for tests: it registers a machine as the real one does, where
//! that hurts. It
//! - overwrites the registration in its vault *before* it calls the API, so that a call that fails
//!   leaves a machine that was registered without a registration;
//! - asks on standard input when there is a registration already, unless `-y` is given;
//! - ends with 0 or 1 and nothing in between (2 for flags it does not know: Go's `flag` does that);
//! - says why on standard output, where its log goes;
//! - tries again when no answer comes, with the same key: a lost reply has used the activation up;
//! - leaves the file `registration` behind when it clears the registration.
//!
//! After `core/agent_parser.go` and `agent/managedInstances` of aws/amazon-ssm-agent 3.3.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it reads and writes files")]

mod api;
mod flags;
mod vault;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use flags::{Flags, USAGE};
use vault::{Registration, Vault};

/// Where the fake agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The prefix of every path.
    pub root: PathBuf,
    /// The API, such as `http://127.0.0.1:40123`. The real one makes it from the region.
    pub endpoint: String,
}

impl Machine {
    /// The root from `FAKE_SSM_AGENT_ROOT` (`/` without it), the endpoint from `FAKE_SSM_AGENT_ENDPOINT`.
    #[must_use]
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            root: variable("FAKE_SSM_AGENT_ROOT").unwrap_or_else(|| "/".to_owned()).into(),
            endpoint: variable("FAKE_SSM_AGENT_ENDPOINT").unwrap_or_default(),
        }
    }
}

/// The version whose ways these are.
const VERSION: &str = "3.3.0.0";

/// Why a registration failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the answer to the question could not be read: {0}")]
    Question(std::io::Error),
    #[error("'{0}' is neither yes nor no")]
    Answer(String),
    #[error("no signing keys could be made")]
    Keys,
    #[error("the registration could not be saved, perhaps for want of root's rights: {0}")]
    Save(std::io::Error),
    #[error("the instance could not be registered with Systems Manager. {0}")]
    Api(#[from] api::ApiFailure),
}

/// Runs with `arguments`, the program's name not among them; what it returns is the exit code.
#[must_use]
pub fn run(machine: &Machine, arguments: &[String]) -> u8 {
    let flags = match Flags::parse(arguments) {
        Ok(flags) => flags,
        Err(problem) => {
            complain(&format!("{problem}\n{USAGE}"));
            return 2;
        }
    };
    if flags.is("version") {
        return say("SSM Agent version:", VERSION, 0);
    }
    let vault = Vault::new(&machine.root);
    match (flags.is("register"), flags.activation()) {
        (true, Some(activation)) => match register(machine, &vault, &activation, flags.is("y")) {
            Ok(Some(id)) => say("INFO", &format!("Registered as the managed instance {id}"), 0),
            Ok(None) => say("INFO", "The registration was cancelled", 1),
            Err(failure) => say("ERROR", &format!("Registration failed: {failure}"), 1),
        },
        (true, None) if flags.is("clear") => match vault.clear() {
            Ok(()) => say("INFO", "The registration has been removed", 0),
            Err(error) => say("ERROR", &format!("The registration stays: {error}"), 1),
        },
        _ => {
            complain(USAGE);
            1
        }
    }
}

/// Registers the machine; none when whoever was asked said no.
fn register(
    machine: &Machine,
    vault: &Vault,
    activation: &api::Activation<'_>,
    yes: bool,
) -> Result<Option<String>, Failure> {
    if !yes && vault.registration().is_some_and(|known| known.is_complete()) && !confirm()? {
        return Ok(None);
    }
    let (public_key, private_key) = key_pair().ok_or(Failure::Keys)?;
    let unfinished = Registration { private_key, ..Registration::default() };
    vault.store_registration(&unfinished).map_err(Failure::Save)?;
    let fingerprint = vault.fingerprint().map_err(Failure::Save)?;
    let id = api::register(&machine.endpoint, activation, &public_key, &fingerprint)?;
    let region = activation.region.to_owned();
    let finished = Registration { instance_id: id.clone(), region, ..unfinished };
    vault.store_registration(&finished).map_err(Failure::Save)?;
    let told = json!({ "ManagedInstanceID": id, "Region": activation.region });
    vault.write("registration", told.to_string().as_bytes()).map_err(Failure::Save)?;
    Ok(Some(id))
}

fn confirm() -> Result<bool, Failure> {
    let question = "This instance is registered already. Replace its registration? [Yes/No]: ";
    let mut output = std::io::stdout();
    // Who does not see the question may still answer it.
    let _ = write!(output, "\n{question}").and_then(|()| output.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer).map_err(Failure::Question)?;
    if read == 0 {
        return Err(Failure::Question(std::io::ErrorKind::UnexpectedEof.into()));
    }
    match answer.trim().chars().next().map(|letter| letter.to_ascii_lowercase()) {
        Some('y') => Ok(true),
        Some('n') => Ok(false),
        _ => Err(Failure::Answer(answer.trim().to_owned())),
    }
}

/// A public key (SubjectPublicKeyInfo) and a private key (PKCS#1), both DER in base64.
fn key_pair() -> Option<(String, String)> {
    /// What PKCS#8 has before a 2048-bit key: version, algorithm and the string's header.
    const PKCS8_HEAD: usize = 26;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let private = private.as_ref().get(PKCS8_HEAD..)?;
    Some((BASE64_STANDARD.encode(public.as_ref()), BASE64_STANDARD.encode(private)))
}

/// A line of the log, and the exit code that goes with it.
fn say(level: &str, text: &str, code: u8) -> u8 {
    let _ = writeln!(std::io::stdout(), "{level} {text}");
    code
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
