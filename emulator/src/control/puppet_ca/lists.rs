//! Certificates and revocation lists, as anybody may fetch them.

use serde_json::{Map, Value};
use time::Duration;
use time::macros::format_description;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::{Face, JSON, PuppetCa, TEXT, text};
use crate::ca::{ListTimes, Revoked};
use crate::http::{Request, Response};
use crate::now::Now;

impl PuppetCa {
    pub(super) fn get_certificate(&self, face: &Face<'_>, name: &str) -> Response {
        let bundle = face.authority.bundle();
        let found = if name == "ca" {
            Some((bundle, made_at(bundle)))
        } else {
            self.certificate(face.cm, face.now, face.server, name)
        };
        match found {
            None => text(404, &format!("Could not find certificate {name}")),
            Some((_, at)) if !is_newer(face.request, at) => text(304, ""),
            Some((certificate, _)) => Response::new(200, TEXT, certificate),
        }
    }

    pub(super) fn get_revocation_list(&self, face: &Face<'_>) -> Response {
        let at = self.revocation_list_at(face);
        if !is_newer(face.request, at) {
            return text(304, "");
        }
        match self.revocation_list(face) {
            Ok(list) => Response::new(200, TEXT, list),
            Err(reason) => text(500, &format!("Internal Server Error: {reason}")),
        }
    }

    /// `{"ca-certs":{CN:date},"crls":{CN:date}}`.
    pub(super) fn expirations(&self, face: &Face<'_>) -> Response {
        let (mut certificates, mut lists) = (Map::new(), Map::new());
        for block in pem::parse_many(face.authority.bundle()).unwrap_or_default() {
            if let Ok((_, it)) = X509Certificate::from_der(block.contents()) {
                let until = it.validity().not_after.to_datetime();
                certificates.insert(common_name(it.subject()), date(until));
            }
        }
        let list = self.revocation_list(face).unwrap_or_default();
        for block in pem::parse_many(list).unwrap_or_default() {
            if let Ok((_, it)) = CertificateRevocationList::from_der(block.contents())
                && let Some(until) = it.next_update()
            {
                lists.insert(common_name(it.issuer()), date(until.to_datetime()));
            }
        }
        let body = serde_json::json!({ "ca-certs": certificates, "crls": lists });
        Response::new(200, JSON, body.to_string())
    }

    fn revocation_list(&self, face: &Face<'_>) -> Result<String, String> {
        let (mut revoked, times) = self.revocations(face.server, face.authority.bundle());
        let policy = self.policy_of(face.server);
        let shown = self.shown.get(face.server).filter(|_| policy.server_is_revoked);
        revoked.extend(shown.map(|serial| (bytes_of(serial), times.made)));
        face.authority.revocation_list(&revoked, times).map_err(|refusal| refusal.to_string())
    }

    /// The serial numbers that are revoked, and the times of the list.
    pub(in crate::control) fn revocations(
        &self,
        server: &str,
        bundle: &str,
    ) -> (Vec<Revoked>, ListTimes) {
        let policy = self.policy_of(server);
        let times = ListTimes {
            made: self.list_at(server, bundle),
            begins: Duration::seconds(policy.list_begins),
            ends: Duration::seconds(policy.list_ends),
        };
        (self.revoked_serials(server), times)
    }

    /// The serial numbers that are revoked, and when.
    fn revoked_serials(&self, server: &str) -> Vec<Revoked> {
        let of_server = self.revoked.iter().filter(|((known, _), _)| known == server);
        of_server.map(|((_, serial), at)| (bytes_of(serial), *at)).collect()
    }

    /// When the list last changed.
    fn revocation_list_at(&self, face: &Face<'_>) -> Now {
        self.list_at(face.server, face.authority.bundle())
    }

    fn list_at(&self, server: &str, bundle: &str) -> Now {
        let of_server = self.revoked.iter().filter(|((known, _), _)| known == server);
        of_server.map(|(_, at)| *at).max().unwrap_or_else(|| made_at(bundle))
    }
}

fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let name = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}

/// `2025-01-31T10:20:30UTC`, as the server's inventory has it.
pub(super) fn date(moment: time::OffsetDateTime) -> Value {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]UTC");
    Value::from(moment.format(format).unwrap_or_default())
}

/// When a CA was made: a day after its first certificate begins, which is back-dated.
fn made_at(bundle: &str) -> Now {
    let block = pem::parse_many(bundle).unwrap_or_default().into_iter().next();
    let begins = block.and_then(|block| {
        let (_, it) = X509Certificate::from_der(block.contents()).ok()?;
        u64::try_from(it.validity().not_before.timestamp()).ok()
    });
    Now::from_unix_seconds(begins.unwrap_or(0).saturating_add(24 * 60 * 60))
}

/// Whether something of the moment `at` is newer than what the client says that it has. A date that
/// is none is as good as no date.
fn is_newer(request: &Request, at: Now) -> bool {
    let known = request.header("if-modified-since").and_then(Now::of_http_date);
    known.is_none_or(|known| at.unix_seconds() > known.unix_seconds())
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2).unwrap_or_default());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
