//! Who we enlist with. Pure: one file per target says what to ask next and what an answer means.
//!
//! The order of a bootstrap is the same for all of them and belongs to `bootstrap`; a target
//! fills in the questions:
//!
//! ```text
//! survey  read-only: who is the authority, is it ready, how is it to be verified
//! create  the one call that makes us a member; it takes no client token
//! watch   read-only: how far is it, and in the end, what did we get
//! ```

pub mod name;
pub mod opsworks_cm;

use serde::{Deserialize, Serialize};

pub use name::NameTemplate;

use crate::engine::{Bundle, Engine, Place};
use crate::facts::{Facts, PuppetSite};
use crate::fault::Fault;
use crate::pki::{CsrSpec, PublicKey};

/// Where records, staged keys, evidence and backups stand.
pub const STATE_DIR: &str = "/var/lib/enlist";

/// A call, in the API's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    DescribeServers { server: String },
    AssociateNode { server: String, node: String, attributes: Vec<(String, String)> },
    DescribeNodeAssociationStatus { server: String, token: String },
}

impl Request {
    /// The API's name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::DescribeServers { .. } => "DescribeServers",
            Self::AssociateNode { .. } => "AssociateNode",
            Self::DescribeNodeAssociationStatus { .. } => "DescribeNodeAssociationStatus",
        }
    }

    /// What it is asked about, for messages.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::DescribeServers { server } | Self::DescribeNodeAssociationStatus { server, .. } => {
                format!("server {server}")
            }
            Self::AssociateNode { server, node, .. } => format!("node {node}, server {server}"),
        }
    }
}

/// What came back. Members that the API may leave out are options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Servers(Vec<Server>),
    Associated { token: Option<String> },
    AssociationStatus { status: Option<String>, attributes: Vec<(String, String)> },
    /// The API's ResourceNotFoundException, with its message.
    NotFound(String),
}

/// OpsWorks CM's `Server`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    pub name: Option<String>,
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub endpoint: Option<String>,
    pub engine: Option<String>,
    pub attributes: Vec<(String, String)>,
}

/// The authority, once we know it: what is public about it enters the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    pub engine: Engine,
    /// `host` or `host:port`.
    pub endpoint: String,
    /// PEM of its CA: root and intermediates.
    pub ca: String,
}

/// How to get to know the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// The settings say it all.
    Pinned(Authority),
    Ask(Request),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surveyed {
    Ready(Authority),
    /// It may heal; a word for what it is doing now.
    NotYet(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    Pending,
    Granted(Grant),
    /// The authority does not remember that we asked: ask it to create anew.
    Forgotten,
}

/// What we were given, checked. Public: it enters the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub certificate: String,
    pub serial: String,
    /// Unix seconds.
    pub not_after: i64,
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
}

/// Everything learned so far.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub facts: &'a Facts,
    pub name: &'a str,
    pub authority: &'a Authority,
}

/// Our key as far as the core knows it: its public half, and what it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    pub public: PublicKey,
    /// PEM.
    pub csr: Option<String>,
}

/// Which directories of Puppet's the facts are to name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteInquiry {
    pub confdir: Option<String>,
    pub ssldir: Option<String>,
    pub statedir: Option<String>,
    /// As recorded by an earlier start: then nobody need be asked.
    pub known: Option<PuppetSite>,
}

/// One target. Errors are faults: what an answer means includes whether it is acceptable.
pub trait Target: Send {
    /// The word for it: the settings' table, `--target`, the record's directory.
    fn word(&self) -> &'static str;
    /// Which authority, for people and for the record: `server my-puppet`.
    fn authority_name(&self) -> String;
    /// What the facts must say about Puppet, where this target may end with it.
    fn puppet_site(&self) -> Option<SiteInquiry>;
    /// Bits and staging path of the key that will most likely be wanted.
    fn likely_key(&self) -> Option<(u32, String)>;
    /// Whether the node may have this name here.
    fn check_name(&self, name: &str) -> Result<(), Fault>;
    fn survey(&self) -> Survey;
    fn surveyed(&self, answer: Answer) -> Result<Surveyed, Fault>;
    /// What keeps the engine still until we are done.
    fn hold(&self, known: &Known<'_>) -> Option<Bundle>;
    fn key(&self, known: &Known<'_>) -> Result<KeySpec, Fault>;
    fn create(&self, known: &Known<'_>, key: &KeyReport) -> Result<Request, Fault>;
    /// The ticket to watch with.
    fn created(&self, answer: Answer) -> Result<String, Fault>;
    fn watch(&self, ticket: &str) -> Request;
    fn watched(
        &self,
        known: &Known<'_>,
        key: &KeyReport,
        answer: Answer,
        unix: i64,
    ) -> Result<Watched, Fault>;
    fn install(&self, known: &Known<'_>, key: &KeyReport, grant: &Grant) -> Result<Bundle, Fault>;
}

/// The directory of a target's record, staged key, evidence and backups.
#[must_use]
pub fn state_dir(word: &str) -> String {
    format!("{STATE_DIR}/{word}")
}
