//! The CA of Puppet servers: `/puppet-ca/v1` as Puppet Server 8 answers it, and its texts word for
//! word. A server's CA has what was asked of it here, and the certificates of its associated nodes.

mod access;
mod admin;
mod lists;
mod policy;
mod renewal;
mod status;
mod submit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use access::forbidden;
pub use policy::{Autosign, CaPolicy, PolicyError};

use super::FaultKind;
use super::opsworks_cm::OpsWorksCm;
use super::table::Table;
use crate::ca::{Attributes, Authority, Csr};
use crate::http::{Connection, Request, Response};
use crate::now::Now;
use crate::random::Random;

/// Where the API is.
const ROOT: &str = "/puppet-ca/v1/";
const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Server and certname.
type Name = (String, String);

/// The state of all servers' CAs.
#[derive(Debug)]
pub struct PuppetCa {
    policy: CaPolicy,
    /// The policies that differ from it, by server.
    policies: Table<String, CaPolicy>,
    requests: Table<Name, Pending>,
    issued: Table<Name, Issued>,
    /// When certificates were revoked, by server and serial number.
    revoked: Table<Name, Now>,
    /// The serial number of the certificate that each server shows.
    shown: BTreeMap<String, String>,
}

/// A request that waits to be signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The request in PEM.
    csr: String,
    at: Now,
}

/// What was issued under a name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Issued {
    /// The newest certificate in PEM, unless it was deleted.
    certificate: Option<String>,
    at: Option<Now>,
    /// The serial numbers of all, in hexadecimal digits: Puppet's inventory.
    serials: Vec<String>,
}

/// What an answer may use.
pub(crate) struct Face<'a> {
    pub now: Now,
    pub fault: Option<FaultKind>,
    /// The server that is asked.
    pub server: &'a str,
    pub connection: &'a Connection,
    pub request: &'a Request,
    pub random: &'a mut Random,
    pub authority: &'a mut dyn Authority,
    pub cm: &'a OpsWorksCm,
}

/// The action of a request, by which faults are set.
pub(super) fn action(request: &Request) -> Option<&'static str> {
    let method = request.method.as_str();
    if method == "GET" && request.path.starts_with("/status/v1/") {
        return Some("GetStatus");
    }
    let path = request.path.strip_prefix(ROOT)?;
    let (kind, name) = path.split_once('/').unwrap_or((path, ""));
    Some(match (method, kind, name) {
        ("GET", "certificate", _) => "GetCertificate",
        ("GET", "certificate_request", _) => "GetCertificateRequest",
        ("PUT", "certificate_request", _) => "PutCertificateRequest",
        ("DELETE", "certificate_request", _) => "DeleteCertificateRequest",
        ("GET", "certificate_revocation_list", _) => "GetCertificateRevocationList",
        ("GET", "certificate_status", _) => "GetCertificateStatus",
        ("PUT", "certificate_status", _) => "PutCertificateStatus",
        ("DELETE", "certificate_status", _) => "DeleteCertificateStatus",
        ("GET", "certificate_statuses", _) => "GetCertificateStatuses",
        ("GET", "expirations", "") => "GetExpirations",
        ("PUT", "clean", "") => "Clean",
        ("POST", "certificate_renewal", "") => "PostCertificateRenewal",
        ("POST", "sign", "all") => "SignAll",
        ("POST", "sign", "") => "Sign",
        _ => return None,
    })
}

impl PuppetCa {
    pub(super) fn new(policy: CaPolicy) -> Self {
        Self {
            policy,
            policies: Table::default(),
            requests: Table::default(),
            issued: Table::default(),
            revoked: Table::default(),
            shown: BTreeMap::new(),
        }
    }

    /// Answers a request at a server's endpoint. Every answer of the CA has the server's version.
    pub(super) fn handle(&mut self, face: &mut Face<'_>) -> Response {
        let request = face.request;
        if request.path.starts_with("/status/v1/simple") && request.method == "GET" {
            return text(200, "running");
        }
        let Some(path) = request.path.strip_prefix(ROOT) else {
            // Of the other services of the server there is none.
            return access::forbidden(request);
        };
        let (kind, name) = path.split_once('/').unwrap_or((path, ""));
        let name = percent_decoded(name);
        let response = match self.check_access(face, kind, &name) {
            Err(refused) => refused,
            Ok(()) => self.route(face, kind, &name),
        };
        response.with_header("x-puppet-version", self.policy_of(face.server).version.clone())
    }

    fn route(&mut self, face: &mut Face<'_>, kind: &str, name: &str) -> Response {
        match (face.request.method.as_str(), kind, name) {
            ("GET", "certificate", name) => self.get_certificate(face, name),
            ("GET", "certificate_request", name) => self.get_request(face, name),
            ("PUT", "certificate_request", name) => self.put_request(face, name),
            ("DELETE", "certificate_request", name) => self.delete_request(face, name),
            ("GET", "certificate_revocation_list", _) => self.get_revocation_list(face),
            (_, "certificate_status", name) => self.certificate_status(face, name),
            ("GET", "certificate_statuses", "") => text(400, "Missing URL Segment"),
            ("GET", "certificate_statuses", _) => self.certificate_statuses(face),
            ("GET", "expirations", "") => self.expirations(face),
            ("PUT", "clean", "") => self.clean(face),
            ("POST", "certificate_renewal", "") => self.renew(face),
            ("POST", "sign", "all") => self.sign_all(face),
            ("POST", "sign", "") => self.sign_some(face),
            _ => text(404, "Not Found"),
        }
    }

    fn policy_of(&self, server: &str) -> &CaPolicy {
        self.policies.get(server).unwrap_or(&self.policy)
    }

    /// The certificate of a name and when it was made: what was issued here, or by an association.
    fn certificate<'a>(
        &'a self,
        cm: &'a OpsWorksCm,
        now: Now,
        server: &str,
        name: &str,
    ) -> Option<(&'a str, Now)> {
        let key = (server.to_owned(), name.to_owned());
        let associated = cm.certificate_of(&key, now);
        match self.issued.get(&key) {
            None => associated,
            Some(issued) => match &issued.certificate {
                Some(certificate) => issued.at.map(|at| (certificate.as_str(), at)),
                // It was deleted; a later association is another one.
                None => associated.filter(|(_, at)| issued.at.is_none_or(|gone| gone < *at)),
            },
        }
    }

    fn is_revoked(&self, server: &str, certificate: &str) -> bool {
        let serial = serial_of_pem(certificate).unwrap_or_default();
        self.revoked.contains_key(&(server.to_owned(), serial))
    }

    /// `signed`, `revoked` or `requested`; none for a name that the CA does not know.
    fn state(&self, cm: &OpsWorksCm, now: Now, server: &str, name: &str) -> Option<&'static str> {
        if let Some((certificate, _)) = self.certificate(cm, now, server, name) {
            let revoked = self.is_revoked(server, certificate);
            return Some(if revoked { "revoked" } else { "signed" });
        }
        let waits = self.requests.contains_key(&(server.to_owned(), name.to_owned()));
        waits.then_some("requested")
    }

    /// Why an association cannot have a name: the CA has given it to another key.
    pub(super) fn taken(&self, server: &str, node: &str, public_key: &[u8]) -> Option<String> {
        let key = (server.to_owned(), node.to_owned());
        let certificate = self.issued.get(&key).and_then(|it| it.certificate.as_deref());
        let (held, state) = match (certificate, self.requests.get(&key)) {
            (Some(certificate), _) => {
                let held = pem::parse(certificate).ok();
                let held = held.and_then(|it| Csr::of_certificate(it.contents()));
                let revoked = self.is_revoked(server, certificate);
                (held, if revoked { "revoked" } else { "signed" })
            }
            (None, Some(pending)) => (Csr::from_pem(&pending.csr).ok(), "requested"),
            (None, None) => return None,
        };
        let same = held.is_some_and(|held| held.public_key == public_key);
        (!same || state == "revoked").then(|| already(node, state))
    }

    /// Notes that a certificate is no longer good: that of a node which has been disassociated.
    pub(super) fn revoke(&mut self, server: &str, node: &str, certificate: &str, at: Now) {
        if let Some(serial) = serial_of_pem(certificate) {
            self.revoked.insert((server.to_owned(), serial), at);
        }
        let key = (server.to_owned(), node.to_owned());
        let renewed = self.issued.get(&key).map(|it| it.serials.clone()).unwrap_or_default();
        for serial in renewed {
            self.revoked.insert((server.to_owned(), serial), at);
        }
        if let Some(issued) = self.issued.get_mut(&key) {
            issued.certificate = None;
        }
    }

    /// Forgets a server that has been deleted.
    pub(super) fn forget_server(&mut self, server: &str) {
        self.policies.remove(server);
        self.requests.retain(|(known, _), _| known != server);
        self.issued.retain(|(known, _), _| known != server);
        self.revoked.retain(|(known, _), _| known != server);
    }
}

fn already(name: &str, state: &str) -> String {
    format!("{name} already has a {state} certificate; ignoring certificate request")
}

fn text(status: u16, body: &str) -> Response {
    let mut response = Response::new(status, TEXT, body);
    if status >= 400 {
        response.error = Some(body.chars().take(200).collect());
    }
    response
}

/// A certificate's serial number, in hexadecimal digits.
fn serial_of_pem(certificate: &str) -> Option<String> {
    let block = pem::parse(certificate).ok()?;
    serial_of(block.contents())
}

fn serial_of(der: &[u8]) -> Option<String> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(crate::hex::encode(certificate.raw_serial()))
}

/// `%41` is `A`; what is no such code stands for itself.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let code = if *first == b'%' { more.get(..2) } else { None };
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { more.get(2..).unwrap_or_default() } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a request asks for, read once.
struct Asked {
    csr: Csr,
    attributes: Attributes,
}

impl Asked {
    fn of(authority: &dyn Authority, pem: &str) -> Option<Self> {
        let csr = authority.read(pem).ok()?;
        Some(Self { csr, attributes: Attributes::of_pem(pem) })
    }
}

/// Certificates and requests by name, for lists.
type ByName<T> = BTreeMap<String, T>;
