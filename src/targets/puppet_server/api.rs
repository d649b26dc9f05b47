//! The calls of a Puppet Server's CA (`/puppet-ca/v1`), as far as a node makes them.
//!
//! Source: Puppet Server's documentation, "Puppet CA API", and its source. Versions 5 to 8 and
//! OpenVox Server have the same calls.

use crate::targets::api::{Call, IF_REFUSED};

/// One call, and whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Host names or addresses, in the order in which they are tried.
    pub servers: Vec<String>,
    pub port: u16,
    pub trust: Trust,
    pub action: Action,
}

/// How the server's certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// With these CA certificates, PEM.
    Ca(String),
    /// Not at all: what it sends is compared with a pin.
    Pinned,
    /// Not at all: what it sends is believed, and that is logged.
    FirstUse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// GET certificate/NAME.
    GetCertificate { name: String },
    /// GET certificate_request/NAME.
    GetCertificateRequest { name: String },
    /// PUT certificate_request/NAME. The request, PEM, may hold a challenge password.
    PutCertificateRequest { name: String, csr: String },
    /// GET certificate_revocation_list/ca.
    GetRevocationLists,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None: the CA has no certificate of this name.
    Certificate(Option<Document>),
    /// None: no request of this name waits to be signed.
    CertificateRequest(Option<Document>),
    RevocationLists(Document),
    /// The CA has taken the request of this name.
    Submitted {
        name: String,
    },
    /// The CA has refused the request; why, as the server worded it.
    Refused(String),
}

/// What a server has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The one of the servers that answered.
    pub server: String,
    pub text: String,
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self.action {
            Action::GetCertificate { .. } => "GET certificate",
            Action::GetCertificateRequest { .. } => "GET certificate_request",
            Action::PutCertificateRequest { .. } => "PUT certificate_request",
            Action::GetRevocationLists => "GET certificate_revocation_list",
        }
    }

    fn on(&self) -> String {
        let servers = self.servers.join(", ");
        match &self.action {
            Action::GetCertificate { name }
            | Action::GetCertificateRequest { name }
            | Action::PutCertificateRequest { name, .. } => {
                format!("node {name}, server {servers}")
            }
            Action::GetRevocationLists => format!("server {servers}"),
        }
    }

    fn secret(&self) -> Option<&str> {
        match &self.action {
            Action::PutCertificateRequest { csr, .. } => Some(csr),
            _ => None,
        }
    }

    fn if_refused(&self) -> &'static str {
        IF_REFUSED
    }
}
