//! Why a TLS connection failed: what can pass with time, and what can't.

use std::error::Error;

use rustls::{CertificateError, OtherError};

use crate::fault::{Fault, Kind, chain};
use crate::text;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// By this node's clock, the certificate is not valid now.
    Time(String),
    /// The certificate will not be accepted later either.
    Certificate(String),
    /// The certificate is for other names.
    Name(String),
    /// The CA has revoked the certificate.
    Revoked,
    /// The CA's revocation lists don't tell whether the certificate is revoked.
    Lists(String),
    /// Anything else, such as another protocol or a connection that ended.
    Other(String),
}

/// A chain that leads to no CA that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate is signed by an unknown CA, {issuer} (SHA-256 of the last certificate that was sent: {sent}; of what is trusted: {trusted})"
)]
pub struct UnknownCa {
    pub issuer: String,
    pub sent: String,
    pub trusted: String,
}

/// What went wrong, if a call failed because of TLS.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> Option<Reason> {
    let typed = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(reason)) = typed {
        return Some(of_certificate(reason));
    }
    if let Some(rustls::Error::InvalidCertRevocationList(why)) = typed {
        return Some(Reason::Lists(format!("the CA's revocation lists can't be used: {why:?}")));
    }
    if let Some(rustls::Error::InvalidMessage(_)) = typed {
        let said = "what answers there does not speak TLS: plain HTTP, ssh, or anything else";
        return Some(Reason::Other(said.to_owned()));
    }
    if let Some(error) = typed {
        return Some(Reason::Other(error.to_string()));
    }
    // The connection ended during the handshake. This error has no type of its own.
    let is_end = chain(error).any(|error| error.to_string() == "tls handshake eof");
    is_end.then(|| Reason::Other("the connection ended during the handshake".to_owned()))
}

fn of_certificate(reason: &CertificateError) -> Reason {
    match reason {
        CertificateError::NotValidYetContext { time, not_before } => Reason::Time(format!(
            "the certificate is valid from {} on, and this node's clock says {}",
            shown(not_before.as_secs()),
            shown(time.as_secs())
        )),
        CertificateError::ExpiredContext { time, not_after } => Reason::Time(format!(
            "the certificate expired at {}, and this node's clock says {}",
            shown(not_after.as_secs()),
            shown(time.as_secs())
        )),
        CertificateError::NotValidYet | CertificateError::Expired => {
            Reason::Time("by this node's clock, the certificate is not valid".to_owned())
        }
        CertificateError::Revoked => Reason::Revoked,
        CertificateError::UnknownRevocationStatus => Reason::Lists(
            "the revocation list of the CA that signed the certificate is missing".to_owned(),
        ),
        CertificateError::UnknownIssuer => {
            Reason::Certificate("the certificate is signed by an unknown CA".to_owned())
        }
        CertificateError::BadSignature => Reason::Certificate(
            "the certificate is from another authority of the same name".to_owned(),
        ),
        CertificateError::NotValidForNameContext { .. } => {
            Reason::Name(format!("the certificate is not accepted: {reason}"))
        }
        CertificateError::Other(other) => Reason::Certificate(of_another(other)),
        other => Reason::Certificate(format!("the certificate is not accepted: {other}")),
    }
}

/// An error of webpki that rustls has no variant for.
fn of_another(other: &OtherError) -> String {
    if let Some(unknown) = other.0.downcast_ref::<UnknownCa>() {
        return unknown.to_string();
    }
    let name = other.to_string();
    if name.contains("CaUsedAsEndEntity") {
        return "the certificate is a CA's own, which a server can't use: give the server a certificate that the CA has signed".to_owned();
    }
    format!("the certificate is not accepted: {name}")
}

const REVOKED: &str = "the CA has revoked the certificate";

fn shown(unix: u64) -> String {
    text::time(i64::try_from(unix).unwrap_or(i64::MAX))
}

/// The fault for a failed TLS connection. `if_untrusted` says what to do about a certificate that is
/// not accepted.
#[must_use]
pub fn fault(reason: &Reason, action: &str, on: String, place: &str, if_untrusted: &str) -> Fault {
    let what = format!("{action} was not sent: there is no secure connection");
    let (kind, said, todo): (_, &str, _) = match reason {
        Reason::Time(said) => (
            Kind::Transient,
            said,
            "wait until this node's clock is set; if the clock is right, renew the endpoint's certificate",
        ),
        Reason::Certificate(said) => (Kind::Config, said, if_untrusted),
        Reason::Name(said) => (
            Kind::Config,
            said,
            "name the server by one of these names in the settings, or give it a certificate that has this name too",
        ),
        Reason::Revoked => (Kind::Data, REVOKED, if_untrusted),
        Reason::Lists(said) => (Kind::Data, said, if_untrusted),
        Reason::Other(said) => (
            Kind::Transient,
            said,
            "check the endpoint (https and the right port), whether a proxy answers instead, and this node's clock",
        ),
    };
    Fault::new(kind, what, on, todo)
        .cause(format!("no secure connection to {place} ({said})"))
        .unsent()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{CertificateError, OtherError};

    use super::{Reason, of_certificate};

    #[test]
    fn a_self_signed_server_certificate_is_named_as_such() {
        let other = OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        let Reason::Certificate(said) = of_certificate(&CertificateError::Other(other)) else {
            panic!("time does not help")
        };
        assert!(said.contains("a CA's own") && !said.contains("CaUsedAsEndEntity"), "{said}");
    }
}
