//! A self-hosted Puppet Server (or OpenVox Server). The node asks its CA for a certificate. The CA signs
//! by its autosign policy, or an admin signs.
//!
//! Source: Puppet Server's documentation, "Puppet CA API"; what happens to a request, and in which
//! order, is its source (`certificate_authority.clj`, `process-csr-submission!`).
//!
//! A lost reply is settled by looking: the certificate first, then the request, each compared with
//! the node's key. The request is sent again only if the CA has neither. If the CA then answers that
//! the name is taken, both are fetched and compared again.

pub mod api;
mod authority;
mod by_hand;
mod look;
mod membership;
mod ours;
mod refusal;

use std::time::Duration;

use super::{
    Answer, Carried, Created, Creation, Decision, Departure, Member, OtherCa, Permissions,
    Question, Reconciled, Target, Undecided, address, mismatch,
};
use crate::engines::puppet;
use crate::engines::{Authority, EngineId, Grant, NodeContext, Observed, RequestAdditions};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::pki::CaBundle;
use crate::pki::crl::Lists;
use crate::pki::pin::{Pin, PinError};
use api::{Action, Request, Trust};

pub const ID: &str = "puppet-server";

/// The command that shows the CA's digest on the server.
const SHOW_CA: &str =
    "`openssl x509 -noout -fingerprint -sha256 -in $(puppet config print cacert --section server)`";

/// The longest time between two polls while nobody signs.
const LONGEST_POLL: Duration = Duration::from_mins(2);

/// Puppet's own port.
pub const PORT: u16 = 8140;

/// The `[puppet-server]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PuppetServer {
    /// Host names or addresses, at least one, in the order in which they are tried.
    pub servers: Vec<String>,
    pub port: u16,
    pub ca: Ca,
    /// How long a node that stays waits for a signature. None: for ever.
    pub give_up_unsigned: Option<Duration>,
    /// What is added to the certificate request.
    pub additions: RequestAdditions,
}

/// How the CA is known before it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ca {
    /// Its root, and the intermediates below it.
    Bundle(CaBundle),
    /// The digest of what it sends.
    Pinned(Pin),
    /// Whatever the server sends first.
    FirstUse,
}

impl Target for PuppetServer {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(|host| self.endpoint(host)).collect();
        format!("Puppet server {}", servers.join(", "))
    }

    fn engine(&self) -> EngineId {
        EngineId::Puppet
    }

    fn discover(&self, _: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault> {
        Ok(self.discovery(None, &super::api::of_service(answers)?)?.map(|(found, _)| found))
    }

    /// A member has the CA: a pin of the text that was sent first says nothing of a CA that was extended since,
    /// and what is trusted on first use is trusted once.
    fn rediscover(
        &self,
        _: &Facts,
        known: &Authority,
        answers: &[Answer],
    ) -> Result<Question<Authority>, Fault> {
        Ok(self.discovery(Some(known), &super::api::of_service(answers)?)?.map(|(found, _)| found))
    }

    fn check_authority(
        &self,
        found: &Authority,
        observed: &Observed,
        unix: i64,
    ) -> Result<Vec<String>, Fault> {
        self.check_found(found, observed.revocation(), unix)
    }

    fn warnings(&self, known: Option<&Authority>) -> Vec<String> {
        let is_unchecked = matches!(self.ca, Ca::FirstUse);
        let known = known.filter(|_| is_unchecked).and_then(Authority::ca);
        known.and_then(authority::unpinned).into_iter().collect()
    }

    fn other_ca(&self, known: &Authority) -> Option<OtherCa> {
        self.other_than(known.ca()?)
    }

    /// The CA may have a certificate or a request of this name, ours or somebody else's.
    fn shows_registration(&self, _: &Observed) -> bool {
        true
    }

    fn additions(&self) -> &RequestAdditions {
        &self.additions
    }

    fn create(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        _: &[Answer],
        unix: i64,
    ) -> Result<Creation, Fault> {
        if let Some(former) = &node.former {
            return self.renewal(node, former, unix);
        }
        let (name, csr) = (node.name.to_owned(), node.key()?.csr()?.to_owned());
        let action = Action::PutCertificateRequest { name, csr };
        Ok(Creation::Call(self.ask_of(node, action)))
    }

    /// The ticket is the name: the CA gives nothing else to ask with.
    fn created(
        &self,
        node: &NodeContext<'_>,
        answer: &Answer,
        unix: i64,
    ) -> Result<Created, Fault> {
        match super::api::of_service(std::slice::from_ref(answer))?.as_slice() {
            [api::Answer::Submitted { name }] => Ok(Created::Ticket(name.clone())),
            [api::Answer::Refused(reason)] => {
                Err(refusal::fault(reason, node.name, &self.authority_name()))
            }
            [api::Answer::Renewed(found)] => {
                Ok(Created::Granted(self.renewed(node, &found.text, unix)?, None))
            }
            [api::Answer::NotRenewed(why)] => Err(self.refused_renewal(node, why)),
            _ => Err(mismatch("PUT certificate_request")),
        }
    }

    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        use api::Answer::{Certificate, CertificateRequest};
        let pending = || Ok(Question::Done(Reconciled::Pending(node.name.to_owned())));
        let answers = super::api::of_service(answers)?;
        if let Some(former) = &node.former {
            return self.look_for_newer(node, former, &answers, unix);
        }
        match answers.as_slice() {
            [] => Ok(Question::Ask(self.ask_certificate(node))),
            [Certificate(found)] if !self.is_ours(node, found.as_ref())? => {
                Ok(Question::Ask(self.ask_request(node)))
            }
            [.., CertificateRequest(Some(found))] => {
                self.check_request(node, found)?;
                pending()
            }
            [Certificate(Some(others)), CertificateRequest(None)] => {
                self.check_certificate(node, others)?;
                pending()
            }
            [.., CertificateRequest(None)] => Ok(Question::Done(Reconciled::CallAgain)),
            [Certificate(_)] => pending(),
            _ => Err(mismatch("GET certificate")),
        }
    }

    /// If there is no certificate of this key, asks once whether the CA still has the request. With
    /// `allow-duplicate-certs`, it gives the former certificate of the name until the request is signed. If it has
    /// not, asks for the certificate again, because signing removes the request. The ticket is forgotten only if
    /// that is missing too.
    fn wait(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        use api::Answer::{Certificate, CertificateRequest};
        let answers = super::api::of_service(answers)?;
        match answers.as_slice() {
            [] | [.., CertificateRequest(None)] => Ok(Question::Ask(self.ask_certificate(node))),
            [.., CertificateRequest(Some(found))] => {
                self.check_request(node, found)?;
                Ok(Question::AskLater(self.ask_certificate(node)))
            }
            [earlier @ .., Certificate(Some(found))] => {
                if self.is_ours(node, Some(found))? {
                    let grant = puppet::accept(node, &found.text, unix, &self.authority_name())?;
                    return Ok(Question::Done(Decision::Granted(grant)));
                }
                match earlier {
                    [.., CertificateRequest(None)] => {
                        self.check_certificate(node, found)?;
                        Ok(Question::Done(Decision::Forgotten))
                    }
                    [.., Certificate(Some(_))] => {
                        Ok(Question::AskLater(self.ask_certificate(node)))
                    }
                    _ => Ok(Question::Ask(self.ask_request(node))),
                }
            }
            [Certificate(None)] => Ok(Question::Ask(self.ask_request(node))),
            [.., CertificateRequest(None), Certificate(None)] => {
                Ok(Question::Done(Decision::Forgotten))
            }
            [.., Certificate(None)] => Ok(Question::AskLater(self.ask_certificate(node))),
            _ => Err(mismatch("GET certificate")),
        }
    }

    fn undecided(&self, name: &str) -> Undecided {
        Undecided {
            longest_poll: LONGEST_POLL,
            gives_up_after: self.give_up_unsigned,
            what: format!("the CA has not signed the request of {name}"),
            todo: format!(
                "run `puppetserver ca sign --certname {name}` on the server; if the server was to sign it by itself, its policy has refused it for good, or the server failed meanwhile (see its log): run `puppetserver ca clean --certname {name}` there, then `enlist join`"
            ),
        }
    }

    fn errand(&self, name: &str) -> Option<String> {
        Some(Self::errand_of(name))
    }

    fn authority_by_hand(&self, answer: Option<&Carried>) -> Result<Authority, Fault> {
        self.carried_authority(answer)
    }

    fn grant_by_hand(
        &self,
        node: &NodeContext<'_>,
        answer: &Carried,
        unix: i64,
    ) -> Result<Grant, Fault> {
        self.carried_grant(node, answer, unix)
    }

    fn remains(&self, name: Option<&str>, _: Option<&Grant>) -> Option<String> {
        Some(format!("run `{}` on the server", clean(name?)))
    }

    fn calls(&self) -> Vec<String> {
        let calls = [
            "GET certificate_revocation_list/ca",
            "GET certificate/NAME",
            "GET certificate_request/NAME",
            "PUT certificate_request/NAME",
            "GET certificate/NAME, until it is signed",
        ];
        let ca = (!matches!(self.ca, Ca::Bundle(_))).then_some("GET certificate/ca");
        ca.into_iter().chain(calls).map(str::to_owned).collect()
    }

    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Departure>, Fault> {
        self.depart(member, &super::api::of_service(answers)?, unix)
    }

    fn probe(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<super::Standing>, Fault> {
        self.look(member, &super::api::of_service(answers)?, unix)
    }

    fn permissions(&self) -> Permissions {
        Permissions::none()
    }
}

impl PuppetServer {
    /// `host`, or `host:port` where the port is not Puppet's own. An IPv6 address has brackets.
    fn endpoint(&self, host: &str) -> String {
        address::endpoint(host, self.port, PORT)
    }

    fn ask(&self, trust: Trust, action: Action) -> super::Request {
        Request { servers: self.servers.clone(), port: self.port, trust, action }.into()
    }

    fn ask_of(&self, node: &NodeContext<'_>, action: Action) -> super::Request {
        self.ask_found(node.authority, node.observed, action)
    }

    /// Asks an authority whose lists are known. The server's own certificate is looked up in them.
    fn ask_found(&self, found: &Authority, observed: &Observed, action: Action) -> super::Request {
        let ca = found.ca().unwrap_or_default().to_owned();
        let revocation = observed.revocation();
        let lists = found.crl().map(|pem| Lists { pem: pem.to_owned(), revocation });
        self.ask(Trust::Ca { ca, lists }, action)
    }

    fn ask_ca(&self, trust: Trust) -> super::Request {
        self.ask(trust, Action::GetCertificate { name: "ca".to_owned() })
    }

    fn check_ca(&self, text: &str) -> Result<CaBundle, PinError> {
        match &self.ca {
            Ca::Pinned(pin) => pin.check(text),
            _ => CaBundle::from_pem(text).map_err(PinError::Bundle),
        }
    }

    fn ask_certificate(&self, node: &NodeContext<'_>) -> super::Request {
        self.ask_of(node, Action::GetCertificate { name: node.name.to_owned() })
    }

    fn ask_request(&self, node: &NodeContext<'_>) -> super::Request {
        self.ask_of(node, Action::GetCertificateRequest { name: node.name.to_owned() })
    }
}

/// What an admin runs to have the CA forget a node.
fn clean(name: &str) -> String {
    format!("puppetserver ca clean --certname {name}")
}
