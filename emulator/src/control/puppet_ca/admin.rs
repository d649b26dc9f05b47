//! What people and tests may see and change of a server's CA while it runs.

use serde_json::{Value, json};

use super::access::{CLI_AUTH, TRUE};
use super::{CaPolicy, Face, Issued, PuppetCa, already};
use crate::ca::{Csr, CsrExtension, PUPPET_ARC};
use crate::control::opsworks_cm::OpsWorksCm;
use crate::control::table::Kept;
use crate::now::Now;

impl PuppetCa {
    /// What is written down, by its name.
    pub(in crate::control) fn tables(&mut self) -> Vec<(&'static str, &mut dyn Kept)> {
        vec![
            ("puppet_policies", &mut self.policies),
            ("puppet_requests", &mut self.requests),
            ("puppet_certificates", &mut self.issued),
            ("puppet_revoked", &mut self.revoked),
        ]
    }

    /// How a server's CA behaves.
    #[must_use]
    pub fn policy(&self, server: &str) -> &CaPolicy {
        self.policy_of(server)
    }

    /// Sets how a server's CA behaves from here on.
    pub fn set_policy(&mut self, server: &str, policy: CaPolicy) {
        self.policies.insert(server.to_owned(), policy);
    }

    /// The names whose requests wait at a server, with the request in PEM.
    pub fn requests(&self, server: &str) -> impl Iterator<Item = (&str, &str)> {
        let of_server = self.requests.iter().filter(move |((known, _), _)| known == server);
        of_server.map(|((_, name), pending)| (name.as_str(), pending.csr.as_str()))
    }

    /// The names that a server issued certificates under: the certificate in PEM, unless it was
    /// deleted, and the serial numbers of all that were issued.
    pub fn issued(&self, server: &str) -> impl Iterator<Item = (&str, Option<&str>, &[String])> {
        let of_server = self.issued.iter().filter(move |((known, _), _)| known == server);
        of_server.map(|((_, name), it)| (name.as_str(), it.certificate.as_deref(), &*it.serials))
    }

    /// Requests and certificates as JSON. Certificates of associations are those rows' own.
    pub(in crate::control) fn state_json(&self, cm: &OpsWorksCm, now: Now) -> Value {
        let requests = self.requests.iter().map(|((server, name), pending)| {
            json!({ "server": server, "name": name, "csr": pending.csr, "at": pending.at.rfc3339() })
        });
        let issued = self.issued.iter().map(|((server, name), it)| {
            let Issued { certificate, serials, .. } = it;
            let state = self.state(cm, now, server, name);
            json!({
                "server": server, "name": name, "state": state, "certificate": certificate,
                "serials": serials,
            })
        });
        json!({
            "puppet_requests": requests.collect::<Vec<_>>(),
            "puppet_certificates": issued.collect::<Vec<_>>(),
        })
    }

    /// What the admin API shows of a server's CA.
    pub(crate) fn show(&self, face: &Face<'_>) -> Value {
        let policy = self.policy_of(face.server);
        let mut names = self.names(face.server);
        names.extend(face.cm.names_of(face.server));
        names.sort();
        names.dedup();
        let rows = names.iter().filter_map(|name| self.status_of(face, name));
        json!({
            "server": face.server,
            "policy": {
                "autosign": policy.autosign.name(),
                "allow_subject_alt_names": policy.allow_subject_alt_names,
                "allow_authorization_extensions": policy.allow_authorization_extensions,
                "allow_duplicate_certs": policy.allow_duplicate_certs,
                "allow_auto_renewal": policy.allow_auto_renewal,
                "auto_renewal_ttl": policy.auto_renewal_ttl,
                "ttl": policy.ttl,
                "self_delete": policy.self_delete,
                "renewal_rule": policy.renewal_rule,
                "version": policy.version,
                "signed_none": policy.signed_none,
                "server_is_revoked": policy.server_is_revoked,
                "list_begins": policy.list_begins,
                "list_ends": policy.list_ends,
            },
            "certificates": rows.collect::<Vec<_>>(),
        })
    }

    /// Signs a request that waits.
    pub(crate) fn sign_by_hand(&mut self, face: &mut Face<'_>, name: &str) -> Result<(), String> {
        self.sign_pending(face, name, None)
    }

    /// Revokes what was issued under a name; with `clean`, it is removed as well.
    pub(crate) fn revoke_by_hand(
        &mut self,
        face: &Face<'_>,
        name: &str,
        clean: bool,
    ) -> Result<(), String> {
        if self.state(face.cm, face.now, face.server, name).is_none() {
            return Err(format!("the CA of {} knows no '{name}'", face.server));
        }
        self.revoke_name(face, name);
        if clean {
            self.delete_certificate(face, name);
            self.requests.remove(&(face.server.to_owned(), name.to_owned()));
        }
        Ok(())
    }

    /// A certificate of the CA's own tools, for a request in PEM: `puppetserver ca generate
    /// --ca-client` makes such a one.
    pub(crate) fn ca_client(&mut self, face: &mut Face<'_>, csr: &str) -> Result<String, String> {
        let mut csr = face.authority.read(csr).map_err(|error| error.to_string())?;
        let name = csr.common_name.clone().unwrap_or_default();
        if let Some(state) = self.state(face.cm, face.now, face.server, &name) {
            return Err(already(&name, state));
        }
        let oid = PUPPET_ARC.into_iter().chain(CLI_AUTH).collect();
        csr.extensions.push(CsrExtension { oid, value: TRUE.to_vec(), dns_names: None });
        let lifetime = self.policy_of(face.server).lifetime();
        let csr = Csr { proven: true, ..csr };
        self.issue(face, &name, &csr, lifetime)
    }

    /// How many certificates of a server are revoked.
    pub(in crate::control) fn revocation_count(&self, server: &str) -> usize {
        self.revoked.keys().filter(|(known, _)| known == server).count()
    }

    /// Notes the certificate that a server shows.
    pub(in crate::control) fn note_shown(&mut self, server: &str, certificate: &[u8]) {
        let serial = super::serial_of(certificate).unwrap_or_default();
        self.shown.insert(server.to_owned(), serial);
    }
}
