//! `enlist bug-report`: one archive with what somebody else needs to find out what is wrong. It has no
//! secret, and what it holds is listed before it is written.

mod redact;
mod tar;

use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

use super::drive::Selection;
use super::{Global, check, doctor, printer, report, runtime, status};
use crate::config::settings::target_ids;
use crate::fault::Fault;
use crate::host::process::{self, Network};
use crate::host::{Root, Store, clock, facts, files, program};
use crate::targets::state_dir;
use redact::Redactor;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist bug-report                       into this directory
  enlist bug-report --list                what it would hold; writes nothing
  enlist bug-report --output /run/r.tar")]
pub struct Options {
    /// The archive to write [default: enlist-bug-report-TIME.tar in this directory]
    #[arg(long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
    /// List what it would hold, and write nothing
    #[arg(long)]
    list: bool,
}

/// How long the journal may take.
const JOURNAL_LIMIT: Duration = Duration::from_secs(20);

/// A file of the archive.
struct Entry {
    name: String,
    what: &'static str,
    text: String,
}

pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let redactor = Redactor::new(global, &root);
    let mut entries = runtime()?.block_on(collect(global, &root));
    for entry in &mut entries {
        entry.text = redactor.redact(&entry.text);
    }
    let now = clock::unix_now();
    let output =
        options.output.clone().unwrap_or_else(|| format!("enlist-bug-report-{now}.tar").into());
    let output = std::path::absolute(&output).unwrap_or(output);
    let shown = output.display().to_string();
    let mut list = format!("{shown} holds:\n");
    let row =
        |entry: &Entry| (entry.name.clone(), format!("{}, {} bytes", entry.what, entry.text.len()));
    list += &printer::columns(&entries.iter().map(row).collect::<Vec<_>>());
    list += "secrets are hidden; host names, addresses and paths are not\n";
    printer::out(&list)?;
    if options.list {
        return Ok(0);
    }
    let files: Vec<(&str, &str)> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.text.as_str())).collect();
    let archive = tar::archive(&files, now);
    files::create(&Root::running_system(), &shown, &archive, 0o600)?;
    printer::out(&format!("written: {shown}\n"))?;
    Ok(0)
}

async fn collect(global: &Global, root: &Root) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |name: &str, what, text: String| {
        entries.push(Entry { name: name.to_owned(), what, text });
    };
    add("version.txt", "the version, and this system", version(root));
    add(
        "settings.json",
        "the settings, each with its origin",
        pretty(&check::report(global, root)),
    );
    let selection = Selection::default();
    add(
        "status.json",
        "the memberships, and their last faults",
        pretty(&statuses(global, root, &selection).await),
    );
    add(
        "doctor.json",
        "the answer of `enlist doctor`",
        pretty(&doctor::report(global, root).await),
    );
    for id in target_ids() {
        if let Some(text) = record(root, id) {
            add(&format!("record-{id}.json"), "the record, without its ticket", text);
        }
        let kept = listing(root, id);
        if !kept.is_empty() {
            add(&format!("kept-{id}.txt"), "the names of what is kept beside the record", kept);
        }
    }
    if let Some(text) = journal(root).await {
        add("journal.txt", "the end of the unit's journal", text);
    }
    entries
}

fn version(root: &Root) -> String {
    let platform = facts::gather(root, None).platform;
    format!(
        "enlist {}\n{} {}, {}, Linux {}\n",
        super::version(),
        platform.os,
        platform.version,
        platform.architecture,
        platform.kernel
    )
}

async fn statuses(global: &Global, root: &Root, selection: &Selection) -> Value {
    let read = async {
        let known = report::known(global, root, selection)?;
        Ok::<_, Fault>(report::read(root, &known).await)
    };
    match read.await {
        Ok(reports) => status::json(&reports),
        Err(fault) => json!({ "error": printer::render(&fault) }),
    }
}

/// The record without the ticket, with which others could ask about this node.
fn record(root: &Root, id: &str) -> Option<String> {
    let text = Store::new(root.clone(), id).note("record.json")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // What is not a record may be anything, such as a key that a link leads to.
    let Ok(mut json) = serde_json::from_str::<Value>(&text) else {
        return Some(format!("not a record: {} bytes that are not JSON\n", text.len()));
    };
    if let Some(ticket) = json.get_mut("ticket").filter(|ticket| !ticket.is_null()) {
        *ticket = "(secret)".into();
    }
    Some(pretty(&json))
}

fn listing(root: &Root, id: &str) -> String {
    let mut text = String::new();
    for part in ["evidence", "backup"] {
        let directory = format!("{}/{part}", state_dir(id));
        for name in files::names(root, &directory).unwrap_or_default() {
            let _ = writeln!(text, "{part}/{name}");
        }
    }
    text
}

async fn journal(root: &Root) -> Option<String> {
    let journalctl = program::find(root, &["journalctl"], None).ok()??;
    let arguments = [
        "--unit=enlist",
        "--unit=enlist-join",
        "--boot",
        "--lines=2000",
        "--no-pager",
        "--output=short-iso",
    ];
    let path = root.shown(&journalctl);
    let output = process::run(&path, &arguments, JOURNAL_LIMIT, Network::Unused).await.ok()?;
    (output.code == Some(0)).then_some(output.stdout)
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
