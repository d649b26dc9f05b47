//! The targets: the authorities that a node can join. Pure: the folder of a target says what to ask its
//! authority and what each answer means. The files of an engine belong to `engines`.
//!
//! The order of the questions is the same for all targets, and belongs to `bootstrap`:
//!
//! ```text
//! discover   read-only: the authority's endpoint and CA, and whether it is ready
//! create     the one call that asks for the membership
//! reconcile  whether that call took effect, after its reply was lost
//! wait       read-only: whether the authority has decided, and what it granted
//! leave      ends the membership
//! probe      read-only: what the authority knows of this node now
//! ```

pub mod address;
pub mod api;
pub mod by_hand;
pub mod chef_server;
mod member;
pub mod name;
pub mod opsworks;
pub mod opsworks_cm;
pub mod puppet_server;
mod question;
mod results;
pub mod ssm;
mod standing;

pub use api::{Answer, Call, Request};
pub(crate) use api::{invariant, mismatch};
pub use by_hand::{Carried, CarriedError};
pub use member::Member;
pub use name::NameTemplate;
pub use question::{Question, Signature, SigningKey, ToSign};
pub use results::{Created, Creation, Decision, Reconciled};
pub use standing::{Departure, LONGEST_POLL, OtherCa, Permissions, Standing, Undecided};

use std::time::Duration;

use crate::engines::{Authority, Bundle, EngineId, Grant, NodeContext, Observed, RequestAdditions};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::secret::{Secret, SecretSource};

/// The directory of records, staged keys, evidence and backups.
pub const STATE_DIR: &str = "/var/lib/enlist";

/// One target. A method that gets an answer also decides whether the answer is acceptable.
pub trait Target: Send {
    /// The target's id, such as `opsworks-cm`: for the settings' table, `--target` and the state directory.
    fn id(&self) -> &'static str;

    /// The authority, for messages and for the record: `server my-puppet`.
    fn authority_name(&self) -> String;

    /// The engine. Where only the authority can tell, the one to expect.
    fn engine(&self) -> EngineId;

    /// Every engine that the authority may turn out to use.
    fn engines(&self) -> Vec<EngineId> {
        vec![self.engine()]
    }

    /// Checks whether the authority can accept this node under this name.
    ///
    /// # Errors
    /// `Config` with the rule that is broken.
    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault> {
        let _ = (facts, name);
        Ok(())
    }

    /// Whether somebody else has this name at the authority, and not by accident.
    fn is_reserved(&self, _name: &str) -> bool {
        false
    }

    /// Finds out the authority's endpoint and CA.
    ///
    /// # Errors
    /// `Transient` where the authority is not ready yet, `Rejected` where it will never be, `Data` where
    /// its CA can't be used.
    fn discover(&self, facts: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault>;

    /// As [`Self::discover`], for a member, whose authority was `known` when it joined.
    ///
    /// # Errors
    /// As for [`Self::discover`].
    fn rediscover(
        &self,
        facts: &Facts,
        known: &Authority,
        answers: &[Answer],
    ) -> Result<Question<Authority>, Fault> {
        let _ = known;
        self.discover(facts, answers)
    }

    /// Whether the authority that was found can work. Returns warnings. `unix` is the time in seconds.
    ///
    /// # Errors
    /// `Data` where its CA or its lists can't be used.
    fn check_authority(
        &self,
        _found: &Authority,
        _observed: &Observed,
        _unix: i64,
    ) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    /// What is said of the settings each time that the membership is shown. `known` is its authority.
    fn warnings(&self, known: Option<&Authority>) -> Vec<String> {
        let _ = known;
        Vec::new()
    }

    /// Whether the authority may know this node already although no record does. Then `reconcile`
    /// is asked before anything is created.
    fn shows_registration(&self, observed: &Observed) -> bool {
        let _ = observed;
        false
    }

    /// What is added to the certificate request that this authority gets.
    fn additions(&self) -> &RequestAdditions {
        static NONE: RequestAdditions = RequestAdditions::NONE;
        &NONE
    }

    /// The secrets of the settings that a join reads.
    fn secrets(&self) -> Vec<&SecretSource> {
        self.additions().challenge_password.iter().collect()
    }

    /// Checks a secret of the settings, as far as it can be without the authority. `on` is where it is.
    ///
    /// # Errors
    /// `Config` with the rule that is broken. Nothing of the secret is in it.
    fn check_secret(&self, secret: &Secret, on: &str) -> Result<(), Fault> {
        crate::engines::node::check_secret(self.additions(), secret.expose(), on)
    }

    /// The creating call. Where `node.former` is set, it renews the membership. `mark` is a text that is
    /// unique to this node and target, for finding later what the call created. `unix` is the time in
    /// seconds. `answers` are the signatures that it asked for.
    ///
    /// # Errors
    /// `Config` where a value does not fit the API.
    fn create(
        &self,
        node: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Creation, Fault>;

    /// The meaning of the answer to the creating call.
    ///
    /// # Errors
    /// `Protocol` where the answer lacks what it must hold.
    fn created(&self, node: &NodeContext<'_>, answer: &Answer, unix: i64)
    -> Result<Created, Fault>;

    /// Finds out what became of a creating call whose reply was lost. By default it is made again. `unix` is
    /// the time in seconds.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        let _ = (node, mark, answers, unix);
        Ok(Question::Done(Reconciled::CallAgain))
    }

    /// Polls the authority for its decision. Not needed where the creating call grants at once.
    ///
    /// # Errors
    /// `Rejected` where the authority refused, `Data` where its grant is not acceptable.
    fn wait(
        &self,
        node: &NodeContext<'_>,
        ticket: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        let _ = (node, ticket, answers, unix);
        Ok(Question::Done(Decision::Forgotten))
    }

    /// What is waited for while `wait` asks later, for the node of this name.
    fn undecided(&self, name: &str) -> Undecided {
        let _ = name;
        Undecided {
            what: "the authority has not decided yet".to_owned(),
            todo: "look into the authority; the next join goes on waiting".to_owned(),
            longest_poll: LONGEST_POLL,
            gives_up_after: None,
        }
    }

    /// What a person does with the request of the node `name`, and how its answer is made. None: nobody can
    /// carry this target's messages.
    fn errand(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// The authority where it is not asked: as far as it is known, or as the answer shows it that a person
    /// has carried here.
    ///
    /// # Errors
    /// `Usage` where the target can't be joined so, `Data` where the answer lacks what it must have.
    fn authority_by_hand(&self, answer: Option<&Carried>) -> Result<Authority, Fault> {
        answer.map_or_else(|| by_hand::unasked(self), |_| Err(by_hand::impossible(self.id())))
    }

    /// What the authority has granted by that answer.
    ///
    /// # Errors
    /// `Data` where it is not acceptable.
    fn grant_by_hand(
        &self,
        node: &NodeContext<'_>,
        answer: &Carried,
        unix: i64,
    ) -> Result<Grant, Fault> {
        let _ = (node, answer, unix);
        Err(by_hand::impossible(self.id()))
    }

    /// Brings changed settings of a member to the authority, as far as it has them. `changed` are their names:
    /// `table.name`.
    ///
    /// # Errors
    /// `Denied` where the node may not do that itself, with the command for a person.
    fn change(
        &self,
        node: &NodeContext<'_>,
        changed: &[&str],
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<()>, Fault> {
        let _ = (node, changed, answers, unix);
        Ok(Question::Done(()))
    }

    /// The authority of a member that can't reach it, as the settings name it now.
    fn authority_offline(&self, known: &Authority) -> Authority {
        known.clone()
    }

    /// What a person does at the authority about these changed settings, if it has them.
    fn change_errand(&self, _name: &str, _changed: &[&str]) -> Option<String> {
        None
    }

    /// The CA that the settings name for the authority, PEM. None: they name none, or it is found out.
    fn configured_ca(&self) -> Option<String> {
        None
    }

    /// The CA that the settings name or pin, where it does not vouch for that of a member, whose authority
    /// is `known`.
    fn other_ca(&self, known: &Authority) -> Option<OtherCa> {
        let _ = known;
        None
    }

    /// Ends the membership at the authority.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Departure>, Fault>;

    /// The command by which a person ends the membership at the authority, where the node did not.
    fn remains(&self, name: Option<&str>, grant: Option<&Grant>) -> Option<String> {
        let _ = grant;
        let name = name?;
        Some(format!("remove {name} at {}", self.authority_name()))
    }

    /// Asks what the authority knows of this node now, for `enlist status --probe` and `enlist doctor`.
    /// Read-only. By default, finds out only whether the authority is there and ready. `unix` is the
    /// time in seconds.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn probe(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        let _ = unix;
        self.reach(member.facts, answers)
    }

    /// Whether `probe` is cheap and tells whether this node is still a member, so that the daemon asks at
    /// intervals.
    fn is_probed(&self) -> bool {
        false
    }

    /// Whether the authority is there and ready, as far as [`Self::discover`] shows it.
    ///
    /// # Errors
    /// As for [`Self::discover`].
    fn reach(&self, facts: &Facts, answers: &[Answer]) -> Result<Question<Standing>, Fault> {
        let asked = !answers.is_empty();
        let standing = if asked { Standing::Reachable } else { Standing::NotAsked };
        Ok(self.discover(facts, answers)?.map(|_| standing))
    }

    /// Read-only requests that show whether the authority can be reached and permits what it is asked. By
    /// default the first of `discover`.
    fn trials(&self) -> Vec<Request> {
        match self.discover(&Facts::default(), &[]) {
            Ok(Question::Ask(request)) => vec![request],
            _ => Vec::new(),
        }
    }

    /// The calls of a join, in their order, for people.
    fn calls(&self) -> Vec<String> {
        let actions = self.permissions().join.iter();
        actions.map(|action| action.rsplit(':').next().unwrap_or(action).to_owned()).collect()
    }

    /// Checks a name as far as it does not depend on the node.
    ///
    /// # Errors
    /// `Config` with the rule that is broken.
    fn check_name(&self, name: &str) -> Result<(), Fault> {
        let _ = name;
        Ok(())
    }

    /// Until when a grant can be used that somebody else has to use, in Unix seconds. `since` is when the
    /// node got it. None: it is not such a grant, or the time is not known.
    fn usable_until(&self, grant: &Grant, since: i64) -> Option<i64> {
        let _ = (grant, since);
        None
    }

    /// Whether a membership with this grant can be renewed.
    fn renews(&self, grant: &Grant) -> bool {
        grant.certificate().is_some()
    }

    /// Whether a renewal gives the node a new key.
    fn renews_key(&self) -> bool {
        false
    }

    /// How long a key is used before it is renewed. None: as long as the membership lasts.
    fn key_lifetime(&self) -> Option<Duration> {
        None
    }

    /// What is removed once the joined record is on disk. It is done at each start of a member, so that
    /// a crash in between loses nothing.
    fn after_join(&self) -> Option<Bundle> {
        None
    }

    /// The permissions that the node needs.
    fn permissions(&self) -> Permissions;
}

/// The directory of one target's record, staged key, evidence and backups.
#[must_use]
pub fn state_dir(id: &str) -> String {
    format!("{STATE_DIR}/{id}")
}
