//! `enlist accept FILE`: checks and installs an answer that a person has carried here.

use std::path::{Path, PathBuf};

use clap::Args;

use super::drive::{self, Begin, Scope, Selection};
use super::progress::Progress;
use super::{Global, join, printer};
use crate::bootstrap::{ByHand, Maintenance, Outcome, Phase};
use crate::daemon::memberships::Known;
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, files, secrets, signing};
use crate::secret::{Secret, SecretSource};
use crate::targets::Carried;

/// The largest answer, in bytes: a CA with long revocation lists.
const LARGEST: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "The answer, in PEM:
  puppet-server  the node's certificate, the CA's certificates, and a revocation list of each CA
  chef-server    the public key of the client, as `knife client key show NAME default` shows it;
                 or the private key of a client that was made on the server

Examples:
  enlist csr --by-hand > web-1.csr    the request, for a person to carry
  enlist accept web-1.answer          what came back")]
pub struct Options {
    /// The target, where several wait for an answer
    #[arg(long, value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(crate::config::settings::target_ids()), hide_possible_values = true)]
    target: Option<String>,
    /// A file with the answer
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(global: &Global, options: &Options, progress: &Progress) -> Result<u8, Fault> {
    let root = global.root()?;
    let selection = options.target.as_deref().map(Selection::of).unwrap_or_default();
    let selected = drive::select(global, &root, &selection, Scope::Configured)?;
    let id = choose(&root, &selected)?;
    let answer = read(&options.file)?;
    let of_target = selected.iter().find(|known| known.id == id);
    if let (Some(known), Some(key)) = (of_target, &answer.private_key) {
        check_key(&root, known, &options.file, key)?;
    }
    drive::run(
        global,
        (&Selection::of(id), Scope::Configured),
        progress,
        |begin: Begin<'_>| {
            let way = ByHand::Answer(Box::new(answer.clone()));
            Ok(join::bootstrap(begin, Maintenance::default()).by_hand(way))
        },
        &async |root: &Root, outcome: &Outcome| {
            let Outcome::Joined { already, record } = outcome else { return Ok(String::new()) };
            if answer.private_key.is_some() {
                let file = options.file.display();
                printer::note(&format!(
                    "{file} has this node's private key, which is installed; to do: rm {file}"
                ));
            }
            Ok(join::summary(root, record, join::state(*already)))
        },
    )
}

/// The one that is selected, else the one that waits for an answer.
fn choose(root: &Root, selected: &[Known]) -> Result<&'static str, Fault> {
    if let [one] = selected {
        return Ok(one.id);
    }
    let waits = |known: &&Known| {
        let record = Store::new(root.clone(), known.id).load();
        matches!(record, Ok(Some(record)) if record.phase == Phase::Requested)
    };
    let waiting: Vec<&Known> = selected.iter().filter(waits).collect();
    if let [one] = waiting.as_slice() {
        return Ok(one.id);
    }
    let ids: Vec<&str> = selected.iter().map(|known| known.id).collect();
    let what = "it is not clear which target this answer is for";
    let todo =
        format!("name it: `enlist accept --target {} FILE`", ids.first().unwrap_or(&"TARGET"));
    Err(Fault::new(Kind::Usage, what, ids.join(", "), todo))
}

/// A server hands out two private keys that a person may confuse: that of a client, and one that makes clients.
///
/// # Errors
/// `Data` where the key or the file's name is one that the settings name for that.
fn check_key(root: &Root, known: &Known, file: &Path, key: &Secret) -> Result<(), Fault> {
    let (target, settings) = known.target()?;
    let fault = |cause: String| {
        let what = "the private key in the answer is not that of this node's client";
        let todo = "make a client for this node, and carry its key: `enlist status` says how";
        Err(Fault::new(Kind::Data, what, file.display().to_string(), todo).cause(cause))
    };
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if target.is_reserved(stem) {
        return fault(format!("{stem} is not this node at {}", target.authority_name()));
    }
    let mut host = settings.access()?.host(root, known.id);
    for source in target.secrets() {
        // One that a service keeps needs the network. A node that is joined by hand may have none.
        if matches!(source, SecretSource::Parameter(_)) {
            continue;
        }
        let secret = super::runtime()?.block_on(host.secret(Some(source)));
        if secret.ok().flatten().is_some_and(|secret| signing::is_same_key(&secret, key)) {
            return fault(format!("it is the key of the settings: {}", secrets::shown(source)));
        }
    }
    Ok(())
}

/// A path of the running system, whatever `--root` says. The file may have a private key, so nothing of it is
/// shown.
fn read(file: &Path) -> Result<Carried, Fault> {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let path = path.to_string_lossy();
    let fault = |what: &str, cause: &str, todo: &str| {
        Fault::new(Kind::Data, what, path.as_ref(), todo).cause(cause)
    };
    let text = files::read_text(&Root::running_system(), &path, LARGEST).map_err(|error| {
        let todo = "name a text file that this user can read: `enlist accept FILE`";
        fault("the answer can't be read", &error.to_string(), todo)
    })?;
    let text = Secret::new(text);
    let answer = Carried::parse(text.expose()).map_err(|error| {
        let todo =
            "`enlist status` says what the answer is made of; run `enlist accept FILE` with that";
        fault("this is not the answer to a request", &error.to_string(), todo)
    })?;
    if answer.private_key.is_some() && files::is_open_to_others(&Root::running_system(), &path) {
        tracing::warn!(
            path = path.as_ref(),
            "other users of this machine can read or write the private key in {path}: make another one if somebody may have read it; run: chmod 0600 {path}"
        );
    }
    Ok(answer)
}
