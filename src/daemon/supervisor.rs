//! The supervisor: one reading of the settings, a worker for each target, and what the workers
//! share.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UnixListener;
use tokio::sync::Notify;

use super::access::{Access, InForce};
use super::memberships::{self, Known};
use super::metrics::{self, Publisher};
use super::service_manager::ServiceManager;
use super::signals::{Command, Signals};
use super::status_table::{Entry, StatusTable};
use super::worker::TargetWorker;
use crate::config::settings::LeaveOn;
use crate::driver::milestones;
use crate::fault::Fault;
use crate::host::imds::Notices;
use crate::host::{HttpClients, Root, lock, timer};

/// How often the metadata service is asked for notices: a Spot instance is told two minutes before
/// it ends. Together with an inspection every ten minutes, this wakes the process less than sixty
/// times an hour.
const NOTICE_PAUSE: Duration = Duration::from_secs(75);
/// The heartbeat while the service starts; less than the time that is asked for.
const START_PAUSE: Duration = Duration::from_secs(30);

/// A target to work on, and how its services are reached.
pub struct Member {
    pub known: Known,
    pub access: Access,
}

impl Member {
    /// # Errors
    /// `Config` where its settings or the environment can't be used.
    fn new(known: Known) -> Result<Self, Fault> {
        let access = known.target()?.1.access()?.clone();
        Ok(Self { known, access })
    }
}

/// Why a supervisor ended.
pub enum Ended {
    Command(Command),
    /// EC2 is about to end this instance; the text of the notice.
    InstanceEnds(String),
    /// No target can continue.
    Failed(Fault),
}

/// One reading of the settings, and everything that runs by it.
pub struct Supervisor<'a> {
    pub root: &'a Root,
    /// For what all targets share.
    pub settings: Rc<InForce>,
    members: Vec<Member>,
    manager: &'a ServiceManager,
    http: HttpClients,
    status_table: RefCell<StatusTable>,
    gave_up: Notify,
    /// Held while any target is at work.
    lock: RefCell<Weak<lock::InstanceLock>>,
}

impl<'a> Supervisor<'a> {
    /// None: no target is configured, and this node is a member of none.
    ///
    /// # Errors
    /// `Config` for a value in the environment or in an AWS profile that can't be used.
    pub fn new(
        root: &'a Root,
        configured: Option<&Rc<InForce>>,
        manager: &'a ServiceManager,
    ) -> Result<Option<Self>, Fault> {
        let mut members = Vec::new();
        for known in memberships::all(root, configured) {
            let (id, is_configured) = (known.id, known.is_configured);
            match Member::new(known) {
                Ok(member) => members.push(member),
                Err(fault) if is_configured => return Err(fault),
                // The other targets go on.
                Err(fault) => tracing::warn!(enlist_target = id, "{}", fault.sentence()),
            }
        }
        let Some(first) = members.first() else { return Ok(None) };
        let recalled = || first.known.settings.clone();
        let Some(settings) = configured.cloned().or_else(recalled) else { return Ok(None) };
        let http = settings.access()?.http.clone();
        let publisher = Publisher::new(root, settings.metrics.textfile.clone());
        let entry = |Member { known, .. }: &Member| Entry::new(known.id, known.is_configured);
        let entries = members.iter().map(entry).collect();
        let ready = settings.run.ready;
        Ok(Some(Self {
            root,
            settings,
            members,
            manager,
            http,
            status_table: RefCell::new(StatusTable::new(entries, publisher, ready)),
            gave_up: Notify::new(),
            lock: RefCell::new(Weak::new()),
        }))
    }

    /// Runs the workers until there is a reason to end.
    pub async fn run(&self, signals: &mut Signals) -> Ended {
        self.report();
        let workers = async {
            join_all(self.workers().map(TargetWorker::run)).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            command = signals.next() => Ended::Command(command),
            notice = self.heartbeat() => Ended::InstanceEnds(notice),
            fault = self.all_gave_up() => Ended::Failed(fault),
            never = workers => match never {},
            never = metrics::serve(self.socket(), &self.status_table) => match never {},
        }
    }

    /// Leaves every target, all at the same time.
    ///
    /// # Errors
    /// The fault of the first target that could not be left.
    pub async fn leave(&self, budget: Duration) -> Result<(), Fault> {
        let workers: Vec<TargetWorker<'_>> = self.workers().collect();
        let mut outcomes = join_all(workers.iter().map(|worker| worker.leave(budget))).await;
        outcomes.drain(..).find_map(Result::err).map_or(Ok(()), Err)
    }

    /// The lock against other enlist processes. Workers that run at the same time share it.
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

    /// Changes the entry of one target and reports the change.
    pub fn update(&self, index: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.status_table.borrow_mut().entries.get_mut(index) {
            change(entry);
        }
        self.report();
    }

    fn report(&self) {
        let mut status_table = self.status_table.borrow_mut();
        status_table.report(self.manager);
        if status_table.all_gave_up().is_some() {
            self.gave_up.notify_one();
        }
    }

    fn workers(&self) -> impl Iterator<Item = TargetWorker<'_>> {
        let members = self.members.iter().enumerate();
        members.map(|(index, member)| TargetWorker::new(self, index, member))
    }

    /// Tells the service manager that the daemon is alive, and asks whether the instance is about
    /// to end. Returns the notice, if the settings make it a reason to leave.
    async fn heartbeat(&self) -> String {
        let mut notices = Notices::new(self.root, &self.http);
        let notice_pause = notices.as_ref().map(|_| NOTICE_PAUSE);
        let pause = [self.manager.watchdog_pause(), notice_pause].into_iter().flatten().min();
        let mut is_logged = false;
        loop {
            if let Some(notices) = &mut notices
                && let Some(notice) = notices.termination().await
            {
                if self.settings.run.leave_on >= LeaveOn::Termination {
                    return notice;
                }
                if !is_logged {
                    is_logged = true;
                    tracing::warn!(
                        message_id = milestones::ENDING,
                        "{notice}; this node stays a member (run.leave_on)"
                    );
                }
            }
            let is_starting = self.manager.is_starting();
            match if is_starting { Some(START_PAUSE) } else { pause } {
                Some(pause) => timer::sleep(pause).await,
                None => std::future::pending().await,
            }
            self.manager.alive();
            if is_starting {
                self.report();
            }
        }
    }

    async fn all_gave_up(&self) -> Fault {
        loop {
            self.gave_up.notified().await;
            if let Some(fault) = self.status_table.borrow().all_gave_up() {
                return fault;
            }
        }
    }

    /// The socket for metrics. The daemon runs without it if it can't be made.
    fn socket(&self) -> Option<UnixListener> {
        match metrics::listen(self.root, self.settings.metrics.socket.as_ref()?) {
            Ok(listener) => Some(listener),
            Err(fault) => {
                tracing::warn!("{}", fault.sentence());
                None
            }
        }
    }
}
