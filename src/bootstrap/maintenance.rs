//! Maintenance of a member: its certificate or its key is renewed, its files are repaired.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use super::{
    Bootstrap, Changes, Effect, Former, KeyFingerprints, Now, Phase, PhaseName, SettingValues,
    StepKind,
};
use crate::engines::{Authority, Grant, Installation, Installed, NodeContext, inspection};
use crate::fault::{Fault, Kind, Shows};
use crate::targets::invariant;

/// What a bootstrap may do on a node that has joined already. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Maintenance {
    /// Renew a certificate or a key that is due, within this budget.
    pub renew: Option<Duration>,
    /// Repair the installed files: install the grant again, whatever is there.
    pub repair: bool,
    /// Renew it now, whether or not it is due.
    pub renew_now: bool,
    /// Apply changed settings: find out the authority again, and install what is in force with them. The
    /// settings that the record keeps afterwards.
    pub apply: Option<SettingValues>,
    /// Fail where the record belongs to another machine. Else this machine joins.
    pub is_of_member: bool,
}

/// The budget for applying settings where the maintenance has no other.
const APPLY_BUDGET: Duration = Duration::from_mins(1);

impl Bootstrap {
    /// Allows this maintenance. A renewal that is under way gets the given budget.
    #[must_use]
    pub fn allowing(mut self, maintenance: Maintenance, now: Now) -> Self {
        if let (Some(_), Some(budget)) = (&self.journal.working.former, maintenance.renew) {
            self.journal.schedule.restart_budget(budget, now);
        }
        self.maintenance = maintenance;
        self
    }

    /// Begins the maintenance that is allowed and due. Else it goes on with what is under way.
    pub(super) fn begin_maintenance(&mut self, now: Now) {
        if self.maintenance.repair {
            self.prepare_repair(now);
        }
        let record = &self.journal.working;
        let Phase::Joined { grant } = record.phase.clone() else { return };
        let since = record.since;
        let target = &self.plan.target;
        let is_asked = self.maintenance.renew_now && target.renews(&grant);
        let is_due = record.is_renewal_due(now.unix, target.key_lifetime());
        match self.maintenance.clone() {
            Maintenance { repair: true, .. } => {
                self.journal.step_done(StepKind::Repair, "installing the grant's files again");
                // A repair gets a new budget, whatever the join has spent of its own.
                let budget = self.journal.schedule.budget();
                self.journal.schedule.restart_budget(budget, now);
                let fault = self.journal.working.fault.take();
                self.journal.enter(now, Phase::Installing { grant });
                // The date of the renewal is counted from the join, so its time is kept.
                self.journal.working.since = since;
                self.journal.working.fault = fault.filter(|fault| fault.is_of_renewal);
            }
            Maintenance { renew: Some(budget), .. } if is_due || is_asked => {
                self.journal.schedule.restart_budget(budget, now);
                let replaces_key = self.plan.target.renews_key();
                let what = if replaces_key { "key" } else { "certificate" };
                let result = if is_due {
                    format!("the {what} is due for renewal")
                } else {
                    format!("a new {what} is asked for")
                };
                self.journal.step_done(StepKind::Renewal, result);
                self.journal.enter(now, Phase::New);
                let key = self.journal.working.key.take_if(|_| replaces_key);
                self.keep_as_former(grant, since, key);
            }
            Maintenance { apply: Some(_), renew, .. } => {
                self.journal.schedule.restart_budget(renew.unwrap_or(APPLY_BUDGET), now);
                self.journal
                    .step_done(StepKind::Settings, "applying the settings that have changed");
                self.journal.enter(now, Phase::Installing { grant: grant.clone() });
                self.keep_as_former(grant, since, None);
            }
            _ => {}
        }
    }

    /// What a repair does with maintenance that is under way. A renewal whose grant is being installed goes on:
    /// that installs all files. Where the authority may have the new key, the renewal stays as it is. Any other
    /// is given up, and becomes due again.
    fn prepare_repair(&mut self, now: Now) {
        let record = &self.journal.working;
        let Some(former) = &record.former else { return };
        let budget = self.journal.schedule.budget();
        self.journal.schedule.restart_budget(budget, now);
        let is_granted = record.phase.name() == PhaseName::Installing && !record.applies_settings();
        if is_granted {
            return;
        }
        self.authority.clone_from(&former.authority);
        self.needs_hold = true;
        if self.may_have_new_key(None) {
            let result = "installing the former files again; the new key is still under way";
            self.journal.step_done(StepKind::Repair, result);
        } else {
            self.calls.is_in_doubt = false;
            self.take_former(now);
        }
    }

    /// Whether only the former grant's files are installed again, and the renewal stays as it is.
    pub(super) fn repairs_former(&self) -> bool {
        let phase = self.journal.working.phase.name();
        self.maintenance.repair
            && matches!(phase, PhaseName::Creating | PhaseName::Watching)
            && self.may_have_new_key(None)
    }

    /// Installs the former grant's files, but no key.
    pub(super) fn repair_former(&mut self) -> Result<Option<Effect>, Fault> {
        let node = NodeContext { former_key: None, ..self.node()? };
        let grant = self.journal.working.current_grant();
        let grant = grant.ok_or_else(|| invariant("a renewal has no former grant"))?;
        let Installation::Bundle(bundle) = self.engine().install(&node, grant, None)? else {
            return Err(invariant("the former grant has no files"));
        };
        let mut bundle = bundle.keeping_key();
        bundle.remove_outdated(&self.journal.working.installed);
        self.journal.working.planned = bundle.installed_files();
        Ok(Some(Effect::Install(bundle)))
    }

    pub(super) fn former_repaired(&mut self, files: Vec<Installed>) {
        let record = &mut self.journal.working;
        record.installed = files;
        record.planned.clear();
        self.journal.step_done(StepKind::Install, "all files of the former grant are installed");
        let outcome = self.joined(false);
        self.journal.end(outcome);
    }

    /// The node uses this until the maintenance has succeeded. The authority's endpoint or CA may have changed
    /// since the join: it is discovered again.
    fn keep_as_former(&mut self, grant: Grant, since: i64, key: Option<KeyFingerprints>) {
        self.authority = None;
        self.needs_hold = false;
        let record = &mut self.journal.working;
        let authority = record.authority.take();
        record.former = Some(Former { grant, authority, since, key });
    }

    /// Whether the authority may have the new key of a renewal. Then there is no way back: the next start
    /// asks which key it has.
    fn may_have_new_key(&self, fault: Option<Shows>) -> bool {
        let record = &self.journal.working;
        record.former_key().is_some()
            && fault != Some(Shows::NothingCreated)
            && match record.phase.name() {
                PhaseName::Creating => self.calls.is_in_doubt,
                PhaseName::Watching | PhaseName::Installing => true,
                PhaseName::New | PhaseName::Requested | PhaseName::Joined | PhaseName::Leaving => {
                    false
                }
            }
    }

    /// Whether this start applies changed settings.
    pub(super) fn applies_settings(&self) -> bool {
        self.maintenance.apply.is_some() && self.journal.working.applies_settings()
    }

    /// Brings changed settings to the authority, as far as it has them.
    pub(super) fn tell_changes(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let before = &self.journal.working.settings;
        let after = self.maintenance.apply.as_ref().unwrap_or(before);
        let names = before.keys().chain(after.keys());
        let changed: Vec<&str> = names
            .filter(|name| before.get(*name) != after.get(*name))
            .map(String::as_str)
            .collect();
        if self.changes == Changes::Unreached {
            let name = self.journal.working.name.as_deref().unwrap_or_default();
            let errand = self.plan.target.change_errand(name, &changed);
            self.leave_changes_to_person(errand);
            return Ok(None);
        }
        let question = self.plan.target.change(&self.node()?, &changed, &self.answers, now.unix);
        match self.ask(question)? {
            Break(effect) => Ok(Some(effect)),
            Continue(()) => {
                self.changes = Changes::Told;
                Ok(None)
            }
        }
    }

    /// Whether the certificate in use is valid with the authority that the changed settings name.
    ///
    /// # Errors
    /// `Config`, with what makes a new membership.
    pub(super) fn check_change(&self, authority: &Authority, now: Now) -> Result<(), Fault> {
        let record = &self.journal.working;
        let id = &record.target;
        let fault = |what: &str| {
            let todo = format!(
                "set the settings back, or make a new membership: `enlist leave --target {id} && enlist join --target {id}`"
            );
            Fault::new(Kind::Config, what, self.plan.target.authority_name(), todo)
        };
        let former = record.former.as_ref().and_then(|former| former.authority.as_ref());
        if former.is_some_and(|former| former.engine() != authority.engine()) {
            return Err(fault("the settings now name an authority for another engine"));
        }
        let (name, grant) = (record.name.as_deref().unwrap_or_default(), record.current_grant());
        match (authority.ca(), grant) {
            (Some(ca), Some(grant)) if !inspection::is_signed_by(grant, name, ca, now.unix) => {
                Err(fault("the certificate in use is not one of the CA that the settings now name"))
            }
            _ => Ok(()),
        }
    }

    /// The record keeps the settings that are in force from now on.
    pub(super) fn keep_settings(&mut self) {
        let applies = self.applies_settings();
        let record = &mut self.journal.working;
        // What a new key is installed with, the authority may not know.
        let is_renewed = record.former.is_some() && !applies && record.former_key().is_none();
        if let (true, Some(applied)) = (applies, &self.maintenance.apply) {
            record.settings.clone_from(applied);
        } else if is_renewed && !self.settings.is_empty() {
            // A member keeps its name.
            let name = record.settings.remove("node.name");
            record.settings.clone_from(&self.settings);
            record.settings.remove("node.name");
            record.settings.extend(name.map(|name| ("node.name".to_owned(), name)));
        }
    }

    /// Ends a maintenance that failed. The node stays a member. After a renewal it keeps its former grant.
    /// The record keeps the fault. After a key was sent to the authority, the record keeps the phase too.
    pub(super) fn return_to_former(&mut self, now: Now, shows: Option<Shows>) {
        if self.may_have_new_key(shows) {
            return;
        }
        if let Some(since) = self.journal.working.repaired_since() {
            let Some(grant) = self.journal.working.phase.grant().cloned() else { return };
            let fault = self.journal.working.fault.take();
            self.journal.enter(now, Phase::Joined { grant });
            (self.journal.working.since, self.journal.working.fault) = (since, fault);
            return;
        }
        let applied = self.applies_settings();
        let record = &mut self.journal.working;
        if record.former.is_none() {
            return;
        }
        let mut fault = record.fault.take();
        if let Some(fault) = &mut fault {
            let undone = match (applied, record.former_key()) {
                (true, _) => "the changed settings are not applied",
                (false, Some(_)) => "no new key",
                (false, None) => "no new certificate",
            };
            fault.what = format!("{undone}: {}", fault.what);
            fault.is_of_renewal = true;
        }
        self.take_former(now);
        let lifetime = self.plan.target.key_lifetime();
        let record = &mut self.journal.working;
        let is_due = record.is_renewal_due(now.unix, lifetime);
        if let Some(fault) = &mut fault {
            fault.was_not_due = shows == Some(Shows::NothingNew) && !applied && !is_due;
        }
        record.fault = fault;
        let outcome = self.joined(true);
        self.journal.end(outcome);
    }

    /// The node is a member with its former grant again.
    fn take_former(&mut self, now: Now) {
        let Some(former) = self.journal.working.former.take() else { return };
        let Former { grant, authority, since, key } = former;
        self.journal.enter(now, Phase::Joined { grant });
        let record = &mut self.journal.working;
        (record.authority, record.since) = (authority, since);
        if key.is_some() {
            record.key = key;
        }
    }
}
