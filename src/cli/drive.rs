//! What `join` and `leave` have in common: the selection of targets, the lock, and a state machine for
//! each target, all driven at the same time.

use clap::Args;
use futures_util::future::join_all;
use tracing::Instrument;

use super::progress::Progress;
use super::{Global, printer, runtime};
use crate::bootstrap::{Now, Outcome, Record, StateMachine};
use crate::config::{ConfigError, Settings};
use crate::daemon;
use crate::driver::{drive, span};
use crate::fault::Fault;
use crate::host::{Environment, Host, HttpClients, Root, Store, facts, lock};
use crate::targets::Target;

#[derive(Debug, Args)]
pub struct Selection {
    /// Only this target; may be repeated [default: every configured target]
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
}

/// What a state machine is made from.
pub struct Begin {
    pub target: Box<dyn Target>,
    pub record: Option<Record>,
    pub seed: u64,
    pub now: Now,
}

/// Drives a state machine for each target to its end; the failure of one does not stop the others.
/// The exit code is that of the first target that failed, in the order of the registry.
pub fn run<M: StateMachine>(
    global: &Global,
    selection: &Selection,
    progress: &Progress,
    begin: impl Fn(&Settings, Begin) -> M,
    show: &impl AsyncFn(&Root, &Outcome) -> Result<String, Fault>,
) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = global.settings(&root)?;
    let selected = select(&settings, &selection.targets)?;
    let environment = daemon::environment(&settings)?;
    runtime()?.block_on(async {
        let _lock = lock::acquire(&root, settings.budget).await?;
        let http = HttpClients::new(&environment);
        let several = selected.len() > 1;
        let runs = selected.into_iter().map(|target| {
            let (root, settings, begin, http) = (&root, &settings, &begin, http.clone());
            let environment = environment.clone();
            let id = target.id();
            let run = async move {
                let (start, mut host) = match start(root, environment, target, http) {
                    Ok(start) => start,
                    Err(fault) => return Outcome::Failed(fault),
                };
                let mut machine = begin(settings, start);
                let mut observer = progress.of(several.then_some(id));
                Box::pin(drive(&mut machine, &mut host, &mut observer)).await
            };
            run.instrument(span(id))
        });
        let outcomes = join_all(runs).await;
        progress.finish();
        let mut faults = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Failed(fault) => faults.push(fault),
                done => match show(&root, &done).await {
                    Ok(text) => printer::out(&text),
                    Err(fault) => faults.push(fault),
                },
            }
        }
        end(faults)
    })
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

fn start(
    root: &Root,
    environment: Environment,
    target: Box<dyn Target>,
    http: HttpClients,
) -> Result<(Begin, Host), Fault> {
    let id = target.id();
    let record = Store::new(root.clone(), id).load()?;
    let host = Host::new(root.clone(), id, environment, http);
    Ok((Begin { target, record, seed: facts::seed(root, id), now: host.now() }, host))
}

/// The targets to drive.
///
/// # Errors
/// For a selected target that is not configured.
fn select(settings: &Settings, asked: &[String]) -> Result<Vec<Box<dyn Target>>, ConfigError> {
    let configured = settings.target_ids();
    if let Some(id) = asked.iter().find(|id| !configured.contains(&id.as_str())) {
        return Err(ConfigError::NotConfigured {
            id: id.clone(),
            configured: configured.join(", "),
        });
    }
    let is_selected = |id: &&str| asked.is_empty() || asked.iter().any(|asked| asked == id);
    let selected = configured.into_iter().filter(is_selected);
    Ok(selected.filter_map(|id| settings.target(id)).collect())
}
