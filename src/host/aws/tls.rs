//! Why TLS came to no agreement: what passes with time, and what does not.

use std::error::Error;

use rustls::CertificateError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fault::{Fault, Kind, chain};

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The certificate is not valid at this time; by how this clock has it.
    Time(String),
    /// The certificate will not be accepted later either.
    Certificate(String),
    /// Anything else: another protocol, a connection that ended.
    Other(String),
}

/// What was wrong, where TLS is why a call failed.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> Option<Reason> {
    let typed = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(reason)) = typed {
        return Some(of_certificate(reason));
    }
    if let Some(error) = typed {
        return Some(Reason::Other(error.to_string()));
    }
    // It ended before TLS did: an error of the connection, without a type of its own.
    let is_end = chain(error).any(|error| error.to_string() == "tls handshake eof");
    is_end.then(|| Reason::Other("it ended in the handshake".to_owned()))
}

fn of_certificate(reason: &CertificateError) -> Reason {
    match reason {
        CertificateError::NotValidYetContext { time, not_before } => Reason::Time(format!(
            "the certificate is valid from {} on, and this clock says {}",
            shown(not_before.as_secs()),
            shown(time.as_secs())
        )),
        CertificateError::ExpiredContext { time, not_after } => Reason::Time(format!(
            "the certificate ended at {}, and this clock says {}",
            shown(not_after.as_secs()),
            shown(time.as_secs())
        )),
        CertificateError::NotValidYet | CertificateError::Expired => {
            Reason::Time("the certificate is not valid by this clock".to_owned())
        }
        CertificateError::UnknownIssuer => {
            Reason::Certificate("the certificate is from an unknown authority".to_owned())
        }
        CertificateError::Other(other) => Reason::Certificate(of_another(&other.to_string())),
        other => Reason::Certificate(format!("the certificate is not accepted: {other}")),
    }
}

/// What rustls has no word for, as webpki names it.
fn of_another(name: &str) -> String {
    if name.contains("CaUsedAsEndEntity") {
        return "the certificate is a CA's own, which a server can't use: give it one that the CA has signed".to_owned();
    }
    format!("the certificate is not accepted: {name}")
}

fn shown(unix: u64) -> String {
    let moment =
        i64::try_from(unix).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.unwrap_or_else(|| unix.to_string())
}

/// The fault for it.
#[must_use]
pub fn fault(reason: &Reason, action: &str, on: String, place: &str) -> Fault {
    let what = format!("{action} was not sent: there is no secure connection");
    let (kind, said, todo) = match reason {
        Reason::Time(said) => (
            Kind::Transient,
            said,
            "wait until this node's clock is set; if it is right, have the endpoint's certificate renewed",
        ),
        Reason::Certificate(said) => (
            Kind::Config,
            said,
            "check the endpoint's name; name the file of its authority's certificate in AWS_CA_BUNDLE, or as ca_bundle in the AWS profile (behind a proxy that opens TLS, that of the proxy's authority)",
        ),
        Reason::Other(said) => (
            Kind::Transient,
            said,
            "check the endpoint (https and the right port), whether a proxy answers in its place, and this node's clock",
        ),
    };
    Fault::new(kind, what, on, todo).cause(format!("no secure connection to {place} ({said})"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{CertificateError, OtherError};

    use super::{Reason, of_certificate};

    #[test]
    fn a_self_signed_certificate_of_a_server_is_said_to_be_one() {
        let other = OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        let Reason::Certificate(said) = of_certificate(&CertificateError::Other(other)) else {
            panic!("another time makes it no better")
        };
        assert!(said.contains("a CA's own") && !said.contains("CaUsedAsEndEntity"), "{said}");
    }
}
