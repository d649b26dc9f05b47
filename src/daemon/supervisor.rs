//! One reading of the settings, and what lives by it: every target's worker, the pulse, and what
//! they share.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UnixListener;
use tokio::sync::Notify;

use super::metrics::{self, Publisher};
use super::status_table::{Entry, StatusTable};
use super::worker::TargetWorker;
use super::{End, NOTICE_PAUSE, START_PAUSE, Signals};
use crate::config::Settings;
use crate::config::settings::LeaveOn;
use crate::driver::milestones;
use crate::fault::Fault;
use crate::host::imds::Notices;
use crate::host::{AwsSettings, Environment, Host, HttpClients, Notifier, Root, lock, timer};

/// One reading of the settings, and what is made of it.
pub struct Supervisor<'a> {
    pub root: &'a Root,
    pub settings: &'a Settings,
    notifier: Notifier,
    net: HttpClients,
    environment: Environment,
    words: Vec<&'static str>,
    status_table: RefCell<StatusTable>,
    given_up: Notify,
    /// While a target is at work.
    lock: RefCell<Weak<lock::InstanceLock>>,
}

impl<'a> Supervisor<'a> {
    /// # Errors
    /// `Config` for what the environment or an AWS profile says and can't be used.
    pub fn new(
        root: &'a Root,
        settings: &'a Settings,
        notifier: Notifier,
        is_ready: bool,
    ) -> Result<Self, Fault> {
        let environment = environment(settings)?;
        let words = settings.target_ids();
        let textfile = settings.metrics.textfile.clone();
        let status_table = StatusTable::new(
            &words,
            notifier,
            Publisher::new(root, textfile),
            settings.run.ready,
            is_ready,
        );
        Ok(Self {
            root,
            settings,
            notifier,
            net: HttpClients::new(&environment),
            environment,
            words,
            status_table: RefCell::new(status_table),
            given_up: Notify::new(),
            lock: RefCell::new(Weak::new()),
        })
    }

    /// Until there is a reason to end it.
    pub async fn run(&self, signals: &mut Signals, is_ready: &mut bool) -> End {
        self.tell();
        let forever = async {
            join_all(self.workers().map(TargetWorker::run)).await;
            std::future::pending::<Infallible>().await
        };
        let end = tokio::select! {
            end = signals.next() => end,
            notice = self.heartbeat() => End::Ending(notice),
            fault = self.all_gave_up() => End::Failed(fault),
            never = forever => match never {},
            never = metrics::serve(self.socket(), &self.status_table) => match never {},
        };
        *is_ready = self.status_table.borrow().is_ready();
        end
    }

    /// Out of every target, side by side.
    ///
    /// # Errors
    /// The first target's that could not be left.
    pub async fn leave(&self, budget: Duration) -> Result<(), Fault> {
        let workers: Vec<TargetWorker<'_>> = self.workers().collect();
        let mut outcomes = join_all(workers.iter().map(|worker| worker.leave(budget))).await;
        outcomes.drain(..).find_map(Result::err).map_or(Ok(()), Err)
    }

    /// The lock against other enlists; targets that are at work side by side hold it together.
    pub async fn lock(&self) -> Result<Rc<lock::InstanceLock>, Fault> {
        loop {
            if let Some(lock) = self.lock.borrow().upgrade() {
                return Ok(lock);
            }
            if let Some(lock) = lock::try_acquire(self.root)? {
                let lock = Rc::new(lock);
                *self.lock.borrow_mut() = Rc::downgrade(&lock);
                return Ok(lock);
            }
            timer::pause(lock::LOCK_PAUSE).await;
        }
    }

    pub fn host(&self, word: &str) -> Host {
        Host::new(self.root.clone(), word, self.environment.clone(), self.net.clone())
    }

    /// Changes one target's entry, and tells everybody.
    pub fn update(&self, index: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.status_table.borrow_mut().entries.get_mut(index) {
            change(entry);
        }
        self.tell();
    }

    fn tell(&self) {
        let mut status_table = self.status_table.borrow_mut();
        status_table.changed();
        if status_table.all_gave_up().is_some() {
            self.given_up.notify_one();
        }
    }

    fn workers(&self) -> impl Iterator<Item = TargetWorker<'_>> {
        self.words.iter().enumerate().map(|(index, word)| TargetWorker::new(self, index, word))
    }

    /// The daemon's pulse: tells that it is alive, and asks whether the instance is. Ends with
    /// what EC2 has announced, where that is a reason to leave.
    async fn heartbeat(&self) -> String {
        let mut notices = Notices::new(self.root, &self.net);
        let notice_pause = notices.as_ref().map(|_| NOTICE_PAUSE);
        let quiet = [self.notifier.watchdog_pause(), notice_pause].into_iter().flatten().min();
        let mut said = false;
        loop {
            if let Some(notices) = &mut notices {
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
            let is_ready = self.status_table.borrow().is_ready();
            match if is_ready { quiet } else { Some(START_PAUSE) } {
                Some(pause) => timer::sleep(pause).await,
                None => std::future::pending().await,
            }
            self.notifier.alive();
            if !is_ready {
                self.tell();
            }
        }
    }

    async fn all_gave_up(&self) -> Fault {
        loop {
            self.given_up.notified().await;
            if let Some(fault) = self.status_table.borrow().all_gave_up() {
                return fault;
            }
        }
    }

    /// Metrics are no reason not to run.
    fn socket(&self) -> Option<UnixListener> {
        match metrics::listen(self.root, self.settings.metrics.socket.as_ref()?) {
            Ok(listener) => Some(listener),
            Err(fault) => {
                tracing::warn!("{fault}: {}", fault.causes.join("; "));
                None
            }
        }
    }
}

/// What the environment and the shared AWS configuration say, beside the settings.
///
/// # Errors
/// `Config` for what can't be used.
pub fn environment(settings: &Settings) -> Result<Environment, Fault> {
    let aws = settings.aws.clone();
    Environment::read(&AwsSettings {
        region: aws.region,
        profile: aws.profile,
        endpoint_url: aws.endpoint_url,
        allow_http: aws.allow_http,
    })
}
