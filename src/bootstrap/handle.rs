//! What an event means for a bootstrap.

use super::{Bootstrap, Event, Installed, Key, Now, Phase, Record};
use crate::facts::{Facts, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::targets::name::default_name;
use crate::targets::{
    Answer, Created, Creation, Discovered, Discovery, Doubt, Grant, Installation, KeyReport,
    Watched, invariant,
};

impl Bootstrap {
    pub(super) fn take_in(&mut self, now: Now, event: Event) {
        let had_ended = self.journal.has_ended();
        if let Some(event) = self.journal.settle(event) {
            match self.take(now, event).and_then(|()| self.settle(now)) {
                Ok(()) => self.journal.pace.succeeded(),
                Err(fault) => self.fail(now, fault),
            }
        }
        if self.journal.has_ended() && !had_ended {
            self.journal.release_before_end(self.release());
        }
    }

    fn take(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::Facts(facts) => self.learn(now, *facts)?,
            Event::IsAside => self.begin_anew(now),
            Event::Held => self.is_held = true,
            Event::Key(key) => self.take_key(*key)?,
            Event::Installed(files) => self.installed(now, files),
            Event::HandedOver(id) => self.handed_over(now, id),
            Event::Answered(answer) => self.answered(now, answer)?,
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("nobody asked for {other:?}"))),
        }
        Ok(())
    }

    fn learn(&mut self, now: Now, facts: Facts) -> Result<(), Fault> {
        if let Some(difference) = self.journal.working.other_machine(&facts.machine()) {
            let result = format!(
                "the record is another machine's (a copied disk: {difference}): it and its key are set aside"
            );
            self.journal.step_done("clone", result);
            self.aside = Some(self.journal.working.identity_files());
            return Ok(());
        }
        self.journal.working.bind(facts.machine());
        self.begin_maintenance(now);
        // Once we have asked under a name, it stays.
        if self.journal.working.phase == Phase::New {
            let name = match (&self.journal.working.name, &self.plan.name) {
                // A member's stays.
                (Some(name), _) if self.journal.working.is_member() => name.clone(),
                (_, Some(template)) => template.render(&facts)?,
                (_, None) => default_name(&facts)?,
            };
            self.plan.target.check(&facts, &name)?;
            self.journal.step_done("facts", describe(&facts, &name));
            self.name = Some(name);
            // Whoever leaves has to find what holds the engine still.
            self.journal.working.puppet = recorded(facts.puppet.as_ref());
            if let Discovery::Known(authority) = self.plan.target.survey() {
                self.authority = Some(authority);
            }
        }
        self.facts = Some(facts);
        Ok(())
    }

    fn begin_anew(&mut self, now: Now) {
        let authority = self.plan.target.authority_name();
        self.journal.start_over(Record::new(self.plan.target.id(), &authority, now.unix));
        self.name = None;
        self.authority = None;
        self.doubt = None;
        self.aside = None;
    }

    fn take_key(&mut self, key: KeyReport) -> Result<(), Fault> {
        let fingerprint = key.public.fingerprint();
        if let Some(recorded) = &self.journal.working.key
            && *recorded != fingerprint
            && (self.journal.working.phase != Phase::New || self.journal.working.is_member())
        {
            return Err(Fault::new(
                Kind::Data,
                "the key on disk is not the one that this node asked with",
                format!("SHA-256 {fingerprint}, and the record says {recorded}"),
                "put the former key back, or move the record away to join anew with this one",
            ));
        }
        self.journal
            .step_done("key", format!("RSA {} bits, SHA-256 {fingerprint}", key.public.bits()));
        self.key = Key::Known(key);
        Ok(())
    }

    /// The steps that need nothing from outside, as far as they go.
    fn settle(&mut self, now: Now) -> Result<(), Fault> {
        let Some(known) = self.known() else { return Ok(()) };
        if !self.is_held && self.plan.target.hold(&known).is_some() {
            return Ok(());
        }
        if let Key::Unknown = self.key {
            if self.plan.target.key(&known)?.is_some() {
                return Ok(());
            }
            self.key = Key::NotNeeded;
        }
        match self.journal.working.phase {
            Phase::New => self.begin_creating(now),
            Phase::Creating => self.settle_doubt(now),
            Phase::Installing => self.settle_installation(now),
            Phase::Watching | Phase::Joined | Phase::Leaving => Ok(()),
        }
    }

    /// Everything is known: the intent to ask is what the record gets to hold.
    fn begin_creating(&mut self, now: Now) -> Result<(), Fault> {
        let Some(known) = self.known() else { return Ok(()) };
        let creation = self.plan.target.create(&known, &self.mark(), now.unix)?;
        let is_registered =
            !self.journal.working.is_member() && self.plan.target.shows_registration(known.facts);
        self.journal.working.before = known.facts.ssm_instance().map(str::to_owned);
        self.journal.working.name.clone_from(&self.name);
        self.journal.working.key = self.key.report().map(|key| key.public.fingerprint());
        self.journal.working.key_sha1 = self.key.report().map(|key| key.public.sha1_fingerprint());
        self.journal.working.authority.clone_from(&self.authority);
        match creation {
            Creation::Call(_) if is_registered => {
                // What the authority has is asked first, as after an attempt of our own.
                self.doubt = Some(Vec::new());
                self.enter(now, Phase::Creating);
            }
            Creation::Call(_) => {
                self.attempted_once_more();
                self.enter(now, Phase::Creating);
            }
            Creation::Given(grant) => self.intend(now, grant),
        }
        Ok(())
    }

    fn settle_doubt(&mut self, now: Now) -> Result<(), Fault> {
        let Some(known) = self.known() else { return Ok(()) };
        match self.doubted(&known)? {
            None | Some(Doubt::Ask(_)) => {}
            Some(Doubt::Repeat) => {
                self.doubt = None;
                // What an earlier grant left here was let go with it: it is none of the next one's.
                let stands = self.facts.as_ref().and_then(Facts::ssm_instance).map(str::to_owned);
                self.journal.working.before = stands;
                self.attempted_once_more();
            }
            Some(Doubt::Adopt(grant)) => {
                self.journal
                    .step_done("reconciled", "an earlier attempt had taken effect".to_owned());
                self.doubt = None;
                self.grant(now, grant);
                self.settle_installation(now)?;
            }
        }
        Ok(())
    }

    /// Notices what an earlier start had installed, and that a secret is lost.
    fn settle_installation(&mut self, now: Now) -> Result<(), Fault> {
        let (Some(known), Some(grant)) = (self.known(), &self.journal.working.grant) else {
            return Ok(());
        };
        let target = &self.plan.target;
        if let Some(installed) =
            target.is_installed(known.facts, self.journal.working.before.as_deref(), grant)
        {
            self.journal.working.grant = Some(installed);
            let files = std::mem::take(&mut self.journal.working.planned);
            self.installed(now, files);
            return Ok(());
        }
        if target.install(&known, grant, self.secret.as_ref())?.is_none() {
            self.journal.step_done(
                "secret",
                "what came with the grant was lost with the last start; it is asked for anew"
                    .to_owned(),
            );
            self.doubt_the_grant(now);
            return self.settle_doubt(now);
        }
        Ok(())
    }

    fn installed(&mut self, now: Now, files: Vec<Installed>) {
        let joined_since = self.journal.working.repaired_since();
        self.journal.working.installed = files;
        self.journal.working.former = None;
        self.journal.working.planned.clear();
        self.enter(now, Phase::Joined);
        self.journal.working.since = joined_since.unwrap_or(now.unix);
        self.journal.step_done("install", "everything is in place".to_owned());
        self.secret = None;
        self.journal.end(self.joined(false));
    }

    fn handed_over(&mut self, now: Now, id: String) {
        let activation = match self.journal.working.grant.take() {
            Some(Grant::Activation { id }) => Some(id),
            _ => None,
        };
        self.journal.working.grant = Some(Grant::Managed { id, activation });
        self.installed(now, Vec::new());
    }

    fn answered(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        match self.journal.working.phase {
            Phase::New => self.surveyed(answer),
            Phase::Creating => self.created(now, answer),
            Phase::Watching => self.watched(now, answer),
            _ => Err(invariant("an answer came when nothing was asked")),
        }
    }

    fn surveyed(&mut self, answer: Answer) -> Result<(), Fault> {
        let facts =
            self.facts.as_ref().ok_or_else(|| invariant("an answer came before its question"))?;
        match self.plan.target.surveyed(facts, answer)? {
            Discovered::Ready(authority) => {
                self.journal.step_done("authority", self.plan.target.authority_name());
                self.authority = Some(authority);
                Ok(())
            }
            Discovered::NotYet(doing) => Err(Fault::new(
                Kind::Transient,
                doing,
                self.plan.target.authority_name(),
                "wait, or look into the server's state",
            )),
        }
    }

    /// The answer to the creating call, or to what was asked about it.
    fn created(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        let known = self.known().ok_or_else(|| invariant("an answer came before its question"))?;
        if let Some(Doubt::Ask(_)) = self.doubted(&known)? {
            self.doubt.get_or_insert_default().push(answer);
            return Ok(());
        }
        match self.plan.target.created(answer)? {
            Created::Ticket(ticket) => {
                self.journal.step_done("association", "asked to be accepted".to_owned());
                self.journal.working.ticket = Some(ticket);
                self.enter(now, Phase::Watching);
                self.journal.pace.watch_anew(now, "the authority is busy and gets time to decide");
            }
            Created::Granted(grant, secret) => {
                self.secret = secret;
                self.grant(now, grant);
            }
        }
        Ok(())
    }

    fn watched(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        let known = self.known().ok_or_else(|| invariant("an answer came before its question"))?;
        match self.plan.target.watched(&known, answer, now.unix) {
            Ok(Watched::Pending) => self.keep_watching(now),
            Ok(Watched::Granted(grant)) => {
                self.grant(now, grant);
                Ok(())
            }
            Ok(Watched::Forgotten) => {
                self.journal.pace.set_back();
                // There is no doubt about it: it is a creating call more, and counted as one.
                self.ask_anew(now, Phase::Creating);
                Err(Fault::new(
                    Kind::Transient,
                    "the authority no longer knows the association that it gave us a token for",
                    self.plan.target.authority_name(),
                    "nothing: it is asked anew, with the same key",
                ))
            }
            Err(fault) => {
                // It said no: the ticket is spent. Whoever starts us again asks anew.
                if fault.kind == Kind::Rejected {
                    self.ask_anew(now, Phase::New);
                }
                Err(fault)
            }
        }
    }

    fn keep_watching(&mut self, now: Now) -> Result<(), Fault> {
        if self.journal.pace.is_spent(now) {
            return Err(Fault::new(
                Kind::Transient,
                "the association is still in progress",
                format!(
                    "node {}, {}",
                    self.name.as_deref().unwrap_or("?"),
                    self.plan.target.authority_name()
                ),
                "look into the server; the next join goes on waiting for the same association",
            ));
        }
        self.journal.pace.watch(now, "the authority has not decided yet");
        Ok(())
    }

    fn grant(&mut self, now: Now, grant: Grant) {
        self.journal.step_done("granted", grant.describe());
        self.intend(now, grant);
    }

    /// What was given is to be installed, and what will stand because of that is in the record.
    fn intend(&mut self, now: Now, grant: Grant) {
        let installation = self
            .known()
            .map(|known| self.plan.target.install(&known, &grant, self.secret.as_ref()));
        if let Some(Ok(Some(Installation::Bundle(bundle)))) = installation {
            let leaves = bundle.installed_files().into_iter();
            self.journal.working.planned =
                leaves.map(|(what, path)| Installed::new(what, path)).collect();
        }
        self.journal.working.grant = Some(grant);
        self.enter(now, Phase::Installing);
    }

    pub(super) fn ask_anew(&mut self, now: Now, phase: Phase) {
        self.journal.working.ticket = None;
        self.enter(now, phase);
    }

    pub(super) fn enter(&mut self, now: Now, phase: Phase) {
        self.journal.working.phase = phase;
        self.journal.working.since = now.unix;
        self.journal.working.fault = None;
        self.journal.working.elapsed_ms = self.journal.pace.spent_ms(now);
    }
}

/// As it will be read again.
fn recorded(site: Option<&PuppetSite>) -> Option<PuppetSite> {
    site.map(|site| PuppetSite {
        csr_attributes: None,
        csr_attributes_path: None,
        complaint: None,
        oid_mapping: None,
        ..site.clone()
    })
}

fn describe(facts: &Facts, name: &str) -> String {
    match &facts.ec2 {
        Some(ec2) => format!(
            "{name}, EC2 instance {} in {}",
            ec2.instance_id,
            ec2.zone.as_deref().unwrap_or("?")
        ),
        None => format!("{name}, no EC2 instance"),
    }
}
