//! `enlist run`: joins every target, then stays: watches over what was joined, renews it, says
//! how it stands, and leaves when it is told to.
//!
//! A life lasts from one reading of the settings to the next, or to the end. Everything in it
//! may be dropped at any moment: whatever a target was in the middle of is in its record, and the
//! next life goes on there. That is the same promise that a power cut is given.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "waits and tells")]

mod board;
mod keeper;
mod metrics;

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::config::Settings;
use crate::config::settings::LeaveOn;
use crate::driver::milestones;
use crate::fault::{Fault, Kind};
use crate::host::imds::Notices;
use crate::host::{Net, Notifier, Root, power, timer};
use board::{Board, EXTENSION};
use keeper::{Keeper, Shared};
use metrics::Publisher;

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
                let life = Life::new(root, settings, notifier, is_ready);
                life.live(&mut signals, &mut is_ready).await
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
                while !matches!(signals.next().await, End::Stop) {}
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
    let settings = match read() {
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
    let words = |settings: Option<&Settings>| settings.map(Settings::words).unwrap_or_default();
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
        && let Some(notices) = Notices::new(root, &Net::new())
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
    let life = Life::new(root, settings, notifier, true);
    let shared = life.shared();
    let departures = life.words.iter().enumerate().map(|(index, word)| {
        let keeper = Keeper::new(&shared, index, word);
        async move { keeper.leave(LEAVING_BUDGET).await }
    });
    let mut outcomes = join_all(departures).await.into_iter();
    outcomes.find_map(Result::err).map_or(Ok(()), Err)
}

/// One reading of the settings, and what is made of it.
struct Life<'a> {
    root: &'a Root,
    settings: &'a Settings,
    notifier: Notifier,
    net: Net,
    words: Vec<&'static str>,
    board: RefCell<Board>,
    given_up: Notify,
}

impl<'a> Life<'a> {
    fn new(root: &'a Root, settings: &'a Settings, notifier: Notifier, is_ready: bool) -> Self {
        let words = settings.words();
        let textfile = settings.metrics.textfile.as_ref().map(|path| root.at(path));
        let board =
            Board::new(&words, notifier, Publisher::new(textfile), settings.run.ready, is_ready);
        Self {
            root,
            settings,
            notifier,
            net: Net::new(),
            words,
            board: RefCell::new(board),
            given_up: Notify::new(),
        }
    }

    fn shared(&self) -> Shared<'_> {
        Shared::new(self.root, self.settings, self.net.clone(), &self.board, &self.given_up)
    }

    async fn live(&self, signals: &mut Signals, is_ready: &mut bool) -> End {
        self.board.borrow_mut().changed(&self.given_up);
        let shared = self.shared();
        let keepers = self.words.iter().enumerate();
        let keepers = keepers.map(|(index, word)| Keeper::new(&shared, index, word).keep());
        let forever = async {
            join_all(keepers).await;
            std::future::pending::<Infallible>().await
        };
        let end = tokio::select! {
            end = signals.next() => end,
            notice = self.beat() => End::Ending(notice),
            fault = self.all_gave_up() => End::Failed(fault),
            never = forever => match never {},
            never = metrics::serve(self.socket(), &self.board) => match never {},
        };
        *is_ready = self.board.borrow().is_ready();
        end
    }

    /// The daemon's pulse: tells that it is alive, and asks whether the instance is. Ends with
    /// what EC2 has announced, where that is a reason to leave.
    async fn beat(&self) -> String {
        let notices = Notices::new(self.root, &self.net);
        let notice_pause = notices.as_ref().map(|_| NOTICE_PAUSE);
        let quiet = [self.notifier.watchdog_pause(), notice_pause].into_iter().flatten().min();
        let mut said = false;
        loop {
            if let Some(notices) = &notices {
                match notices.termination().await {
                    Some(notice) if self.settings.run.leave_on >= LeaveOn::Termination => {
                        return notice;
                    }
                    Some(notice) if !said => {
                        said = true;
                        tracing::warn!(
                            message_id = milestones::ENDING,
                            "{notice}; this node stays a member (run.leave_on)"
                        );
                    }
                    _ => {}
                }
            }
            let is_ready = self.board.borrow().is_ready();
            match if is_ready { quiet } else { Some(START_PAUSE) } {
                Some(pause) => timer::sleep(pause).await,
                None => std::future::pending().await,
            }
            self.notifier.alive();
            if !is_ready {
                self.board.borrow_mut().changed(&self.given_up);
            }
        }
    }

    async fn all_gave_up(&self) -> Fault {
        loop {
            self.given_up.notified().await;
            if let Some(fault) = self.board.borrow().all_gave_up() {
                return fault;
            }
        }
    }

    /// Metrics are no reason not to run.
    fn socket(&self) -> Option<UnixListener> {
        let path = self.root.at(self.settings.metrics.socket.as_ref()?);
        match metrics::listen(&path) {
            Ok(listener) => Some(listener),
            Err(fault) => {
                tracing::warn!("{fault}: {}", fault.causes.join("; "));
                None
            }
        }
    }
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

    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Stop,
            _ = self.interrupt.recv() => End::Stop,
            _ = self.hang_up.recv() => End::Reload,
        }
    }
}
