//! A Chef Infra Server, Cinc Server or goiardi, which the node asks directly.
//!
//! Source: Chef's documentation, "Chef Infra Server API", and the source of Chef Infra Server.
//!
//! A validator creates the client, with the public key of this node. Everything else is signed with
//! the node's own key. A lost reply is settled by that key: only its holder can sign as the client
//! (decision 0018).

pub mod api;
mod asking;
mod by_hand;
mod change;
mod node;
mod probe;
mod refusal;
mod rotation;
pub mod signature;
pub mod url;

use std::time::Duration;

use super::api::of_service;
use super::{
    Answer, Carried, Created, Creation, Decision, Departure, Member, Permissions, Question,
    Reconciled, Standing, Target, Undecided, mismatch,
};
use crate::engines::{self, Authority, Bundle, EngineId, NodeContext};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::pki::{CaBundle, PrivateKey, PublicKey};
use crate::secret::{Secret, SecretSource};
use api::{Action, Request, Unauthenticated};
use asking::told;
pub use node::NodeObject;
use url::ServerUrl;

pub const ID: &str = "chef-server";

/// The versions of the API that enlist speaks.
const NEWEST_VERSION: i64 = 2;

/// The name of the administrator that each Chef Infra Server has.
const SUPERUSER: &str = "pivotal";

/// The setting with the validator's key, for messages.
const VALIDATOR_KEY: &str = "validator_key in [chef-server]";

/// The `[chef-server]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChefServer {
    pub url: ServerUrl,
    /// A client or user that may create clients.
    pub validator_name: String,
    pub validator_key: SecretSource,
    /// None: a CA that this system trusts.
    pub ca: Option<CaBundle>,
    /// The file of the validator's key, if it is removed once the node has joined.
    pub spent_key: Option<String>,
    /// What the node is created with, and changed to.
    pub node: NodeObject,
    /// Whether the node is created too. Else chef-client creates it.
    pub creates_node: bool,
    /// How long the node's key is used before it is renewed. None: as long as the membership lasts.
    pub key_lifetime: Option<Duration>,
}

impl Target for ChefServer {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        format!("Chef server {}", self.url)
    }

    fn engine(&self) -> EngineId {
        EngineId::Chef
    }

    fn check(&self, _: &Facts, name: &str) -> Result<(), Fault> {
        self.check_name(name)
    }

    /// The names of the validator and of the server's own administrator are taken.
    fn check_name(&self, name: &str) -> Result<(), Fault> {
        if !is_client_name(name) {
            return Err(refusal::name(name, &self.authority_name()));
        }
        if self.is_reserved(name) {
            return Err(refusal::reserved_name(name, &self.authority_name()));
        }
        Ok(())
    }

    fn is_reserved(&self, name: &str) -> bool {
        [&self.validator_name, &self.url.validator(), SUPERUSER].contains(&name)
    }

    fn discover(&self, _: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault> {
        match of_service(answers)?.as_slice() {
            [] => Ok(Question::Ask(self.request(Action::GetVersions, None))),
            [api::Answer::Versions(versions)] => self.authority(*versions).map(Question::Done),
            _ => Err(mismatch("GET server_api_version")),
        }
    }

    fn secrets(&self) -> Vec<&SecretSource> {
        vec![&self.validator_key]
    }

    fn check_secret(&self, secret: &Secret, on: &str) -> Result<(), Fault> {
        let on = format!("{on}, {VALIDATOR_KEY}");
        PrivateKey::from_pem(secret.expose().as_bytes()).map(|_| ()).map_err(|error| {
            Fault::new(Kind::Config, "the private key can't be used", on, error.advice())
                .because(&error)
        })
    }

    fn create(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Creation, Fault> {
        let question = match node.former_key {
            None => self.ask_to_create::<()>(node, answers, unix),
            Some(_) => self.ask_for_new_key(node, answers, unix),
        };
        match question? {
            Question::Sign(to_sign) => Ok(Creation::Sign(to_sign)),
            Question::Ask(request) => Ok(Creation::Call(request)),
            Question::AskLater(_) | Question::Done(()) => Err(mismatch("POST clients")),
        }
    }

    /// The ticket is the name: the node is created next, with the node's own key.
    fn created(&self, node: &NodeContext<'_>, answer: &Answer, _: i64) -> Result<Created, Fault> {
        if node.former_key.is_some() {
            return self.key_sent(node, answer);
        }
        match of_service(std::slice::from_ref(answer))?.as_slice() {
            [api::Answer::Created] => Ok(Created::Ticket("client".to_owned())),
            [api::Answer::Taken] => Err(refusal::taken_meanwhile(&self.authority_name())),
            [other] => Err(refusal::of_validator(other, self)),
            _ => Err(mismatch("POST clients")),
        }
    }

    /// Looks at the client with a signature of the node's own key. goiardi words "no such client" and
    /// "another key" alike. Then the client is created again; if it is there already, a second look
    /// tells whose it is, because the lost call may have arrived late.
    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        use Unauthenticated::{NoSuchClient, OtherKey, Unclear};
        use api::Answer::{Client, Created, Forbidden, Missing, Taken, Unauthenticated as Unknown};
        if node.former_key.is_some() {
            return self.key_reconciled(node, answers, unix);
        }
        let look = || {
            let action = Action::GetClient { name: node.name.to_owned() };
            self.ask_as_node(node, action, answers, unix)
        };
        let pending = || Ok(Question::Done(Reconciled::Pending("client".to_owned())));
        let others = |said: &str| Err(self.other_machine(node.name, said));
        match told(answers)?.as_slice() {
            [] | [Unknown(Unclear, _), Taken] => look(),
            [Client { name, public_key }] | [.., Taken, Client { name, public_key }] => {
                self.check_client(node, name.as_deref(), public_key.as_deref())?;
                pending()
            }
            [Unknown(NoSuchClient, _) | Missing] => Ok(Question::Done(Reconciled::CallAgain)),
            [Unknown(OtherKey, said)] | [.., Taken, Unknown(_, said)] => others(said),
            [Unknown(Unclear, _)] => self.ask_to_create(node, answers, unix),
            [Unknown(Unclear, _), Created] => pending(),
            [Unknown(Unclear, _), other] => Err(refusal::of_validator(other, self)),
            [Forbidden(said)] => Err(refusal::forbidden("GET clients", node.name, self, said)),
            _ => Err(mismatch("GET clients")),
        }
    }

    fn wait(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        match node.former_key {
            None => self.place_node(node, answers, unix),
            Some(_) => self.key_decided(node, answers, unix),
        }
    }

    fn change(
        &self,
        node: &NodeContext<'_>,
        changed: &[&str],
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<()>, Fault> {
        self.change_node(node, changed, answers, unix)
    }

    fn authority_offline(&self, known: &Authority) -> Authority {
        let ca = self.ca.as_ref().map(CaBundle::to_pem);
        Authority::ChefServer { url: self.url.to_string(), ca, api_version: version_of(known) }
    }

    fn change_errand(&self, name: &str, changed: &[&str]) -> Option<String> {
        let commands = self.node.commands(name, change::Changed::of(changed));
        let is_any = !commands.is_empty();
        is_any.then(|| format!("run `{commands}` as an administrator"))
    }

    fn configured_ca(&self) -> Option<String> {
        self.ca.as_ref().map(CaBundle::to_pem)
    }

    fn undecided(&self, name: &str) -> Undecided {
        Undecided {
            longest_poll: super::LONGEST_POLL,
            gives_up_after: None,
            what: format!("the node object of {name} is not there yet"),
            todo: "look into the server's log".to_owned(),
        }
    }

    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Departure>, Fault> {
        self.depart(member, answers, unix)
    }

    fn errand(&self, name: &str) -> Option<String> {
        Some(Self::errand_of(name))
    }

    fn authority_by_hand(&self, _: Option<&Carried>) -> Result<Authority, Fault> {
        Ok(self.carried_authority())
    }

    fn grant_by_hand(
        &self,
        node: &NodeContext<'_>,
        answer: &Carried,
        _: i64,
    ) -> Result<engines::Grant, Fault> {
        self.carried_grant(node, answer)
    }

    fn remains(&self, name: Option<&str>, _: Option<&engines::Grant>) -> Option<String> {
        Some(refusal::clean(name?))
    }

    fn probe(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        self.look(member, answers, unix)
    }

    fn is_probed(&self) -> bool {
        true
    }

    fn renews(&self, grant: &engines::Grant) -> bool {
        *grant == engines::Grant::Client
    }

    fn renews_key(&self) -> bool {
        true
    }

    fn key_lifetime(&self) -> Option<Duration> {
        self.key_lifetime
    }

    fn after_join(&self) -> Option<Bundle> {
        let path = self.spent_key.clone()?;
        Some(Bundle::of(vec![engines::Action::RemoveSecret { path }]))
    }

    fn permissions(&self) -> Permissions {
        Permissions::none()
    }
}

impl ChefServer {
    fn request(&self, action: Action, signed: Option<api::Signed>) -> super::Request {
        let ca = self.ca.as_ref().map(CaBundle::to_pem);
        Request { url: self.url.clone(), ca, action, signed }.into()
    }

    /// The authority, given the versions of the API that the server speaks. None: it did not say.
    fn authority(&self, versions: Option<(i64, i64)>) -> Result<Authority, Fault> {
        if versions.is_some() && self.url.organization.is_none() {
            return Err(refusal::no_organization(&self.url));
        }
        let api_version = self.spoken(versions.unwrap_or((0, 0)))?;
        let ca = self.ca.as_ref().map(CaBundle::to_pem);
        Ok(Authority::ChefServer { url: self.url.to_string(), ca, api_version })
    }

    /// The version to speak with a server that speaks these.
    fn spoken(&self, (oldest, newest): (i64, i64)) -> Result<u8, Fault> {
        let version = u8::try_from(oldest.max(0)).ok();
        version
            .filter(|version| i64::from(*version) <= newest.min(NEWEST_VERSION))
            .ok_or_else(|| refusal::versions(oldest, newest, &self.authority_name()))
    }

    fn other_machine(&self, name: &str, said: &str) -> Fault {
        refusal::other_machine(name, &self.authority_name(), said)
    }

    /// Whether the client that the server showed is this node's. Only the holder of its key was shown
    /// it, so a difference is a fault of the server.
    fn check_client(
        &self,
        node: &NodeContext<'_>,
        name: Option<&str>,
        public_key: Option<&str>,
    ) -> Result<(), Fault> {
        let ours = &node.key()?.public;
        // A server may show the key in another form than it was sent, which is not compared.
        let is_ours = |pem: &str| match pem::parse(pem) {
            Ok(block) if block.tag() == "PUBLIC KEY" => {
                PublicKey::from_spki(block.contents()).as_ref() == Ok(ours)
            }
            _ => true,
        };
        let is_other_key = public_key.is_some_and(|pem| !is_ours(pem));
        if name != Some(node.name) || is_other_key {
            return Err(refusal::strange_client(node.name, name, self));
        }
        Ok(())
    }
}

fn version_of(authority: &Authority) -> u8 {
    match authority {
        Authority::ChefServer { api_version, .. } => *api_version,
        _ => 0,
    }
}

/// A client's name: `[.[:alnum:]_-]+`, at most 255 characters (Chef Infra Server's `chef_regex`). `.`
/// and `..` would be another place in the path of a URL.
#[must_use]
pub fn is_client_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=255).contains(&name.len()) && name.chars().all(plain) && !matches!(name, "." | "..")
}
