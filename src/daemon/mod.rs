//! `enlist run`: joins every target, then stays: watches over what was joined, renews it, says
//! how it stands, and leaves when it is told to.
//!
//! A life lasts from one reading of the settings to the next, or to the end. Everything in it
//! may be dropped at any moment: whatever a target was in the middle of is in its record, and the
//! next life goes on there. That is the same promise that a power cut is given.

#![allow(clippy::disallowed_types, reason = "waits and tells")]

mod metrics;
mod status_table;
mod supervisor;
mod worker;

use std::convert::Infallible;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Settings;
use crate::config::settings::LeaveOn;
use crate::driver::milestones;
use crate::fault::{Fault, Kind};
use crate::host::imds::Notices;
use crate::host::{HttpClients, Notifier, Root, power, timer};
use status_table::EXTENSION;
use supervisor::Supervisor;

pub use supervisor::environment;

/// How often the metadata service is asked for notices: a Spot instance is told two minutes
/// before. With a look every ten minutes it keeps the wakes of an hour below sixty.
const NOTICE_PAUSE: Duration = Duration::from_secs(75);
/// While we are starting.
const START_PAUSE: Duration = Duration::from_secs(30);
/// Leaving on the way down: an announced end comes within two minutes.
const LEAVING_BUDGET: Duration = Duration::from_secs(100);

/// Reads the settings; none while no target is configured.
pub type ReadSettings<'a> = &'a dyn Fn() -> Result<Option<Settings>, Fault>;

/// How a life ended.
enum End {
    Reload,
    Stop,
    /// EC2 ends this instance; as announced.
    Ending(String),
    /// No target can go on.
    Failed(Fault),
}

/// Runs until it is told to stop.
///
/// # Errors
/// The first target's fault where none of them can go on.
pub async fn run(
    root: &Root,
    read: ReadSettings<'_>,
    first: Option<Settings>,
) -> Result<(), Fault> {
    let mut signals = Signals::new()?;
    let notifier = Notifier::from_environment();
    let mut settings = first;
    let mut is_ready = false;
    loop {
        let end = match &settings {
            None => idle(notifier, &mut signals, &mut is_ready).await,
            Some(settings) => {
                let supervisor = Supervisor::new(root, settings, notifier, is_ready)?;
                supervisor.run(&mut signals, &mut is_ready).await
            }
        };
        match end {
            End::Stop => {
                notifier.stopping();
                return stop(root, settings.as_ref(), notifier).await;
            }
            End::Failed(fault) => return Err(fault),
            End::Reload => settings = reload(notifier, read, settings, is_ready),
            End::Ending(notice) => {
                if let Some(settings) = &settings {
                    tracing::warn!(message_id = milestones::ENDING, "{notice}: leaving");
                    notifier.status(&format!("{notice}: leaving"));
                    leave(root, settings, notifier).await?;
                }
                notifier.status("left; this instance is about to end");
                // It may take its group an hour; the watchdog is not to start us anew meanwhile.
                tokio::select! {
                    () = signals.stop() => {}
                    never = alive(notifier) => match never {},
                }
                notifier.stopping();
                return Ok(());
            }
        }
    }
}

/// Nothing is configured: the package is installed, and its settings are still to come.
async fn idle(notifier: Notifier, signals: &mut Signals, is_ready: &mut bool) -> End {
    let text = "idle: no target is configured; add one to /etc/enlist/enlist.toml and reload";
    tracing::info!("{text}");
    notifier.status(text);
    if !*is_ready {
        notifier.ready();
        *is_ready = true;
    }
    tokio::select! {
        end = signals.next() => end,
        never = alive(notifier) => match never {},
    }
}

async fn alive(notifier: Notifier) -> Infallible {
    let Some(pause) = notifier.watchdog_pause() else { return std::future::pending().await };
    loop {
        timer::sleep(pause).await;
        notifier.alive();
    }
}

/// Settings that can't be used change nothing.
fn reload(
    notifier: Notifier,
    read: ReadSettings<'_>,
    former: Option<Settings>,
    is_ready: bool,
) -> Option<Settings> {
    if is_ready {
        notifier.reloading();
    }
    let usable = read().and_then(|settings| {
        settings.as_ref().map(environment).transpose()?;
        Ok(settings)
    });
    let settings = match usable {
        Ok(settings) => {
            tracing::info!("the settings are read anew");
            forgotten(former.as_ref(), settings.as_ref());
            settings
        }
        Err(fault) => {
            tracing::error!(
                "the settings can't be used, and the former ones stay: {fault}: {}; to do: {}",
                fault.causes.join("; "),
                fault.todo
            );
            former
        }
    };
    if is_ready {
        notifier.ready();
    }
    settings
}

/// Taking a table away does not take the node out of what it joined.
fn forgotten(former: Option<&Settings>, settings: Option<&Settings>) {
    let words =
        |settings: Option<&Settings>| settings.map(Settings::target_ids).unwrap_or_default();
    let now = words(settings);
    for word in words(former).into_iter().filter(|word| !now.contains(word)) {
        tracing::warn!(
            "{word} is not configured any more and no longer watched over; this node is still a member: to leave, put the table back and `enlist leave --target {word}`"
        );
    }
}

async fn stop(root: &Root, settings: Option<&Settings>, notifier: Notifier) -> Result<(), Fault> {
    let Some(settings) = settings else { return Ok(()) };
    let on = settings.run.leave_on;
    let mut why = None;
    if on >= LeaveOn::Termination
        && let Some(mut notices) = Notices::new(root, &HttpClients::new(&environment(settings)?))
    {
        why = notices.termination().await;
    }
    if why.is_none() && on == LeaveOn::Shutdown && power::is_going_off(root).await {
        why = Some("this machine is being powered off".to_owned());
    }
    if let Some(why) = why {
        tracing::warn!(message_id = milestones::ENDING, "{why}: leaving");
        return leave(root, settings, notifier).await;
    }
    tracing::info!("stopped; this node stays a member");
    Ok(())
}

/// Out of every target, side by side.
async fn leave(root: &Root, settings: &Settings, notifier: Notifier) -> Result<(), Fault> {
    notifier.extend(LEAVING_BUDGET + EXTENSION);
    Supervisor::new(root, settings, notifier, true)?.leave(LEAVING_BUDGET).await
}

/// What the service manager and the admin ask for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Fault> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                let todo = "check the limits on files";
                Fault::new(Kind::Host, "signals can't be received", "the daemon", todo)
                    .because(&error)
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, End::Stop) {}
    }

    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Stop,
            _ = self.interrupt.recv() => End::Stop,
            _ = self.hang_up.recv() => End::Reload,
        }
    }
}
