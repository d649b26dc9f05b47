//! `certificate_status` and what is built on it, for the CA's own tools.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::lists::date;
use super::{Asked, ByName, Face, JSON, PuppetCa, text};
use crate::http::Response;

impl PuppetCa {
    pub(super) fn certificate_status(&mut self, face: &mut Face<'_>, name: &str) -> Response {
        let key = (face.server.to_owned(), name.to_owned());
        let accepted = face.request.header("accept").unwrap_or("*/*");
        if ![JSON, "pson", "*/*"].iter().any(|kind| accepted.contains(kind)) {
            return text(406, "No acceptable resource available.");
        }
        let exists = self.state(face.cm, face.now, face.server, name).is_some();
        let was_issued = self.was_issued(face, name);
        match face.request.method.as_str() {
            "GET" if exists => match self.status_of(face, name) {
                Some(status) => Response::new(200, JSON, status.to_string()),
                None => text(404, "Resource not found."),
            },
            "PUT" => self.put_status(face, name),
            "DELETE" if exists || was_issued => {
                self.delete_certificate(face, name);
                self.requests.remove(&key);
                text(204, "")
            }
            "GET" | "DELETE" => text(404, "Resource not found."),
            _ => text(405, "Method not allowed."),
        }
    }

    fn put_status(&mut self, face: &mut Face<'_>, name: &str) -> Response {
        let read: Result<Value, _> = serde_json::from_slice(&face.request.body);
        let (state, ttl) = match check_body(face, name, read) {
            Ok(asked) => asked,
            Err(refused) => return refused,
        };
        let waits = self.requests.contains_key(&(face.server.to_owned(), name.to_owned()));
        let was_issued = self.was_issued(face, name);
        if !waits && !was_issued {
            return text(404, "Invalid certificate subject.");
        }
        if state == "revoked" {
            if !was_issued {
                return text(
                    409,
                    &format!(
                        "Cannot revoke certificate for host {name} without a signed certificate"
                    ),
                );
            }
            self.revoke_name(face, name);
            return text(204, "");
        }
        match self.sign_pending(face, name, ttl) {
            Ok(()) => text(204, ""),
            Err(reason) => text(409, &reason),
        }
    }

    /// Signs a request that waits, as a person does with `puppetserver ca sign`.
    pub(super) fn sign_pending(
        &mut self,
        face: &mut Face<'_>,
        name: &str,
        ttl: Option<u64>,
    ) -> Result<(), String> {
        let pending = self.requests.get(&(face.server.to_owned(), name.to_owned()));
        let Some(pending) = pending else {
            return Err(format!(
                "Cannot sign certificate for host {name} without a certificate request"
            ));
        };
        let asked = Asked::of(face.authority, &pending.csr);
        let asked = asked.ok_or_else(|| "the request cannot be read".to_owned())?;
        self.check_again(face.server, name, &asked)?;
        self.sign(face, name, &asked, ttl)
    }

    /// Whether there is, or was, a certificate of this name.
    fn was_issued(&self, face: &Face<'_>, name: &str) -> bool {
        let key = (face.server.to_owned(), name.to_owned());
        self.issued.contains_key(&key)
            || self.certificate(face.cm, face.now, face.server, name).is_some()
    }

    /// Revokes every certificate of a name.
    pub(super) fn revoke_name(&mut self, face: &Face<'_>, name: &str) {
        let (server, now) = (face.server.to_owned(), face.now);
        let current = self.certificate(face.cm, now, &server, name);
        let current = current.and_then(|(certificate, _)| super::serial_of_pem(certificate));
        let issued = self.issued.get(&(server.clone(), name.to_owned()));
        let serials = issued.map(|it| it.serials.clone()).unwrap_or_default();
        for serial in serials.into_iter().chain(current) {
            let key = (server.clone(), serial);
            if !self.revoked.contains_key(&key) {
                self.revoked.insert(key, now);
            }
        }
    }

    /// Deletes the certificate of a name: this does not revoke it.
    pub(super) fn delete_certificate(&mut self, face: &Face<'_>, name: &str) {
        let key = (face.server.to_owned(), name.to_owned());
        let current = self.certificate(face.cm, face.now, face.server, name);
        let current = current.and_then(|(certificate, _)| super::serial_of_pem(certificate));
        let mut issued = self.issued.get(&key).cloned().unwrap_or_default();
        let new = current.filter(|serial| !issued.serials.contains(serial));
        issued.serials.extend(new);
        issued.certificate = None;
        issued.at = Some(face.now);
        self.issued.insert(key, issued);
    }

    pub(super) fn certificate_statuses(&self, face: &Face<'_>) -> Response {
        let asked = face.request.query.split('&').find_map(|pair| pair.strip_prefix("state="));
        let asked = asked.filter(|state| ["requested", "signed", "revoked"].contains(state));
        let mut found: ByName<Value> = ByName::new();
        let names = self.names(face.server).into_iter().chain(face.cm.names_of(face.server));
        for name in names {
            if let Some(status) = self.status_of(face, &name)
                && asked
                    .is_none_or(|state| status.get("state").and_then(Value::as_str) == Some(state))
            {
                found.insert(name, status);
            }
        }
        let rows: Vec<_> = found.into_values().collect();
        Response::new(200, JSON, Value::from(rows).to_string())
    }

    /// The names that the CA knows by itself.
    pub(super) fn names(&self, server: &str) -> Vec<String> {
        let of_server = |(known, _): &&super::Name| known == server;
        let names = self.requests.keys().chain(self.issued.keys()).filter(of_server);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// "Revokes and removes."
    pub(super) fn clean(&mut self, face: &mut Face<'_>) -> Response {
        let Ok(body) = serde_json::from_slice::<Value>(&face.request.body) else {
            return text(400, "Request body is not JSON.");
        };
        if body.get("async") == Some(&Value::Bool(true)) {
            return text(400, "Async mode is not currently supported.");
        }
        let Some(names) = body.get("certnames").and_then(Value::as_array) else {
            return text(
                400,
                "Missing required key: 'certnames'. Please supply the list of certs you want to \
                 clean.",
            );
        };
        let mut missing = Vec::new();
        for name in names.iter().filter_map(Value::as_str) {
            if self.was_issued(face, name) {
                self.revoke_name(face, name);
                self.delete_certificate(face, name);
            } else {
                missing.push(format!("\"{name}\""));
            }
        }
        if missing.is_empty() {
            return text(200, "Successfully cleaned all certs.");
        }
        text(
            200,
            &format!(
                "The following certs do not exist and cannot be revoked: [{}]",
                missing.join(" ")
            ),
        )
    }

    pub(super) fn sign_some(&mut self, face: &mut Face<'_>) -> Response {
        let body: Value = serde_json::from_slice(&face.request.body).unwrap_or_default();
        let submitted = body.get("certnames").cloned().unwrap_or_default();
        if let Ok(names) = serde_json::from_value::<Vec<String>>(submitted.clone()) {
            return self.sign_all_of(face, &names);
        }
        let body = json!({
            "kind": "schema-violation", "submitted": submitted,
            "error": "(not (sequential? certnames))",
        });
        Response::new(422, JSON, body.to_string())
    }

    pub(super) fn sign_all(&mut self, face: &mut Face<'_>) -> Response {
        let of_server = |(known, _): &&super::Name| known == face.server;
        let names = self.requests.keys().filter(of_server);
        let names: Vec<_> = names.map(|(_, name)| name.clone()).collect();
        self.sign_all_of(face, &names)
    }

    fn sign_all_of(&mut self, face: &mut Face<'_>, names: &[String]) -> Response {
        let (mut signed, mut without, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            if !self.requests.contains_key(&(face.server.to_owned(), name.clone())) {
                without.push(name);
            } else if self.sign_pending(face, name, None).is_ok() {
                signed.push(name);
            } else {
                failed.push(name);
            }
        }
        let body = json!({ "signed": signed, "no-csr": without, "signing-errors": failed });
        Response::new(200, JSON, body.to_string())
    }

    /// What `certificate_status` tells of a name.
    pub(super) fn status_of(&self, face: &Face<'_>, name: &str) -> Option<Value> {
        let state = self.state(face.cm, face.now, face.server, name)?;
        let certificate = self.certificate(face.cm, face.now, face.server, name);
        let pending = self.requests.get(&(face.server.to_owned(), name.to_owned()));
        let pem = certificate.map(|(pem, _)| pem).or(pending.map(|it| it.csr.as_str()))?;
        let block = pem::parse(pem).ok()?;
        let der = block.contents();
        let mut names = crate::ca::Attributes::of_pem(pem).alternative_names;
        let mut status = Map::new();
        if certificate.is_some()
            && let Ok((_, it)) = X509Certificate::from_der(der)
        {
            let found = it.subject_alternative_name().ok().flatten();
            let found = found.map(|it| it.value.general_names.iter().map(crate::ca::shown_name));
            names = found.map(Iterator::collect).unwrap_or_default();
            status.insert("not_after".to_owned(), date(it.validity().not_after.to_datetime()));
            status.insert("not_before".to_owned(), date(it.validity().not_before.to_datetime()));
            let serial = it.tbs_certificate.serial.to_string();
            let serial = serde_json::from_str(&serial).unwrap_or_default();
            status.insert("serial_number".to_owned(), serial);
        }
        let dns: Vec<_> = names.iter().filter(|name| name.starts_with("DNS:")).collect();
        let sha256 = fingerprint(&SHA256, der);
        let more = json!({
            "name": name,
            "state": state,
            "dns_alt_names": dns,
            "subject_alt_names": names,
            "authorization_extensions": {},
            "fingerprint": sha256,
            "fingerprints": {
                "SHA1": fingerprint(&SHA1_FOR_LEGACY_USE_ONLY, der),
                "SHA256": sha256,
                "SHA512": fingerprint(&SHA512, der),
                "default": sha256,
            },
        });
        if let Value::Object(more) = more {
            status.extend(more);
        }
        Some(Value::Object(status))
    }
}

/// The body of `PUT certificate_status`: the state that is wanted, and a lifetime in seconds.
fn check_body(
    face: &Face<'_>,
    name: &str,
    read: Result<Value, serde_json::Error>,
) -> Result<(String, Option<u64>), Response> {
    let refused = |reason: &str| Err(text(400, reason));
    if face.request.body.is_empty() {
        return refused("Empty request body.");
    }
    let Ok(body) = read else { return refused("Request body is not JSON.") };
    let Some(state) = body.get("desired_state").and_then(Value::as_str) else {
        return refused("Missing required parameter \"desired_state\"");
    };
    if !["signed", "revoked"].contains(&state) {
        return refused(&format!(
            "State {state} invalid; Must specify desired state of 'signed' or 'revoked' for host \
             {name}."
        ));
    }
    let ttl = body.get("cert_ttl").unwrap_or(&Value::Null);
    if !ttl.is_null() && ttl.as_i64().is_none() {
        return refused(&format!(
            "cert_ttl specified for host {name} must be an integer, not \"{}\"",
            ttl.as_str().map_or_else(|| ttl.to_string(), str::to_owned)
        ));
    }
    let content = face.request.header("content-type").map(|it| it.split(';').next());
    let content = content.flatten().map(str::trim);
    if content.is_some_and(|it| ![JSON, "text/pson", "pson"].contains(&it)) {
        return Err(text(415, "Unsupported media type."));
    }
    Ok((state.to_owned(), ttl.as_u64()))
}

/// Upper-case digits in pairs.
pub(super) fn fingerprint(algorithm: &'static Algorithm, der: &[u8]) -> String {
    let bytes = digest(algorithm, der);
    let pairs: Vec<_> = bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
