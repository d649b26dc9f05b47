//! What happens by itself: what was begun ends, and windows come.

use std::sync::Arc;

use super::OpsWorksCm;
use super::backup::NewBackup;
use super::event::log_url;
use super::server::Server;
use super::server::status::{self, FAILED, HEALTHY, UNDER_MAINTENANCE, UNHEALTHY};
use super::server::work::{Progress, Work};
use crate::control::span::Point;
use crate::now::Now;

/// "A one-hour period", in milliseconds.
const WINDOW: u64 = 3_600_000;

/// What comes next for a server.
enum Next {
    /// What it is busy with is over.
    End(Now),
    /// Its window for backups begins.
    Backup(Now),
    /// Its window for maintenance begins.
    Maintenance(Now),
}

impl Server {
    fn next(&self, point: Point) -> Option<Next> {
        if let Some(progress) = &self.progress {
            return progress.due.over(point).map(Next::End);
        }
        let backup = Some(self.next_backup).filter(|at| *at <= point.now);
        let maintenance = Some(self.next_maintenance).filter(|at| *at <= point.now);
        match (backup, maintenance) {
            (Some(backup), Some(maintenance)) if maintenance < backup => {
                Some(Next::Maintenance(maintenance))
            }
            (Some(backup), _) => Some(Next::Backup(backup)),
            (None, maintenance) => maintenance.map(Next::Maintenance),
        }
    }

    /// Skips the windows, each of an hour, that were over at `at`.
    fn skip_windows(&mut self, at: Now) {
        let hour_before = Now::from_unix_ms(at.unix_ms().saturating_sub(WINDOW));
        if self.next_backup <= hour_before {
            self.next_backup = self.settings.backup_window.next_after(hour_before);
        }
        if self.next_maintenance <= hour_before {
            self.next_maintenance = self.settings.maintenance_window.next_after(hour_before);
        }
    }

    /// Begins maintenance.
    pub(super) fn begin_maintenance(&mut self, progress: Progress, at: Now) {
        self.events.add(at, "Maintenance has started.");
        self.begin(UNDER_MAINTENANCE, progress);
    }
}

impl OpsWorksCm {
    /// Does what was due until `now`, in order.
    pub(in crate::control) fn settle(&mut self, now: Now) {
        let point = Point { now, call: self.call };
        while let Some((due, _)) = self.leaving.first()
            && *due <= now
            && let Some((at, key)) = self.leaving.pop_first()
        {
            if let Some(association) = self.associations.remove(&key) {
                let (server, node) = key;
                self.departed.nodes.push((server, node, association, at));
            }
        }
        if !self.deletions.is_empty() {
            self.settle_deletions(point);
        }
        if self.servers.values().all(|server| server.next(point).is_none()) {
            return;
        }
        for name in self.servers.keys().cloned().collect::<Vec<_>>() {
            while let Some(next) = self.servers.get(&name).and_then(|server| server.next(point)) {
                match next {
                    Next::End(at) => self.end(&name, at),
                    Next::Backup(at) => self.backup_by_window(&name, at, point),
                    Next::Maintenance(at) => self.maintain_by_window(&name, at, point),
                }
            }
        }
    }

    fn backup_by_window(&mut self, name: &str, at: Now, point: Point) {
        let Some(server) = self.servers.get_mut(name) else {
            return;
        };
        server.next_backup = server.settings.backup_window.next_within_reason(at, point.now);
        let possible = status::FOR_BACKUP.contains(&server.status);
        if server.settings.disable_automated_backup || !possible {
            return;
        }
        let new = NewBackup { description: None, user_arn: None, tags: Vec::new(), fails: false };
        // The server is there.
        let _ = self.begin_backup(name, new, Point { now: at, ..point });
    }

    fn maintain_by_window(&mut self, name: &str, at: Now, point: Point) {
        let due = self.settings.times.maintenance.from(Point { now: at, ..point });
        let Some(server) = self.servers.get_mut(name) else {
            return;
        };
        server.next_maintenance =
            server.settings.maintenance_window.next_within_reason(at, point.now);
        if status::FOR_CHANGE.contains(&server.status) {
            server.begin_maintenance(Progress { work: Work::Maintain, fails: false, due }, at);
        }
    }

    /// What a server is busy with is over.
    fn end(&mut self, name: &str, at: Now) {
        let Some(server) = self.servers.get_mut(name) else {
            return;
        };
        let Some(Progress { work, fails, .. }) = server.progress.take() else {
            return;
        };
        server.skip_windows(at);
        match (work, fails) {
            (Work::Heal, _) => server.become_healthy(at, "The server is healthy."),
            (Work::Create, false) => server.become_healthy(at, "The server has been created."),
            (Work::Create, true) => server.fail(FAILED, at, "The server could not be created."),
            (Work::Backup { id, back_to }, _) => {
                server.status = back_to;
                server.reason = fails.then(|| format!("The backup {id} has failed."));
                self.end_backup(&id, fails, at);
            }
            (Work::Restore { id }, false) => self.end_restore(name, &id, at),
            (Work::Restore { id }, true) => {
                server.fail(FAILED, at, &format!("The backup {id} could not be restored."));
            }
            (Work::Maintain, _) => self.end_maintenance(name, fails, at),
            (Work::Modify { pivotal_key, attribute, back_to }, false) => {
                server.status = back_to;
                server.pivotal_key = pivotal_key.or_else(|| server.pivotal_key.take());
                server.events.add(at, format!("The engine attribute {attribute} has changed."));
            }
            (Work::Modify { attribute, .. }, true) => {
                let message = format!("The engine attribute {attribute} could not be changed.");
                server.fail(UNHEALTHY, at, &message);
            }
            (Work::Delete, false) => self.forget_server(name),
            (Work::Delete, true) => {
                // "If the AWS CloudFormation stack cannot be deleted, the server cannot be deleted."
                server.fail(FAILED, at, "The AWS CloudFormation stack could not be deleted.");
            }
        }
    }

    fn end_maintenance(&mut self, name: &str, fails: bool, at: Now) {
        let url = log_url(&self.settings.place.region, name, &format!("{}.log", at.unix_ms()));
        let Some(server) = self.servers.get_mut(name) else {
            return;
        };
        server.maintenance_status = Some(if fails { "FAILED" } else { "SUCCESS" });
        server.status = if fails { UNHEALTHY } else { HEALTHY };
        let message =
            if fails { "Maintenance has failed." } else { "Updates successfully installed." };
        server.reason = fails.then(|| message.to_owned());
        server.events.add_logged(at, message, url);
    }

    /// The server manages the nodes again that it managed when the backup was made.
    fn end_restore(&mut self, name: &str, id: &str, at: Now) {
        let nodes = self.backups.get(id).map(|backup| Arc::clone(&backup.nodes));
        if let Some(server) = self.servers.get_mut(name) {
            server.become_healthy(at, &format!("The backup {id} has been restored."));
        }
        if let Some(nodes) = nodes {
            self.replace_nodes(name, &nodes);
        }
    }

    /// Forgets a server, and all that goes with it: nodes, tokens, events, and automated backups.
    pub(super) fn forget_server(&mut self, name: &str) {
        self.servers.remove(name);
        self.departed.servers.push(name.to_owned());
        self.replace_nodes(name, &[]);
        self.tickets.retain(|_, ticket| ticket.server != name);
        self.backups.retain(|_, backup| backup.manual || backup.server != name);
    }

    /// Replaces all nodes of a server.
    pub(super) fn replace_nodes(
        &mut self,
        name: &str,
        nodes: &[(String, Arc<super::Association>)],
    ) {
        self.leaving.retain(|(_, (server, _))| server != name);
        self.associations.retain(|(server, _), _| server != name);
        for (node, association) in nodes {
            let association = super::Association { leaves_at: None, ..(**association).clone() };
            self.associations.insert((name.to_owned(), node.clone()), Arc::new(association));
        }
    }
}

impl Server {
    fn become_healthy(&mut self, at: Now, message: &str) {
        self.status = HEALTHY;
        self.reason = None;
        self.events.add(at, message);
        self.events.add(at, "The health check has succeeded.");
    }

    fn fail(&mut self, status: &'static str, at: Now, message: &str) {
        self.status = status;
        self.reason = Some(message.to_owned());
        self.events.add(at, message);
    }
}
