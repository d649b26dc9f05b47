//! Joining by hand: a person carries the request to the authority, and its answer here. The authority is
//! not asked. What it has granted is checked and installed as in any join. Pure.

use super::{Bootstrap, Changes, Effect, Key, Now, Outcome, Phase, PhaseName, StepKind};
use crate::engines::{EngineRecord, KeyReport, KeySpec, NodeContext};
use crate::fault::{Fault, Kind};
use crate::pki::private_key::PrivateKey;
use crate::targets::{Carried, invariant};

/// What a person does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// Takes the request. The outcome is [`Outcome::Requested`].
    Request {
        /// Whether the record says from now on that an answer is waited for.
        is_recorded: bool,
    },
    /// Has brought the answer.
    Answer(Box<Carried>),
}

/// The commands that make another request, with another key.
#[must_use]
pub fn new_request(id: &str) -> String {
    format!("`enlist leave --target {id} && enlist csr --by-hand --target {id}`")
}

impl Bootstrap {
    /// Has a person carry the messages.
    #[must_use]
    pub fn by_hand(mut self, way: ByHand) -> Self {
        self.by_hand = Some(way);
        self
    }

    /// The fault where the record does not fit to what a person does. It is not of the membership, so the
    /// record does not keep it.
    pub(super) fn wrong_way(&self) -> Option<Fault> {
        let record = &self.journal.working;
        let is_open = !record.is_member();
        match (&self.by_hand, record.phase.name()) {
            (None, PhaseName::Requested) => Some(self.waits_for_answer()),
            (Some(ByHand::Request { .. }), PhaseName::New | PhaseName::Requested) if is_open => {
                None
            }
            (Some(ByHand::Request { .. }), _) => Some(self.has_asked()),
            (Some(ByHand::Answer(answer)), PhaseName::New)
                if is_open && answer.private_key.is_none() =>
            {
                Some(self.has_not_asked())
            }
            (Some(ByHand::Answer(_)), phase) if !is_open && phase != PhaseName::Joined => {
                Some(self.has_asked())
            }
            _ => None,
        }
    }

    /// Whether only the request is made, so that nothing is installed.
    pub(super) fn only_requests(&self) -> bool {
        matches!(self.by_hand, Some(ByHand::Request { .. }))
    }

    fn answer(&self) -> Option<&Carried> {
        match &self.by_hand {
            Some(ByHand::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Whether a key was carried here that may still become this node's.
    pub(super) fn takes_key(&self) -> bool {
        let is_free = matches!(self.journal.working.phase, Phase::New | Phase::Requested);
        is_free && self.answer().is_some_and(|answer| answer.private_key.is_some())
    }

    /// Judges an answer with the key that it brings, before that key takes the place of another.
    pub(super) fn check_brought(&self, now: Now) -> Result<(), Fault> {
        let Some(answer) = self.answer().filter(|_| self.takes_key()) else { return Ok(()) };
        let Some(key) = &answer.private_key else { return Ok(()) };
        let key = PrivateKey::from_pem(key.expose().as_bytes()).map_err(|error| {
            let what = "the private key that was carried here can't be used";
            Fault::new(Kind::Data, what, self.on(), error.advice()).cause(error.to_string())
        })?;
        let report = KeyReport { public: key.public().clone(), csr: None, is_installed: false };
        let node = NodeContext { key: Some(&report), ..self.node()? };
        self.plan.target.grant_by_hand(&node, answer, now.unix).map(drop)
    }

    /// The key of an answer: the one that was carried here, else the one that the request was made with.
    pub(super) fn key_by_hand(&self, spec: KeySpec) -> KeySpec {
        let Some(answer) = self.answer() else { return spec };
        let brought = answer.private_key.clone().filter(|_| self.takes_key());
        let if_missing = spec.if_missing.or_else(|| Some(new_request(self.plan.target.id())));
        KeySpec { if_missing: if_missing.filter(|_| brought.is_none()), brought, ..spec }
    }

    pub(super) fn authority_by_hand(&mut self) -> Result<Option<Effect>, Fault> {
        let authority = self.plan.target.authority_by_hand(self.answer())?;
        self.authority = Some(authority);
        Ok(None)
    }

    /// Ends with the request, or installs what the answer grants.
    pub(super) fn go_by_hand(&mut self, now: Now, way: &ByHand) -> Result<Option<Effect>, Fault> {
        match way {
            ByHand::Request { is_recorded } => {
                if *is_recorded && self.journal.working.phase == Phase::New {
                    self.note_node()?;
                    self.journal.enter(now, Phase::Requested);
                    let result = "made, for a person to carry to the authority";
                    self.journal.step_done(StepKind::Request, result);
                }
                let Key::Known(report) = &self.key else {
                    return Err(invariant("no request was made"));
                };
                self.journal.end(Outcome::Requested(Box::new(report.clone())));
            }
            ByHand::Answer(answer) => {
                let node = self.node()?;
                let grant = self.plan.target.grant_by_hand(&node, answer, now.unix)?;
                if matches!(self.journal.working.phase, Phase::New | Phase::Requested) {
                    self.note_node()?;
                }
                self.journal.working.authority.clone_from(&self.authority);
                self.journal.working.is_by_hand = true;
                let result = grant.describe_carried(answer.private_key.is_some());
                self.granted_as(now, grant, result);
            }
        }
        Ok(None)
    }

    /// Records what the authority is asked with.
    pub(super) fn note_node(&mut self) -> Result<(), Fault> {
        let engine = EngineRecord::of(self.observed()?);
        let report = self.key.report();
        let was_there = report.is_some_and(|key| key.is_installed);
        let key = report.map(|key| super::KeyFingerprints::of(&key.public));
        let record = &mut self.journal.working;
        // For a member, an installed key may be the one that enlist has installed.
        if !record.is_member() {
            record.key_was_there = was_there;
        }
        (record.engine, record.key) = (engine, key);
        record.name.clone_from(&self.name);
        if record.phase == Phase::New && !record.is_member() {
            record.settings.clone_from(&self.settings);
        }
        Ok(())
    }

    /// Whether this fault keeps a node whose messages a person carries from applying changed settings: the
    /// authority can't be reached. They are applied here then, and a person brings them to the authority.
    pub(super) fn is_out_of_reach(&self, fault: &Fault) -> bool {
        let is_open = self.changes == Changes::Untold;
        self.journal.working.is_by_hand && self.applies_settings() && is_open && fault.is_unsent
    }

    /// The authority as far as it is known.
    pub(super) fn authority_offline(&mut self) -> Result<Option<Effect>, Fault> {
        let former = self.journal.working.former.as_ref();
        let known = former.and_then(|former| former.authority.as_ref());
        let known = known.ok_or_else(|| invariant("a member has no authority"))?;
        let authority = self.plan.target.authority_offline(known);
        self.journal.working.authority = Some(authority.clone());
        self.authority = Some(authority);
        Ok(None)
    }

    /// Says what a person does at the authority about changed settings, if it has them.
    pub(super) fn leave_changes_to_person(&mut self, errand: Option<String>) {
        let errand = errand.map(|errand| format!("; to do: {errand}")).unwrap_or_default();
        let what = "the authority can't be reached, so the changed settings are applied here alone";
        self.journal.step_done(StepKind::Warning, format!("{what}{errand}"));
        self.changes = Changes::Told;
    }

    fn waits_for_answer(&self) -> Fault {
        let id = self.plan.target.id();
        let what =
            "this node waits for an answer that a person carries, and does not ask the authority";
        let todo = format!(
            "run `enlist accept --target {id} FILE` with the answer; `enlist csr --by-hand --target {id}` prints the request again; to ask over the network instead, `enlist leave --target {id} && enlist join --target {id}`"
        );
        Fault::new(Kind::Transient, what, self.on(), todo).finally()
    }

    fn has_asked(&self) -> Fault {
        let id = self.plan.target.id();
        let what = "the authority has been asked already, with an earlier request";
        let todo = format!(
            "`enlist status` shows what became of it; for a new one: `enlist leave --target {id} && enlist csr --target {id}`"
        );
        Fault::new(Kind::Usage, what, self.on(), todo)
    }

    fn has_not_asked(&self) -> Fault {
        let id = self.plan.target.id();
        let what = "this node has made no request that this could be the answer to";
        let todo = format!("make one: `enlist csr --by-hand --target {id}`");
        Fault::new(Kind::Usage, what, self.on(), todo)
    }

    fn on(&self) -> String {
        format!("target {}, {}", self.plan.target.id(), self.plan.target.authority_name())
    }
}
