//! Whom the node enlists with. Pure: a folder per target says what to ask its authority and what
//! an answer means. The files of an engine belong to `engines`.
//!
//! The order of a bootstrap is the same for all targets and belongs to `bootstrap`:
//!
//! ```text
//! discover   read-only: who is the authority, is it ready, how is it verified
//! create     the one call that makes the node a member
//! reconcile  whether that call took effect, where its reply is not known
//! wait       read-only: has the authority decided, and what did it give
//! leave      the way out
//! ```

pub mod address;
pub mod api;
pub mod name;
pub mod opsworks;
pub mod opsworks_cm;
pub mod ssm;

pub use api::{Answer, Call, Request};
pub use name::NameTemplate;

use crate::engines::{Authority, EngineId, Grant, NodeContext, Observed};
use crate::facts::{Facts, MachineIdentity};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// Where records, staged keys, evidence and backups stand.
pub const STATE_DIR: &str = "/var/lib/enlist";

/// A question that can take several answers: the next step, given the answers so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question<T> {
    Ask(Request),
    /// Asks this a little later. Its answer takes the place of the last one.
    AskLater(Request),
    /// Has this signed with the node's key. The signature is the next answer.
    Sign(Vec<u8>),
    Done(T),
}

/// What makes the node a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Call(Request),
    /// Somebody else made the call, and this is what it gave.
    Given(Grant),
}

/// What the creating call's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The authority has still to decide; it is asked with this ticket.
    Ticket(String),
    /// A secret that came with the grant is kept in memory only.
    Granted(Grant, Option<Secret>),
}

/// What became of a creating call whose reply is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It took effect, and this is what it gave.
    Granted(Grant),
    /// It had no effect, or making it again does no harm.
    CallAgain,
}

/// What the authority has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Granted(Grant),
    /// It does not remember the ticket: the creating call is made again.
    Forgotten,
}

/// The IAM actions that a target needs, by what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// An ARN, or `*` where the service knows no resources (IAM's Service Authorization Reference).
    pub resource: String,
    /// The role that is passed on to the service.
    pub passes_role: Option<String>,
    pub join: &'static [&'static str],
    pub reconcile: &'static [&'static str],
    pub leave: &'static [&'static str],
}

/// What is known of a membership that ends.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: Option<&'a str>,
    /// None: it was not discovered yet.
    pub authority: Option<&'a Authority>,
    pub grant: Option<&'a Grant>,
    /// Whether files were installed with the grant.
    pub is_installed: bool,
    /// Whether the creating call was ever attempted.
    pub was_attempted: bool,
    /// The text that marks what is ours at the authority.
    pub mark: &'a str,
    pub machine: Option<&'a MachineIdentity>,
    /// SHA-1 of the public key that was sent.
    pub key_sha1: Option<&'a str>,
    pub facts: &'a Facts,
    pub observed: &'a Observed,
}

/// One target. An error is a fault: what an answer means includes whether it is acceptable.
pub trait Target: Send {
    /// The settings' table, `--target`, the directory of the record: `opsworks-cm`.
    fn id(&self) -> &'static str;

    /// Which authority, for people and for the record: `server my-puppet`.
    fn authority_name(&self) -> String;

    /// The engine that the node is enlisted for; where the authority still has to say, the likeliest.
    fn engine(&self) -> EngineId;

    /// Every engine that it may turn out to be.
    fn engines(&self) -> Vec<EngineId> {
        vec![self.engine()]
    }

    /// Whether this node can join under this name, as far as the authority is concerned.
    ///
    /// # Errors
    /// `Config`, with the rule.
    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault> {
        let _ = (facts, name);
        Ok(())
    }

    /// Who the authority is.
    ///
    /// # Errors
    /// `Transient` where it is not ready yet, `Rejected` where it will never be, `Data` where it
    /// can't be used.
    fn discover(&self, facts: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault>;

    /// Whether the node shows a registration that no record knows of. Then `reconcile` is asked
    /// before anything is created.
    fn shows_registration(&self, observed: &Observed) -> bool {
        let _ = observed;
        false
    }

    /// The creating call. `mark` is a text that nothing else of ours at the authority holds; `unix`
    /// is the time in seconds.
    ///
    /// # Errors
    /// `Config` where a value does not fit the API.
    fn create(&self, node: &NodeContext<'_>, mark: &str, unix: i64) -> Result<Creation, Fault>;

    /// # Errors
    /// `Protocol` where the answer lacks what it must hold.
    fn created(&self, answer: &Answer) -> Result<Created, Fault>;

    /// What became of a creating call whose reply is not known. By default it is made again.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
    ) -> Result<Question<Reconciled>, Fault> {
        let _ = (node, mark, answers);
        Ok(Question::Done(Reconciled::CallAgain))
    }

    /// What the authority has decided. A target whose creating call grants at once has no ticket.
    ///
    /// # Errors
    /// `Rejected` where it said no, `Data` where what it gave is not acceptable.
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

    /// The way out.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn leave(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Question<()>, Fault>;

    fn permissions(&self) -> Permissions;
}

/// The directory of a target's record, staged key, evidence and backups.
#[must_use]
pub fn state_dir(id: &str) -> String {
    format!("{STATE_DIR}/{id}")
}

/// That an answer does not fit its question.
pub(crate) fn mismatch(action: &str) -> Fault {
    invariant(&format!("the answer to {action} is of another kind"))
}

pub(crate) fn invariant(what: &str) -> Fault {
    Fault::new(Kind::Invariant, what, "the target", "this is a bug in enlist; please report it")
}
