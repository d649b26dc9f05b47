//! Who we enlist with. Pure: one file per target says what to ask next and what an answer means.
//!
//! The order of a bootstrap is the same for all of them and belongs to `bootstrap`; a target
//! fills in the questions:
//!
//! ```text
//! survey    read-only: who is the authority, is it ready, how is it to be verified
//! create    the one call that makes us a member; it takes no client token
//! in_doubt  whether it took effect, where its reply is not known
//! watch     read-only: how far is it, and in the end, what did we get
//! install   what is written, or who is told
//! depart    the way out
//! ```

pub mod address;
pub mod api;
pub mod name;
pub mod opsworks;
pub mod opsworks_cm;
pub mod ssm;

use serde::{Deserialize, Serialize};

pub use api::{Answer, Request, Server};
pub use name::NameTemplate;

use crate::engines::{Bundle, Place};
use crate::facts::{Facts, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::pki::{CsrSpec, PublicKey};
use crate::secret::Secret;

/// Where records, staged keys, evidence and backups stand.
pub const STATE_DIR: &str = "/var/lib/enlist";

/// The authority, once we know it: what is public about it enters the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Authority {
    /// `endpoint` is `host` or `host:port`; `ca` is PEM, root and intermediates.
    Puppet { endpoint: String, ca: String },
    /// Likewise; without a CA the system's own are asked.
    Chef { endpoint: String, ca: Option<String> },
    /// OpsWorks Stacks.
    Stack { name: String, region: Option<String> },
    /// An AWS service, of which there is nothing to know beforehand.
    Service,
}

/// How to get to know the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// The settings say it all, or there is nothing to know.
    Known(Authority),
    Ask(Request),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovered {
    Ready(Authority),
    /// It may heal; a word for what it is doing now.
    NotYet(String),
}

/// What making us a member comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Call(Request),
    /// Somebody else made the call: there is nothing to ask for.
    Given(Grant),
}

/// What the creating call's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The decision is still to come; the ticket is what to ask with.
    Ticket(String),
    /// It is done. A secret that came with it is kept in memory only.
    Granted(Grant, Option<Secret>),
}

/// What to do where the creating call may or may not have taken effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Asks; the next decision is made with this answer too.
    Ask(Request),
    /// It took effect, and here is what it gave.
    Adopt(Grant),
    /// It did not, or asking again does no harm.
    Repeat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    Pending,
    Granted(Grant),
    /// The authority does not remember that we asked: ask it to create anew.
    Forgotten,
}

/// The way out, call by call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaving {
    Ask(Request),
    /// The same question again, a little later.
    AskLater(Request),
    Gone,
}

/// What we were given, checked. Public: it enters the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Grant {
    /// `not_after` in Unix seconds.
    Certificate { pem: String, serial: String, not_after: i64 },
    /// Our public key was accepted.
    Client,
    /// OpsWorks Stacks: the id of the instance.
    Instance { id: String },
    /// Systems Manager: the id of an activation; its code is nobody's to write down.
    Activation { id: String },
    /// Systems Manager: the `mi-` id under which the agent registered.
    Managed { id: String, activation: Option<String> },
}

impl Grant {
    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Certificate { serial, .. } => {
                format!("certificate {serial}, for our key and name, signed by the authority's CA")
            }
            Self::Client => "the authority took our public key".to_owned(),
            Self::Instance { id } => format!("instance {id}"),
            Self::Activation { id } => format!("activation {id}"),
            Self::Managed { id, .. } => format!("managed instance {id}"),
        }
    }
}

/// Which key is wanted, and what is to be signed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where it will stand, and may stand already: a key found here is used as it is.
    pub at: Place,
    /// Where it is made and waits until everything is in place.
    pub staged: String,
    pub bits: u32,
    pub csr: Option<CsrSpec>,
    /// For the log: what was left out of the request and why.
    pub notes: Vec<String>,
    /// A member's key: where it is missing, none is made in its place.
    pub must_stand: bool,
}

/// Everything learned so far.
#[derive(Clone, Copy, Debug)]
pub struct NodeContext<'a> {
    pub facts: &'a Facts,
    pub name: &'a str,
    pub authority: &'a Authority,
    pub key: Option<&'a KeyReport>,
}

impl NodeContext<'_> {
    /// # Errors
    /// `Invariant` where there is none yet.
    pub fn key(&self) -> Result<&KeyReport, Fault> {
        self.key.ok_or_else(|| invariant("the key is not known"))
    }
}

/// Our key as far as the core knows it: its public half, and what it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    pub public: PublicKey,
    /// PEM; it may hold a secret.
    pub csr: Option<Secret>,
}

/// Which directories of Puppet's the facts are to name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PuppetWanted {
    pub confdir: Option<String>,
    pub ssldir: Option<String>,
    pub statedir: Option<String>,
    /// Puppet's program.
    pub program: Option<String>,
    /// As recorded by an earlier start: then nobody need be asked.
    pub known: Option<Box<PuppetSite>>,
}

/// What the facts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsWanted {
    pub puppet: Option<PuppetWanted>,
    /// Whether to look for the Systems Manager agent's registration.
    pub ssm: bool,
    /// Whether to read the OpsWorks agent's file.
    pub opsworks: bool,
    /// That agent's program, where the settings name it.
    pub ssm_agent: Option<String>,
    /// The key that will be wanted, unless one stands already: it may be begun meanwhile.
    pub key: Option<ExpectedKey>,
}

/// A key that nobody has asked for yet. KeyGeneration it is no effect on the world: it is in memory
/// until `EnsureKey` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedKey {
    pub bits: u32,
    pub staged: String,
    /// None: in Puppet's private_keys, under whatever name.
    pub at: Option<String>,
}

/// What is asked of the host once we are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installation {
    Bundle(Bundle),
    HandOver(crate::engines::ssm_agent::HandOver),
}

/// IAM actions, by what they are for, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    /// An ARN or `*`, where the service knows no resources (IAM's Service Authorization Reference).
    pub resource: String,
    /// The role that is passed on to Systems Manager.
    pub passes_role: Option<String>,
    pub join: &'static [&'static str],
    pub reconcile: &'static [&'static str],
    pub leave: &'static [&'static str],
}

/// What of a record a target's way out needs.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: Option<&'a str>,
    /// None: it had not been asked yet who that is.
    pub authority: Option<&'a Authority>,
    pub grant: Option<&'a Grant>,
    /// Whether files stand because of the grant.
    pub is_installed: bool,
    /// Whether the creating call was ever attempted.
    pub was_attempted: bool,
    /// Our mark, for what can't be found otherwise.
    pub mark: &'a str,
    pub machine: Option<&'a crate::facts::MachineIdentity>,
    /// SHA-1 of the public key that was sent.
    pub key_sha1: Option<&'a str>,
    pub facts: &'a Facts,
}

/// One target. Errors are faults: what an answer means includes whether it is acceptable.
pub trait Target: Send {
    /// The word for it: the settings' table, `--target`, the record's directory.
    fn id(&self) -> &'static str;
    /// Which authority, for people and for the record: `server my-puppet`.
    fn authority_name(&self) -> String;
    fn inquiry(&self) -> FactsWanted;
    /// The directories that its engine needs to be there before the units' sandbox is set up, the
    /// parents first.
    fn directories(&self, site: Option<&PuppetSite>) -> Vec<Place>;
    /// Whether this node, under this name, can join at all.
    ///
    /// # Errors
    /// `Config`, with the rule.
    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault>;
    fn survey(&self) -> Discovery;
    /// # Errors
    /// `Rejected` where the authority will never be ready, `Data` where it can't be used.
    fn surveyed(&self, facts: &Facts, answer: Answer) -> Result<Discovered, Fault>;
    /// What is looked at before the authority is asked, and what keeps the engine still until we
    /// are done.
    fn hold(&self, known: &NodeContext<'_>) -> Option<Bundle>;
    /// What lets the engine run again as before, where joining came to nothing.
    fn release(&self, site: Option<&PuppetSite>) -> Option<Bundle> {
        let _ = site;
        None
    }
    /// None: this target needs no key of ours.
    ///
    /// # Errors
    /// `Config` where the settings or the node's own files can't be used.
    fn key(&self, known: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault>;
    /// `mark` is a text of ours that nothing else holds.
    ///
    /// # Errors
    /// `Config` where a value does not fit the API.
    fn create(&self, known: &NodeContext<'_>, mark: &str, unix: i64) -> Result<Creation, Fault>;
    /// Whether the node shows a registration that no record knows of. Then the authority is asked, as
    /// in doubt, before anything is created.
    fn shows_registration(&self, facts: &Facts) -> bool {
        let _ = facts;
        false
    }
    /// What to do next, given the answers to what was asked so far about this doubt.
    ///
    /// # Errors
    /// As for the answers of any call.
    fn in_doubt(
        &self,
        known: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
    ) -> Result<Doubt, Fault>;
    /// # Errors
    /// `Protocol` where the answer lacks what it must hold.
    fn created(&self, answer: Answer) -> Result<Created, Fault>;
    fn watch(&self, ticket: &str) -> Request;
    /// # Errors
    /// `Rejected` where it failed, `Data` where what came back is not acceptable.
    fn watched(&self, known: &NodeContext<'_>, answer: Answer, unix: i64)
    -> Result<Watched, Fault>;
    /// `secret` came with the grant, and is gone after a restart; none returned: it is needed.
    ///
    /// # Errors
    /// `Invariant` where something is missing that must be known by now.
    fn install(
        &self,
        known: &NodeContext<'_>,
        grant: &Grant,
        secret: Option<&Secret>,
    ) -> Result<Option<Installation>, Fault>;
    /// What the facts show to be installed already, by a start that ended before it could say so.
    fn is_installed(&self, facts: &Facts, before: Option<&str>, grant: &Grant) -> Option<Grant> {
        let _ = (facts, before, grant);
        None
    }
    /// # Errors
    /// As for the answers of any call.
    fn depart(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Leaving, Fault>;
    /// What is taken back of what was installed.
    fn clear(&self, installed: &[(String, String)], site: Option<&PuppetSite>) -> Bundle;
    fn actions(&self) -> Actions;
}

/// The directory of a target's record, staged key, evidence and backups.
#[must_use]
pub fn state_dir(word: &str) -> String {
    format!("{STATE_DIR}/{word}")
}

/// Where a target's key is made.
#[must_use]
pub fn staged_key(word: &str) -> String {
    format!("{}/key.pem", state_dir(word))
}

pub(crate) fn mismatch(action: &str) -> Fault {
    invariant(&format!("the answer to {action} is of another kind"))
}

pub(crate) fn invariant(what: &str) -> Fault {
    Fault::new(Kind::Invariant, what, "the target", "this is a bug in enlist; please report it")
}
