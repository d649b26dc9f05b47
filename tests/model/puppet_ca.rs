//! The reference model of a Puppet CA, where a person signs, and a key with its request and CA.

use std::sync::LazyLock;
use std::time::Duration;

use enlist::engines::KeyReport;
use enlist::pki::PrivateKey;
use enlist::pki::csr::{self, CsrSpec};
use enlist::secret::Secret;
use enlist::targets::puppet_server::api::{Action, Answer, Document, Request};
use enlist_emulator::ca::{Authority as _, Csr, ListTimes, Order, SigningCa};
use enlist_emulator::now::Now;

use super::Fate;
use super::world::{NAME, NOW};

pub static MADE: LazyLock<Made> = LazyLock::new(Made::new);

pub struct Made {
    pub key: KeyReport,
    /// Root and intermediate.
    pub ca: String,
    csr: String,
    certificate: String,
    lists: String,
}

impl Made {
    fn new() -> Self {
        let key = PrivateKey::generate(2048).unwrap();
        let spec = CsrSpec { name: NAME.to_owned(), ..CsrSpec::default() };
        let csr = csr::build(&spec, &key).unwrap().expose().to_owned();
        let now = Now::from_unix_seconds(NOW.unsigned_abs());
        let mut ca = SigningCa::generate(now, "p").unwrap();
        let order = Order {
            csr: &Csr::from_pem(&csr).unwrap(),
            node_name: NAME,
            serial: 7,
            lifetime: Duration::from_hours(5 * 365 * 24),
            wrong: None,
        };
        Self {
            certificate: ca.issue(now, &order).unwrap(),
            lists: ca.revocation_list(&[], ListTimes::of_puppet(now)).unwrap(),
            ca: ca.bundle().to_owned(),
            key: KeyReport {
                public: key.public().clone(),
                csr: Some(Secret::new(csr.clone())),
                is_installed: false,
            },
            csr,
        }
    }
}

/// What it has under the node's name.
#[derive(Default)]
pub struct PuppetCa {
    has_request: bool,
    has_certificate: bool,
    /// How many certificates were issued and not cleaned.
    issued: usize,
}

impl PuppetCa {
    pub fn answer(&mut self, request: &Request, fate: Fate) -> Answer {
        if fate != Fate::Slow {
            self.sign();
        }
        let document =
            |text: &str| Document { server: "puppet.example".to_owned(), text: text.to_owned() };
        match &request.action {
            Action::GetCertificate { name } => {
                assert_eq!(name, NAME);
                self.clean_if(fate);
                Answer::Certificate(self.has_certificate.then(|| document(&MADE.certificate)))
            }
            Action::GetCertificateRequest { name } => {
                assert_eq!(name, NAME);
                self.clean_if(fate);
                Answer::CertificateRequest(self.has_request.then(|| document(&MADE.csr)))
            }
            Action::PutCertificateRequest { name, csr } => self.put(name, csr, fate),
            Action::GetRevocationLists => Answer::RevocationLists(document(&MADE.lists)),
            Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. } => {
                Answer::NotAllowed("Forbidden request".to_owned())
            }
            Action::PostCertificateRenewal { .. } => panic!("nothing here is renewed"),
        }
    }

    fn put(&mut self, name: &str, csr: &str, fate: Fate) -> Answer {
        assert_eq!((name, csr), (NAME, MADE.csr.as_str()));
        if self.has_request || self.has_certificate {
            let state = if self.has_request { "requested" } else { "signed" };
            return Answer::Refused(format!(
                "{NAME} already has a {state} certificate; ignoring certificate request"
            ));
        }
        // A policy refuses a request that is saved already, and a person may sign it all the same.
        self.has_request = true;
        match fate {
            Fate::Refuses => Answer::Refused("CSR contains extra names".to_owned()),
            _ => Answer::Submitted { name: name.to_owned() },
        }
    }

    /// A person signs what waits.
    fn sign(&mut self) {
        if std::mem::take(&mut self.has_request) {
            self.has_certificate = true;
            self.issued += 1;
        }
    }

    /// An admin cleans the name.
    fn clean_if(&mut self, fate: Fate) {
        if fate == Fate::Forgotten {
            *self = Self::default();
        }
    }

    pub fn has_one_certificate(&self) {
        assert!(self.has_certificate && !self.has_request);
        assert_eq!(self.issued, 1);
    }
}
