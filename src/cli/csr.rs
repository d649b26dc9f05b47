//! `enlist csr`: prints the certificate request that a join would send, and asks no authority. With
//! `--by-hand`, a person carries it: the record says that an answer is waited for (`enlist accept`).

use clap::Args;

use super::drive::{self, Begin, Scope, Selection};
use super::progress::Progress;
use super::{Global, join, printer, report};
use crate::bootstrap::{ByHand, Maintenance, Outcome};
use crate::engines::{EngineId, KeyReport};
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store};
use crate::targets::Target;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist csr                                 what a join would send
  enlist csr --by-hand > web-1.csr           a person carries it; then `enlist accept FILE`
  enlist csr --by-hand --target chef-server  for Chef: the public key of the client to make")]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// A person carries the request to the authority: record that its answer is waited for
    #[arg(long)]
    by_hand: bool,
}

pub fn run(global: &Global, options: &Options, progress: &Progress) -> Result<u8, Fault> {
    let by_hand = options.by_hand;
    let root = global.root()?;
    let selected = drive::select(global, &root, &options.selection, Scope::Configured)?;
    let ids: Vec<&str> = selected.iter().map(|known| known.id).collect();
    let [known] = selected.as_slice() else {
        let what = "a request is printed for one target";
        let way = if by_hand { " --by-hand" } else { "" };
        let id = ids.first().unwrap_or(&"TARGET");
        let todo = format!("name one: `enlist csr{way} --target {id}`");
        return Err(Fault::new(Kind::Usage, what, ids.join(", "), todo));
    };
    let (target, _) = known.target()?;
    check(&*target, by_hand)?;
    drive::run(
        global,
        (&Selection::of(known.id), Scope::Configured),
        progress,
        |begin: Begin<'_>| {
            let way = ByHand::Request { is_recorded: by_hand };
            Ok(join::bootstrap(begin, Maintenance::default()).by_hand(way))
        },
        &async |root: &Root, outcome: &Outcome| {
            if let Outcome::Requested(report) = outcome {
                printer::out(&text(report))?;
                let record = Store::new(root.clone(), known.id).load()?.filter(|_| by_hand);
                let errand = record.and_then(|record| report::errand(&*target, &record));
                if let Some(errand) = errand {
                    printer::note(&format!("this node waits for the answer; to do: {errand}"));
                }
            }
            Ok(String::new())
        },
    )
}

/// The request; where none is sent, the public key.
fn text(report: &KeyReport) -> String {
    match &report.csr {
        Some(csr) => csr.expose().to_owned(),
        None => report.public.to_pem(),
    }
}

fn check(target: &dyn Target, by_hand: bool) -> Result<(), Fault> {
    let id = target.id();
    let can_be_carried = target.errand("NAME").is_some();
    let (what, todo) = match (by_hand, target.engine()) {
        (true, _) if !can_be_carried => (
            "this target can't be joined by hand",
            "run `enlist join`; `enlist csr --by-hand` is for [puppet-server] and [chef-server]"
                .to_owned(),
        ),
        (false, EngineId::Chef) if can_be_carried => (
            "a join of this target sends no certificate request",
            format!("for its public key, run `enlist csr --by-hand --target {id}`"),
        ),
        (false, engine) if engine != EngineId::Puppet => (
            "a join of this target sends no certificate request",
            "run `enlist csr` for [puppet-server], or for [opsworks-cm] with Puppet".to_owned(),
        ),
        _ => return Ok(()),
    };
    Err(Fault::new(Kind::Usage, what, format!("target {id}"), todo))
}
