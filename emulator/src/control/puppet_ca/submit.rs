//! Requests: handed in, judged in the order of the server, signed or kept.

use super::policy::{Autosign, CaPolicy};
use super::{Asked, Face, Pending, PuppetCa, already, text};
use crate::ca::{Csr, CsrExtension, Order, PUPPET_ARC, SUBJECT_ALT_NAME, WrongCertificate, dotted};
use crate::control::fault::FaultKind;
use crate::control::room_for;
use crate::http::Response;

/// What a rule for several alternatives ends with, in the server's texts.
const RESTART: &str = "Then restart the puppetserver and try signing this certificate again.";

impl PuppetCa {
    /// Everything but a breach of policy is a failure of the server.
    pub(super) fn put_request(&mut self, face: &mut Face<'_>, name: &str) -> Response {
        let pem = String::from_utf8_lossy(&face.request.body).into_owned();
        let Some(asked) = Asked::of(face.authority, &pem) else {
            return text(
                500,
                "Internal Server Error: java.lang.IllegalArgumentException: The body is not a \
                 certificate request in PEM",
            );
        };
        if room_for(self.requests.len(), true, "certificate requests").is_err() {
            return text(
                500,
                "Internal Server Error: java.io.IOException: No space left on device",
            );
        }
        match self.submit(face, name, &pem, &asked) {
            Ok(()) => text(200, ""),
            Err(refusal) => text(400, &refusal),
        }
    }

    /// The order is the server's: duplicate, subject, saved, autosign, and only then what a
    /// signature takes. What is refused after that stays on the server.
    fn submit(
        &mut self,
        face: &mut Face<'_>,
        name: &str,
        pem: &str,
        asked: &Asked,
    ) -> Result<(), String> {
        let policy = self.policy_of(face.server).clone();
        let subject = asked.csr.common_name.clone().unwrap_or_default();
        if let Some(state) = self.state(face.cm, face.now, face.server, &subject)
            && !policy.allow_duplicate_certs
        {
            return Err(already(&subject, state));
        }
        check_subject(name, &subject)?;
        let key = (face.server.to_owned(), name.to_owned());
        self.requests.insert(key, Pending { csr: pem.to_owned(), at: face.now });
        if !signs(&policy, asked) || face.fault == Some(FaultKind::Failed) {
            return Ok(());
        }
        check_extensions(&policy, asked)?;
        self.sign(face, name, asked, None)
    }

    /// Signs what has been judged.
    pub(super) fn sign(
        &mut self,
        face: &mut Face<'_>,
        name: &str,
        asked: &Asked,
        ttl: Option<u64>,
    ) -> Result<(), String> {
        let policy = self.policy_of(face.server);
        let renews = policy.allow_auto_renewal && asked.attributes.auto_renew;
        let usual = if renews { policy.renewal_lifetime() } else { policy.lifetime() };
        let lifetime = ttl.map_or(usual, std::time::Duration::from_secs);
        let csr = with_own_name(asked.csr.clone(), name);
        self.issue(face, name, &csr, lifetime)?;
        self.requests.remove(&(face.server.to_owned(), name.to_owned()));
        Ok(())
    }

    /// Makes a certificate and keeps it under the name.
    pub(super) fn issue(
        &mut self,
        face: &mut Face<'_>,
        name: &str,
        csr: &Csr,
        lifetime: std::time::Duration,
    ) -> Result<String, String> {
        let serial = (face.random.next_u64() >> 1) | 1 << 62;
        let wrong = match face.fault {
            Some(FaultKind::Certificate(wrong)) => Some(wrong),
            _ => None,
        };
        if wrong == Some(WrongCertificate::None) {
            return Ok(String::new());
        }
        let order = Order { csr, node_name: name, serial, lifetime, wrong };
        let made = face.authority.issue(face.now, &order);
        let certificate = made.map_err(|refusal| refusal.to_string())?;
        let key = (face.server.to_owned(), name.to_owned());
        let mut issued = self.issued.get(&key).cloned().unwrap_or_default();
        issued.serials.push(format!("{serial:016x}"));
        issued.certificate = Some(certificate.clone());
        issued.at = Some(face.now);
        self.issued.insert(key, issued);
        Ok(certificate)
    }

    pub(super) fn get_request(&self, face: &Face<'_>, name: &str) -> Response {
        match self.requests.get(&(face.server.to_owned(), name.to_owned())) {
            Some(pending) => text(200, &pending.csr),
            None => text(404, &format!("Could not find certificate_request {name}")),
        }
    }

    pub(super) fn delete_request(&mut self, face: &Face<'_>, name: &str) -> Response {
        if self.requests.remove(&(face.server.to_owned(), name.to_owned())).is_some() {
            return text(204, "");
        }
        let path = format!("/etc/puppetlabs/puppetserver/ca/requests/{name}.pem");
        text(404, &format!("No certificate request for {name} at expected path {path}"))
    }

    /// Why a request that waits cannot be signed: what the server checks once more.
    pub(super) fn check_again(
        &self,
        server: &str,
        name: &str,
        asked: &Asked,
    ) -> Result<(), String> {
        check_subject(name, asked.csr.common_name.as_deref().unwrap_or_default())?;
        check_extensions(self.policy_of(server), asked)
    }
}

/// Whether the CA signs without a person.
fn signs(policy: &CaPolicy, asked: &Asked) -> bool {
    match &policy.autosign {
        Autosign::Off => false,
        Autosign::On => true,
        Autosign::Challenge(password) => {
            asked.attributes.challenge_password.as_ref() == Some(password)
        }
    }
}

fn check_subject(name: &str, subject: &str) -> Result<(), String> {
    if name != subject {
        return Err(format!("Instance name \"{subject}\" does not match requested key \"{name}\""));
    }
    if name.chars().any(char::is_uppercase) {
        return Err("Certificate names must be lower case.".to_owned());
    }
    if subject.contains('*') {
        return Err(format!("Subject contains a wildcard, which is not allowed: {subject}"));
    }
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    // Java's split leaves empty segments at the end out.
    let segments: Vec<_> = subject.trim_end_matches('.').split('.').collect();
    let whole = |segment: &&str| {
        segment.ends_with(word) && segment.chars().all(|letter| word(letter) || letter == '-')
    };
    let starts = segments.first().is_some_and(|first| first.starts_with(word));
    if subject.ends_with('-') || !starts || !segments.iter().all(whole) {
        return Err("Subject hostname format is invalid".to_owned());
    }
    Ok(())
}

/// Alternative names, authorization, other extensions, signature: in this order.
fn check_extensions(policy: &CaPolicy, asked: &Asked) -> Result<(), String> {
    let subject = asked.csr.common_name.as_deref().unwrap_or_default();
    let own = format!("DNS:{subject}");
    let names = &asked.attributes.alternative_names;
    let only_own = matches!(names.as_slice(), [name] if *name == own);
    if !names.is_empty() && !only_own && !policy.allow_subject_alt_names {
        let others: Vec<_> = names.iter().filter(|name| **name != own).cloned().collect();
        return Err(format!(
            "CSR '{subject}' contains extra subject alternative names ({}), which are \
             disallowed. To allow subject alternative names, set allow-subject-alt-names to true \
             in your ca.conf file. {RESTART}",
            others.join(", ")
        ));
    }
    let below =
        |extension: &CsrExtension| extension.oid.strip_prefix(&PUPPET_ARC).map(<[u64]>::to_vec);
    let authorization =
        |extension: &CsrExtension| below(extension).is_some_and(|it| it.first() == Some(&3));
    if asked.csr.extensions.iter().any(authorization) && !policy.allow_authorization_extensions {
        return Err(format!(
            "CSR '{subject}' contains an authorization extension, which is disallowed. To allow \
             authorization extensions, set allow-authorization-extensions to true in your ca.conf \
             file. {RESTART}"
        ));
    }
    let permitted = |extension: &&CsrExtension| {
        let tool = below(extension).is_some_and(|it| it == super::access::CLI_AUTH);
        let known = below(extension).is_some_and(|it| matches!(it.first(), Some(1..=3)));
        extension.oid == SUBJECT_ALT_NAME || (known && !tool)
    };
    let others = asked.csr.extensions.iter().filter(|extension| !permitted(extension));
    let others: Vec<_> = others.map(|extension| dotted(&extension.oid)).collect();
    if !others.is_empty() {
        return Err(format!("Found extensions that are not permitted: {}", others.join(", ")));
    }
    if !asked.csr.proven {
        return Err(
            "CSR contains a public key that does not correspond to the signing key".to_owned()
        );
    }
    Ok(())
}

/// The server adds the name itself as an alternative one.
fn with_own_name(mut csr: Csr, name: &str) -> Csr {
    if csr.extensions.iter().any(|extension| extension.oid == SUBJECT_ALT_NAME) {
        return csr;
    }
    // GeneralNames with one dNSName; each length is one byte, or two.
    if name.len() > 240 {
        return csr;
    }
    let tagged = |tag: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        let head = if length < 128 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [head, bytes.to_vec()].concat()
    };
    let value = tagged(0x30, &tagged(0x82, name.as_bytes()));
    let dns_names = Some(vec![name.to_owned()]);
    csr.extensions.push(CsrExtension { oid: SUBJECT_ALT_NAME.to_vec(), value, dns_names });
    csr
}
