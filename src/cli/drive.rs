//! What `join`, `leave`, `renew` and `repair` have in common: the selection of targets, the lock, and a
//! state machine for each target, all driven at the same time.

use std::rc::Rc;

use clap::Args;
use clap::builder::PossibleValuesParser;
use futures_util::future::join_all;
use tracing::Instrument;

use super::progress::Progress;
use super::{Global, printer, runtime};
use crate::bootstrap::{Now, Outcome, Record, StateMachine};
use crate::config::settings::target_ids;
use crate::config::{ConfigError, Settings};
use crate::daemon::memberships::{self, Known};
use crate::driver::{drive, span};
use crate::fault::Fault;
use crate::host::{Host, Root, Store, facts, lock};
use crate::targets::Target;

#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only this target; may be repeated [default: every target]
    #[arg(long = "target", value_name = "TARGET", value_parser = PossibleValuesParser::new(target_ids()), hide_possible_values = true)]
    pub targets: Vec<String>,
}

impl Selection {
    /// This target alone.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self { targets: vec![id.to_owned()] }
    }

    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|asked| asked == id)
    }
}

/// Which targets a command works on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the settings.
    Configured,
    /// Also those that only a record knows.
    Known,
    /// Also those, and the authority that the node joined, if the settings name another one by now.
    Members,
}

/// What a state machine is made from.
pub struct Begin<'a> {
    pub root: &'a Root,
    pub target: Box<dyn Target>,
    pub settings: &'a Settings,
    pub record: Option<Record>,
    pub seed: u64,
    pub now: Now,
}

/// Drives a state machine for each target to its end; the failure of one does not stop the others.
/// The exit code is that of the first target that failed, in the order of the registry.
pub fn run<M: StateMachine>(
    global: &Global,
    (selection, scope): (&Selection, Scope),
    progress: &Progress,
    begin: impl Fn(Begin<'_>) -> Result<M, Fault>,
    show: &impl AsyncFn(&Root, &Outcome) -> Result<String, Fault>,
) -> Result<u8, Fault> {
    let root = global.root()?;
    let selected = select(global, &root, selection, scope)?;
    let in_force = || selected.iter().filter_map(|known| known.settings.as_ref());
    // A malformed variable is a fault before anything is written, the lock file included.
    for settings in in_force() {
        settings.access()?;
    }
    let budget = in_force().map(|settings| settings.budget).max();
    runtime()?.block_on(async {
        let _lock = lock::acquire(&root, budget.unwrap_or_default()).await?;
        let several = selected.len() > 1;
        let runs = selected.into_iter().map(|known| {
            let (root, begin, id) = (&root, &begin, known.id);
            let run = async move {
                let mut observer = progress.of(several.then_some(id));
                match start(root, &known, scope, begin) {
                    Ok((mut machine, mut host)) => {
                        Box::pin(drive(&mut machine, &mut host, &mut observer)).await
                    }
                    Err(fault) => Outcome::Failed(fault),
                }
            };
            run.instrument(span(id))
        });
        let outcomes = tokio::select! {
            outcomes = join_all(runs) => outcomes,
            () = interrupted() => {
                progress.finish();
                printer::note(INTERRUPTED);
                return Ok(INTERRUPTED_CODE);
            }
        };
        progress.finish();
        let (mut faults, mut unwritten) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Outcome::Failed(fault) => faults.push(fault),
                done => match show(&root, &done).await {
                    Ok(text) => unwritten = printer::out(&text).err().or(unwritten),
                    Err(fault) => faults.push(fault),
                },
            }
        }
        // Last: what was done is done, so any other fault gives the exit code.
        faults.extend(unwritten.map(|fault| fault.cause("the command has done its work")));
        end(faults)
    })
}

/// The exit code after Ctrl-C, as shells have it: 128, and the number of the signal.
const INTERRUPTED_CODE: u8 = 130;
const INTERRUPTED: &str = "interrupted. The record has how far it was: the same command continues from there, with the same key; `enlist status` shows the phase, `enlist leave` undoes it";

/// Waits for Ctrl-C.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints every fault but the first one, which is returned and gives the exit code.
fn end(faults: Vec<Fault>) -> Result<u8, Fault> {
    let mut faults = faults.into_iter();
    match faults.next() {
        None => Ok(0),
        Some(first) => {
            for other in faults {
                printer::error(&other);
            }
            Err(first)
        }
    }
}

fn start<M>(
    root: &Root,
    known: &Known,
    scope: Scope,
    begin: &impl Fn(Begin<'_>) -> Result<M, Fault>,
) -> Result<(M, Host), Fault> {
    let id = known.id;
    let record = Store::new(root.clone(), id).load()?;
    let mut known = known.clone();
    if let (Scope::Members, Some(record)) = (scope, &record) {
        known.follow(root, record);
    }
    let (target, settings) = known.target()?;
    let host = settings.access()?.host(root, id);
    let (seed, now) = (facts::seed(root, id), host.now());
    let machine = begin(Begin { root, target, settings, record, seed, now })?;
    Ok((machine, host))
}

/// The targets that the records know, where they are enough without the settings.
fn recorded(root: &Root, error: ConfigError, scope: Scope) -> Result<Vec<Known>, Fault> {
    let has_no_target = matches!(error, ConfigError::NoTarget { .. });
    let is_enough = match scope {
        Scope::Configured => false,
        Scope::Known => has_no_target,
        // To leave, a record is enough.
        Scope::Members => has_no_target || !error.is_of_command_line(),
    };
    let known = if is_enough { memberships::all(root, None) } else { Vec::new() };
    if known.is_empty() {
        return Err(error.into());
    }
    if !has_no_target {
        tracing::warn!(
            "the settings can't be used, so those are used that each record was made with: {}",
            Fault::from(error).sentence()
        );
    }
    Ok(known)
}

/// The targets of this node that a command works on.
///
/// # Errors
/// For a selected target that is not configured, and that this node is not a member of.
pub fn select(
    global: &Global,
    root: &Root,
    selection: &Selection,
    scope: Scope,
) -> Result<Vec<Known>, Fault> {
    let mut known = match global.settings(root).map(|settings| Rc::new(settings.into())) {
        Ok(settings) if scope == Scope::Configured => memberships::configured(&settings),
        Ok(settings) => memberships::all(root, Some(&settings)),
        Err(error) => recorded(root, error, scope)?,
    };
    let ids: Vec<&str> = known.iter().map(|known| known.id).collect();
    if let Some(id) = selection.targets.iter().find(|id| !ids.contains(&id.as_str())) {
        return Err(
            ConfigError::NotConfigured { id: id.clone(), configured: ids.join(", ") }.into()
        );
    }
    known.retain(|known| selection.has(known.id));
    Ok(known)
}
