//! The authorities that TLS trusts: read when TLS is first spoken, from one source.

use std::path::Path;

use rustls_native_certs::load_certs_from_paths;
use rustls_pki_types::CertificateDer;

use crate::fault::{Fault, Kind};
use crate::host::aws::environment::Roots;

/// Where distributions keep all of them in one file: Debian, Fedora and RHEL, older ones of these,
/// SUSE, Alpine. A directory holds the same certificates once more.
const FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const DIRECTORY: &str = "/etc/ssl/certs";

/// Reads them, as PEM.
///
/// # Errors
/// `Config` where a file that was named on purpose can't be used.
pub fn load(roots: &Roots) -> Result<Vec<u8>, Fault> {
    if let Some((path, by)) = &roots.bundle {
        return named(Some(path), None, by);
    }
    match (&roots.file, &roots.directories) {
        (Some(file), _) => named(Some(file), None, "environment, SSL_CERT_FILE"),
        (None, Some(directories)) => named(None, Some(directories), "environment, SSL_CERT_DIR"),
        (None, None) => Ok(of_system()),
    }
}

fn named(file: Option<&str>, directories: Option<&str>, by: &str) -> Result<Vec<u8>, Fault> {
    let place = file.or(directories).unwrap_or_default();
    let mut reasons = Vec::new();
    let mut found = Vec::new();
    for directory in directories.into_iter().flat_map(|list| list.split(':')) {
        let loaded = load_certs_from_paths(None, Some(Path::new(directory)));
        found.extend(loaded.certs);
        reasons.extend(loaded.errors.iter().map(ToString::to_string));
    }
    if let Some(file) = file {
        let loaded = load_certs_from_paths(Some(Path::new(file)), None);
        found.extend(loaded.certs);
        reasons.extend(loaded.errors.iter().map(ToString::to_string));
    }
    let total = found.len();
    let usable: Vec<_> = found.into_iter().filter(is_usable).collect();
    // A file is meant as a whole; a directory may hold other things.
    let is_whole = file.is_none() || (reasons.is_empty() && usable.len() == total);
    if !usable.is_empty() && is_whole {
        return Ok(pem_of(&usable));
    }
    let reason = reasons.into_iter().next().unwrap_or_else(|| {
        if total == 0 {
            "it holds no certificate in PEM form"
        } else {
            "it holds a certificate that can't be parsed"
        }
        .to_owned()
    });
    let what = format!("the certificates of trusted authorities can't be read from {place}");
    let todo = "name a file of CA certificates in PEM form that this user may read";
    Err(Fault::new(Kind::Config, what, by, todo).cause(reason))
}

/// Those of the distribution; none where there are none, and then nothing is trusted.
fn of_system() -> Vec<u8> {
    let of_file = FILES.iter().find_map(|file| {
        let loaded = load_certs_from_paths(Some(Path::new(file)), None);
        let usable: Vec<_> = loaded.certs.into_iter().filter(is_usable).collect();
        (!usable.is_empty()).then_some(usable)
    });
    let usable = of_file.unwrap_or_else(|| {
        let loaded = load_certs_from_paths(None, Some(Path::new(DIRECTORY)));
        loaded.certs.into_iter().filter(is_usable).collect()
    });
    if usable.is_empty() {
        tracing::warn!(
            "this machine has no certificates of trusted authorities: install ca-certificates"
        );
    }
    pem_of(&usable)
}

/// The TLS stack ends the process where one of them can't be parsed.
fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    webpki::anchor_from_trusted_cert(certificate).is_ok()
}

fn pem_of(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let blocks: Vec<pem::Pem> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
    pem::encode_many(&blocks).into_bytes()
}
