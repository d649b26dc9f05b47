//! The calls of a Puppet Server's CA (`/puppet-ca/v1`), as far as a node makes them.
//!
//! Source: Puppet Server's documentation, "Puppet CA API", and its source. Versions 5 to 8 and
//! OpenVox Server have the same calls.

use crate::pki::crl::Lists;
use crate::targets::api::Call;

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
    /// With these CA certificates, PEM, and with their revocation lists, PEM, where they are known.
    Ca { ca: String, lists: Option<Lists> },
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
    /// POST certificate_renewal, by the node with its own certificate (Puppet Server 8.1 and later).
    PostCertificateRenewal { name: String, own: Own },
    /// PUT certificate_status/NAME by the node itself: its certificate is revoked.
    RevokeCertificate { name: String, own: Own },
    /// DELETE certificate_status/NAME by the node itself: its certificate and request are removed. This
    /// does not revoke.
    DeleteCertificate { name: String, own: Own },
}

/// As whom the node makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its certificate, PEM.
    pub certificate: String,
    /// The file with its key.
    pub key: String,
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
    /// The new certificate.
    Renewed(Document),
    NotRenewed(NotRenewed),
    /// The certificate was revoked, or removed.
    StatusChanged,
    /// The CA has no certificate of this name.
    NoCertificate,
    /// The CA lets this node not do that; why, as the server worded it.
    NotAllowed(String),
}

/// Why the CA gives no new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// 404: renewal is turned off (allow-auto-renewal).
    Off,
    /// 403 of `auth.conf`: a server before 8.1, or an old `auth.conf`.
    Forbidden(String),
    /// 403 of the CA: it has not signed the node's certificate.
    OtherCa(String),
    /// 400: the node's certificate did not arrive.
    NoClientCertificate(String),
}

/// What a server has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The one of the servers that answered.
    pub server: String,
    pub text: String,
}

impl Action {
    /// As whom the node makes it, where it shows a certificate.
    #[must_use]
    pub fn own(&self) -> Option<&Own> {
        match self {
            Self::PostCertificateRenewal { own, .. }
            | Self::RevokeCertificate { own, .. }
            | Self::DeleteCertificate { own, .. } => Some(own),
            _ => None,
        }
    }
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self.action {
            Action::GetCertificate { .. } => "GET certificate",
            Action::GetCertificateRequest { .. } => "GET certificate_request",
            Action::PutCertificateRequest { .. } => "PUT certificate_request",
            Action::GetRevocationLists => "GET certificate_revocation_list",
            Action::PostCertificateRenewal { .. } => "POST certificate_renewal",
            Action::RevokeCertificate { .. } => "PUT certificate_status",
            Action::DeleteCertificate { .. } => "DELETE certificate_status",
        }
    }

    fn on(&self) -> String {
        let servers = self.servers.join(", ");
        match &self.action {
            Action::GetCertificate { name }
            | Action::GetCertificateRequest { name }
            | Action::PutCertificateRequest { name, .. }
            | Action::PostCertificateRenewal { name, .. }
            | Action::RevokeCertificate { name, .. }
            | Action::DeleteCertificate { name, .. } => {
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
}
