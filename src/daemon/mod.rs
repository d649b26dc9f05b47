//! `enlist run`: joins every target and then stays. It watches what is installed, renews
//! certificates, reports the status, and leaves if the settings say so.
//!
//! A supervisor lasts from one reading of the settings to the next. It, and everything it runs, may
//! be dropped at any moment: the progress of each target is in its record, and the next supervisor
//! continues from there. A power cut is handled in the same way.

#![allow(clippy::disallowed_types, reason = "it measures and waits")]

mod access;
pub mod memberships;
mod metrics;
mod observers;
mod service_manager;
mod signals;
pub mod standing;
mod status_table;
mod supervisor;
mod worker;

use std::rc::Rc;
use std::time::Duration;

use crate::config::Settings;
use crate::config::settings::{LeaveOn, target_ids};
use crate::driver::milestones;
use crate::fault::Fault;
use crate::host::imds::Notices;
use crate::host::{Root, Store, files, power};
use service_manager::ServiceManager;
use signals::{Command, Signals};
use supervisor::{Ended, Supervisor};

pub use access::{InForce, environment};

/// The budget for leaving before this machine ends. A Spot instance ends two minutes after the
/// notice.
const LEAVING_BUDGET: Duration = Duration::from_secs(100);

/// Reads the settings; none if no target is configured.
pub type ReadSettings<'a> = &'a dyn Fn() -> Result<Option<Settings>, Fault>;

/// Runs until it is told to stop.
///
/// # Errors
/// The first target's fault, if none of the targets can continue.
pub async fn run(
    root: &Root,
    read: ReadSettings<'_>,
    first: Option<Settings>,
) -> Result<(), Fault> {
    let mut signals = Signals::new()?;
    let manager = ServiceManager::from_environment();
    let first = first.map(in_force);
    let (settings, ended) = until_stopped(root, read, first, &manager, &mut signals).await;
    if let Some(socket) = settings.as_ref().and_then(|settings| settings.metrics.socket.as_deref())
        && let Err(fault) = files::remove(root, socket)
    {
        tracing::warn!("{}", fault.sentence());
    }
    ended
}

/// Returns the settings that were in force at the end.
async fn until_stopped(
    root: &Root,
    read: ReadSettings<'_>,
    mut settings: Option<Rc<InForce>>,
    manager: &ServiceManager,
    signals: &mut Signals,
) -> (Option<Rc<InForce>>, Result<(), Fault>) {
    loop {
        let ended = match Supervisor::new(root, settings.as_ref(), manager) {
            Err(fault) => return (settings, Err(fault)),
            Ok(None) => idle(manager, signals).await,
            Ok(Some(supervisor)) => supervisor.run(signals).await,
        };
        let result = match ended {
            Ended::Command(Command::Reload) => {
                settings = manager.reload(|| reload(read, settings));
                continue;
            }
            Ended::Command(Command::Stop) => {
                manager.stopping();
                stop(root, settings.as_ref(), manager).await
            }
            Ended::InstanceEnds(notice) => {
                manager.status(&format!("{notice}: leaving"));
                let left = leave(root, settings.as_ref(), manager, &notice).await;
                if left.is_ok() {
                    wait_for_the_end(manager, signals).await;
                }
                left
            }
            Ended::Failed(fault) => Err(fault),
        };
        return (settings, result);
    }
}

fn in_force(settings: Settings) -> Rc<InForce> {
    Rc::new(settings.into())
}

/// No target is configured: the package is installed, and its settings are not there yet.
async fn idle(manager: &ServiceManager, signals: &mut Signals) -> Ended {
    let text = "idle: no target is configured; add the table of a target to /etc/enlist/enlist.toml, then run `systemctl reload enlist.service`";
    tracing::info!("{text}");
    manager.status(text);
    manager.ready();
    tokio::select! {
        command = signals.next() => Ended::Command(command),
        never = manager.keep_alive() => match never {},
    }
}

/// The instance may take an hour to end. If this process ended now, the service manager would
/// start it again, and it would join again.
async fn wait_for_the_end(manager: &ServiceManager, signals: &mut Signals) {
    manager.status("left; this instance is about to end");
    tokio::select! {
        () = signals.stop() => {}
        never = manager.keep_alive() => match never {},
    }
    manager.stopping();
}

/// Settings that can't be used change nothing.
fn reload(read: ReadSettings<'_>, former: Option<Rc<InForce>>) -> Option<Rc<InForce>> {
    let usable = read().and_then(|settings| {
        let settings = settings.map(in_force);
        settings.as_ref().map(|settings| settings.access()).transpose()?;
        Ok(settings)
    });
    match usable {
        Ok(settings) => {
            tracing::info!("the settings have been reloaded");
            warn_of_removed(former.as_deref(), settings.as_deref());
            settings
        }
        Err(fault) => {
            tracing::error!(
                kind = fault.kind.word(),
                "the new settings can't be used, and the former ones stay: {}",
                fault.sentence()
            );
            former
        }
    }
}

/// A target whose table is removed from the settings stays joined.
fn warn_of_removed(former: Option<&InForce>, settings: Option<&InForce>) {
    let ids = |settings: Option<&InForce>| settings.map(|s| s.target_ids()).unwrap_or_default();
    let configured = ids(settings);
    for id in ids(former).into_iter().filter(|id| !configured.contains(id)) {
        tracing::warn!(
            enlist_target = id,
            "{id} is no longer in the settings; this node is still a member, and is watched by what its record says: to leave, run `enlist leave --target {id}`"
        );
    }
}

/// Leaves before stopping, if the settings ask for it and this machine is about to end.
async fn stop(
    root: &Root,
    settings: Option<&Rc<InForce>>,
    manager: &ServiceManager,
) -> Result<(), Fault> {
    let Some(settings) = settings else { return Ok(()) };
    let leave_on = settings.run.leave_on;
    let mut reason = None;
    if leave_on >= LeaveOn::Termination
        && let Some(mut notices) = Notices::new(root, &settings.access()?.http)
    {
        reason = notices.termination().await;
    }
    if reason.is_none() && leave_on == LeaveOn::Shutdown && power::is_going_off(root).await {
        reason = Some("this machine is being powered off".to_owned());
    }
    if let Some(reason) = reason {
        return leave(root, Some(settings), manager, &reason).await;
    }
    tracing::info!("{}", stopped(root));
    Ok(())
}

/// What a stop leaves behind.
fn stopped(root: &Root) -> &'static str {
    let is_member = |id| {
        let record = Store::new(root.clone(), id).load();
        record.is_ok_and(|record| record.is_some_and(|record| record.is_member()))
    };
    if target_ids().any(is_member) {
        "stopped; this node stays a member"
    } else {
        "stopped; this node is not a member"
    }
}

/// Leaves every target, all at the same time.
async fn leave(
    root: &Root,
    settings: Option<&Rc<InForce>>,
    manager: &ServiceManager,
    reason: &str,
) -> Result<(), Fault> {
    tracing::warn!(message_id = milestones::ENDING, reason, "{reason}: leaving");
    manager.leaving(LEAVING_BUDGET);
    match Supervisor::new(root, settings, manager)? {
        Some(supervisor) => supervisor.leave(LEAVING_BUDGET).await,
        None => Ok(()),
    }
}
