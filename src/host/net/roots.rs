//! The certificates of the CAs that TLS trusts, read from one source when TLS is first used.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::fault::{Fault, Kind};
use crate::host::Root;
use crate::host::aws::environment::{Roots, absolute};
use crate::host::files;

/// Where distributions keep all certificates in one file: Debian, Fedora and RHEL, older Fedora and
/// RHEL, SUSE, Alpine. The directory holds the same certificates, one per file.
const FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const DIRECTORY: &str = "/etc/ssl/certs";

/// Reads the certificates, and returns them in PEM.
///
/// # Errors
/// `Config` if a file or directory that is named explicitly can't be used.
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
    let mut loaded = Loaded::default();
    for directory in directories.into_iter().flat_map(|list| list.split(':')) {
        loaded.add_directory(directory);
    }
    if let Some(file) = file {
        loaded.add_file(file);
    }
    let Loaded { found, mut reasons, .. } = loaded;
    let total = found.len();
    let usable: Vec<_> = found.into_iter().filter(is_usable).collect();
    // Every certificate of a file must be usable. A directory may hold other files.
    let is_whole = file.is_none() || (reasons.is_empty() && usable.len() == total);
    if !usable.is_empty() && is_whole {
        return Ok(pem_of(&usable));
    }
    if reasons.is_empty() {
        let reason = if total == 0 {
            "it has no certificate in PEM form"
        } else {
            "it has a certificate that can't be parsed"
        };
        reasons.push((reason.to_owned(), None));
    }
    let (reason, advice) = reasons.swap_remove(0);
    let what = format!("the certificates of trusted CAs can't be read from {place}");
    let todo = advice.unwrap_or_else(|| {
        "name a file of CA certificates in PEM form that enlist's user can read".to_owned()
    });
    Err(Fault::new(Kind::Config, what, by, todo).cause(reason))
}

/// The distribution's certificates. If there are none, no server is trusted.
fn of_system() -> Vec<u8> {
    let usable = |loaded: Loaded| -> Vec<_> {
        for (reason, _) in &loaded.reasons {
            tracing::debug!("certificates of trusted CAs: {reason}");
        }
        loaded.found.into_iter().filter(is_usable).collect()
    };
    let mut found = Vec::new();
    for file in FILES {
        if found.is_empty() {
            let mut loaded = Loaded::default();
            loaded.add_file(file);
            found = usable(loaded);
        }
    }
    if found.is_empty() {
        let mut loaded = Loaded::default();
        loaded.add_directory(DIRECTORY);
        found = usable(loaded);
    }
    if found.is_empty() {
        tracing::warn!(
            "this machine has no certificates of trusted CAs: install the package ca-certificates"
        );
    }
    pem_of(&found)
}

/// The certificates read so far. They decide whom enlist trusts, so the files must be trusted.
#[derive(Default)]
struct Loaded {
    found: Vec<CertificateDer<'static>>,
    /// Why a file can't be read, and what to do about it.
    reasons: Vec<(String, Option<String>)>,
}

impl Loaded {
    fn add_file(&mut self, path: &str) {
        let path = absolute(path);
        match files::read_trusted(&Root::running_system(), &path) {
            Ok(pem) => self.add_pem(&path, &pem),
            Err(error) => self.fail(&path, &error),
        }
    }

    fn add_pem(&mut self, path: &str, pem: &[u8]) {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            match certificate {
                Ok(certificate) => self.found.push(certificate),
                Err(error) => {
                    self.reasons.push((format!("{path}: {error}"), None));
                    return;
                }
            }
        }
    }

    /// Adds the files of a directory. It has each certificate twice or more: in a file, and in links
    /// to that file.
    fn add_directory(&mut self, path: &str) {
        let path = absolute(path);
        match files::names(&Root::running_system(), &path) {
            Ok(names) => names.iter().for_each(|name| self.add_file(&format!("{path}/{name}"))),
            Err(error) => self.fail(&path, &error),
        }
        self.found.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        self.found.dedup();
    }

    fn fail(&mut self, path: &str, error: &std::io::Error) {
        let advice = files::advice(error).map(str::to_owned);
        self.reasons.push((format!("{path}: {error}"), advice));
    }
}

/// Whether the TLS stack can parse it; it panics on a certificate that it can't.
fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    webpki::anchor_from_trusted_cert(certificate).is_ok()
}

fn pem_of(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let blocks: Vec<pem::Pem> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
    pem::encode_many(&blocks).into_bytes()
}
