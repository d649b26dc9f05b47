//! Whether what the CA has under this node's name is this node's.

use super::api::Document;
use super::{PuppetServer, Target, clean};
use crate::engines::{NodeContext, puppet};
use crate::fault::{Fault, Kind};
use crate::pki::{certificate, csr};

impl PuppetServer {
    /// Whether a certificate under our name is for our key.
    pub(super) fn check_certificate(
        &self,
        node: &NodeContext<'_>,
        found: &Document,
    ) -> Result<(), Fault> {
        let theirs = self.key_of(node, found)?;
        self.compare(node, &theirs, "a certificate")
    }

    /// Whether there is a certificate, and it is for our key.
    ///
    /// # Errors
    /// `Data` where it can't be read.
    pub(super) fn is_ours(
        &self,
        node: &NodeContext<'_>,
        found: Option<&Document>,
    ) -> Result<bool, Fault> {
        let Some(found) = found else { return Ok(false) };
        Ok(self.key_of(node, found)? == node.key()?.public.fingerprint())
    }

    fn key_of(&self, node: &NodeContext<'_>, found: &Document) -> Result<String, Fault> {
        certificate::key_fingerprint(&found.text).map_err(|error| {
            puppet::unacceptable(node, &found.text, &self.authority_name(), &error)
        })
    }

    /// Whether a request under our name is of our key.
    pub(super) fn check_request(
        &self,
        node: &NodeContext<'_>,
        found: &Document,
    ) -> Result<(), Fault> {
        let theirs = csr::key_fingerprint(&found.text).ok_or_else(|| {
            let what = "what the CA has as this node's certificate request is none";
            let on = format!("node {}, {}", node.name, self.authority_name());
            let todo = format!("run `{}` on the server, then `enlist join`", clean(node.name));
            Fault::new(Kind::Data, what, on, todo).with_evidence("request", found.text.as_str())
        })?;
        self.compare(node, &theirs, "a certificate request")
    }

    fn compare(&self, node: &NodeContext<'_>, theirs: &str, what: &str) -> Result<(), Fault> {
        let ours = node.key()?.public.fingerprint();
        if ours == theirs {
            return Ok(());
        }
        let what = format!("the CA has {what} of this name for another key");
        let on = format!("node {}, {}", node.name, self.authority_name());
        let todo = format!(
            "if this machine was rebuilt, or the other one is gone, run `{}` on the server, then `enlist join`; if both are there, give this node another name: node.name, for example \"{{instance_id}}\"",
            clean(node.name)
        );
        Err(Fault::new(Kind::Rejected, what, on, todo)
            .cause(format!("SHA-256 of its public key: {theirs}; of this node's: {ours}")))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};

    use crate::engines::{Authority, KeyReport, NodeContext, Observed, RequestAdditions};
    use crate::facts::Facts;
    use crate::fault::{Fault, Kind};
    use crate::pki::PublicKey;
    use crate::pki::pin::Pin;
    use crate::targets::puppet_server::api::{Action, Answer, Document, Request};
    use crate::targets::puppet_server::{Ca, PORT, PuppetServer};
    use crate::targets::{self, Decision, Question, Reconciled, Target};

    /// A key, with its certificate and its request.
    struct Made {
        key: KeyPair,
        certificate: Answer,
        request: Answer,
    }

    fn made() -> Made {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "n");
        let document = |text| Some(Document { server: "p".to_owned(), text });
        let request = document(params.serialize_request(&key).unwrap().pem().unwrap());
        let certificate = document(params.self_signed(&key).unwrap().pem());
        Made {
            key,
            certificate: Answer::Certificate(certificate),
            request: Answer::CertificateRequest(request),
        }
    }

    /// What is asked next, or what came of it.
    fn short<T>(question: Result<Question<T>, Fault>, done: &dyn Fn(T) -> &'static str) -> String {
        let asks = |request: targets::Request| match request {
            targets::Request::PuppetCa(Request {
                action: Action::GetCertificate { .. }, ..
            }) => "certificate",
            _ => "request",
        };
        match question {
            Ok(Question::Ask(request)) => format!("ask {}", asks(request)),
            Ok(Question::AskLater(request)) => format!("later {}", asks(request)),
            Ok(Question::Done(result)) => done(result).to_owned(),
            Ok(Question::Sign(_)) => "sign".to_owned(),
            Err(fault) if fault.kind == Kind::Rejected => "taken".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_former_certificate_is_given_until_the_request_is_signed() {
        let (ours, other) = (made(), made());
        let public = PublicKey::from_spki(&ours.key.subject_public_key_info()).unwrap();
        let key = KeyReport { public, csr: None, is_installed: false };
        let (ca, endpoint) = (String::new(), "p".to_owned());
        let authority = Authority::Puppet { endpoint, ca, crl: None };
        let (facts, observed) = (Facts::default(), Observed::default());
        let node = NodeContext {
            facts: &facts,
            observed: &observed,
            name: "n",
            authority: &authority,
            additions: &RequestAdditions::NONE,
            key: Some(&key),
            former: None,
            former_key: None,
            will_renew: false,
            state_dir: "/s",
        };
        let target = PuppetServer {
            servers: vec!["p".to_owned()],
            port: PORT,
            ca: Ca::Pinned(Pin::parse(&"ab".repeat(32)).unwrap()),
            give_up_unsigned: None,
            additions: RequestAdditions::NONE,
        };
        let (missing, gone) = (Answer::Certificate(None), Answer::CertificateRequest(None));
        let (theirs, their_request) = (&other.certificate, &other.request);
        for (answers, waits, reconciles) in [
            (vec![theirs], "ask request", "ask request"),
            (vec![theirs, &ours.request], "later certificate", "pending"),
            (vec![theirs, their_request], "taken", "taken"),
            (vec![theirs, &gone], "ask certificate", "taken"),
            (vec![&missing, &gone], "ask certificate", "again"),
            // The request was ours when the CA was asked.
            (vec![theirs, theirs], "later certificate", ""),
            (vec![&missing, theirs], "ask request", ""),
            (vec![theirs, &gone, theirs], "taken", ""),
            (vec![theirs, &gone, &missing], "forgotten", ""),
            (vec![&ours.certificate], "the returned certificate was refused", "pending"),
        ] {
            let answers: Vec<targets::Answer> =
                answers.into_iter().cloned().map(targets::Answer::PuppetCa).collect();
            let said = short(target.wait(&node, "n", &answers, 0), &|decision| match decision {
                Decision::Forgotten => "forgotten",
                Decision::Granted(_) => "granted",
            });
            assert!(said.starts_with(waits), "{answers:?}: {said}");
            if !reconciles.is_empty() {
                let said = target.reconcile(&node, "", &answers, 0);
                let said = short(said, &|result| match result {
                    Reconciled::Pending(_) => "pending",
                    Reconciled::CallAgain => "again",
                    Reconciled::Granted(_) => "granted",
                });
                assert_eq!(said, reconciles, "{answers:?}");
            }
        }
    }
}
