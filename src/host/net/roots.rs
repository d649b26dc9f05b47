//! The authorities that TLS trusts: read when TLS is first spoken, from one source.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::fault::{Fault, Kind};
use crate::host::Root;
use crate::host::aws::environment::{Roots, absolute};
use crate::host::files;

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
    // A file is meant as a whole; a directory may hold other things.
    let is_whole = file.is_none() || (reasons.is_empty() && usable.len() == total);
    if !usable.is_empty() && is_whole {
        return Ok(pem_of(&usable));
    }
    if reasons.is_empty() {
        let reason = if total == 0 {
            "it holds no certificate in PEM form"
        } else {
            "it holds a certificate that can't be parsed"
        };
        reasons.push((reason.to_owned(), None));
    }
    let (reason, advice) = reasons.swap_remove(0);
    let what = format!("the certificates of trusted authorities can't be read from {place}");
    let todo = advice.unwrap_or_else(|| {
        "name a file of CA certificates in PEM form that this user may read".to_owned()
    });
    Err(Fault::new(Kind::Config, what, by, todo).cause(reason))
}

/// Those of the distribution; none where there are none, and then nothing is trusted.
fn of_system() -> Vec<u8> {
    let usable = |loaded: Loaded| -> Vec<_> {
        for (reason, _) in &loaded.reasons {
            tracing::debug!("certificates of trusted authorities: {reason}");
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
            "this machine has no certificates of trusted authorities: install ca-certificates"
        );
    }
    pem_of(&found)
}

/// What files of the running system hold. Whom they name is believed, so they steer us.
#[derive(Default)]
struct Loaded {
    found: Vec<CertificateDer<'static>>,
    /// Why something can't be read, and what to do about it.
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

    /// Each certificate stands there twice, or more often: in a file, and in links to it.
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

/// The TLS stack ends the process where one of them can't be parsed.
fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    webpki::anchor_from_trusted_cert(certificate).is_ok()
}

fn pem_of(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let blocks: Vec<pem::Pem> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
    pem::encode_many(&blocks).into_bytes()
}
