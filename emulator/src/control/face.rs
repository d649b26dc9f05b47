//! What answers at servers' endpoints: requests over TLS, to services that are not AWS's.

use serde_json::{Value, json};

use super::call::Answered;
use super::fault::FaultKind;
use super::opsworks_cm::{Departed, Engine, OpsWorksCm, Outcome};
use super::{ControlPlane, Family, chef, puppet_ca};
use crate::ca::{Attributes, Refusal, ServerIdentity};
use crate::http::{Connection, Request, Response};
use crate::now::Now;

/// States in which no machine is there to answer.
const DOWN: [&str; 5] = ["CREATING", "DELETING", "FAILED", "RESTORING", "TERMINATED"];

/// What a server shows when a connection begins.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The server's name in the account.
    pub server: String,
    /// The names and addresses that its certificate is for.
    pub names: Vec<String>,
    /// Another text whenever the CA or the number of revoked certificates is another.
    pub version: String,
}

impl ControlPlane {
    /// The server that is meant by a name in a connection's beginning; none when none answers.
    pub fn greet(&mut self, now: Now, family: Family, name: Option<&str>) -> Option<Greeting> {
        self.settle(now);
        let server = self.opsworks_cm.server_at(engine(family), name)?;
        if DOWN.contains(&server.status(now)) {
            return None;
        }
        let local = format!("{}.localhost", server.name.to_ascii_lowercase());
        let names = [&server.endpoint, &local, "localhost", "127.0.0.1", "::1"];
        let mut names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        names.dedup();
        let server = server.name.clone();
        let bundle = self.authority.bundle();
        let revoked = self.puppet_ca.revocation_count(&server);
        let version = format!("{} {revoked}", crate::hex::sha256(bundle.as_bytes()));
        Some(Greeting { server, names, version })
    }

    /// What AWS's APIs show over TLS. No server of the account has an empty name.
    pub fn greet_api(&mut self) -> Greeting {
        let names = ["localhost", "127.0.0.1", "::1", "sts.amazonaws.com"];
        let sts = format!("sts.{}.amazonaws.com", self.sts.region);
        let names = names.into_iter().map(str::to_owned).chain([sts]).collect();
        let version = crate::hex::sha256(self.authority.bundle().as_bytes());
        Greeting { server: String::new(), names, version }
    }

    /// The revocation lists of a server's CA, in PEM.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn revocation_list(&self, server: &str) -> Result<String, Refusal> {
        let (revoked, times) = self.puppet_ca.revocations(server, self.authority.bundle());
        self.authority.revocation_list(&revoked, times)
    }

    /// A key and certificate for this server, at these names.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn server_identity(
        &mut self,
        now: Now,
        server: &str,
        names: &[String],
    ) -> Result<ServerIdentity, Refusal> {
        let identity = self.authority.server(now, names)?;
        self.puppet_ca.note_shown(server, identity.chain.first().map_or(&[], Vec::as_slice));
        Ok(identity)
    }

    /// Answers one request at a server's endpoint.
    pub fn handle_at(
        &mut self,
        now: Now,
        family: Family,
        connection: &Connection,
        request: &Request,
    ) -> Response {
        self.settle(now);
        let action = family.action(request);
        let fault = action.and_then(|action| self.faults.take(family, action));
        let instead = fault.and_then(|fault| instead(family, fault, request));
        let response = instead.unwrap_or_else(|| {
            let delivery = fault.map(FaultKind::delivery).unwrap_or_default();
            let answered = self.answer_at(now, family, connection, request, fault);
            Response { delivery, ..answered }
        });
        let request_id = self.random.uuid();
        let body = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        self.calls.push(Answered {
            now,
            family: Some(family),
            action: action.unwrap_or(&request.path),
            request_id,
            request_bytes: request.body.len(),
            request: body(&request.body).map(|text| without_secrets(&text)),
            answer: body(&response.body).map(|text| without_secrets(&text)),
            fault,
            response: &response,
        });
        response
    }

    fn answer_at(
        &mut self,
        now: Now,
        family: Family,
        connection: &Connection,
        request: &Request,
        fault: Option<FaultKind>,
    ) -> Response {
        let Self { random, authority, opsworks_cm: cm, puppet_ca, chef, .. } = self;
        let server = connection.server.as_str();
        if family == Family::Chef {
            let mut face = chef::Face { now, server, request, authority: &mut **authority, cm };
            return chef.handle(&mut face);
        }
        let mut face = puppet_ca::Face {
            now,
            fault,
            server,
            connection,
            request,
            random,
            authority: &mut **authority,
            cm,
        };
        puppet_ca.handle(&mut face)
    }

    /// What people and tests do with a server's CA. None when there is no such Puppet server.
    pub(crate) fn with_puppet_ca<T>(
        &mut self,
        now: Now,
        server: &str,
        act: impl FnOnce(&mut puppet_ca::PuppetCa, &mut puppet_ca::Face<'_>) -> T,
    ) -> Option<T> {
        self.settle(now);
        let Self { random, authority, opsworks_cm: cm, puppet_ca, .. } = self;
        if !has_server(cm, Engine::Puppet, server) {
            return None;
        }
        let (connection, request) = (Connection::default(), Request::default());
        let mut face = puppet_ca::Face {
            now,
            fault: None,
            server,
            connection: &connection,
            request: &request,
            random,
            authority: &mut **authority,
            cm,
        };
        Some(act(puppet_ca, &mut face))
    }

    /// The clients and nodes of all Chef servers.
    #[must_use]
    pub fn chef_state(&self) -> Value {
        self.chef.state()
    }

    /// Deletes a client or a node object as an administrator of a Chef server does. `kind` is `clients`
    /// or `nodes`. False when there is none.
    pub fn delete_of_chef(
        &mut self,
        now: Now,
        server: &str,
        organization: &str,
        kind: &str,
        name: &str,
    ) -> bool {
        let done = self.with_chef(now, server, |chef, face| match kind {
            "nodes" => chef.delete_node(face, organization, name),
            _ => chef.delete_client(face, organization, name),
        });
        done == Some(true)
    }

    /// What people and tests do with a Chef server. None when there is no such one.
    pub(crate) fn with_chef<T>(
        &mut self,
        now: Now,
        server: &str,
        act: impl FnOnce(&mut chef::Chef, &mut chef::Face<'_>) -> T,
    ) -> Option<T> {
        self.settle(now);
        let Self { authority, opsworks_cm: cm, chef, .. } = self;
        if !has_server(cm, Engine::Chef, server) {
            return None;
        }
        let request = Request::default();
        let mut face =
            chef::Face { now, server, request: &request, authority: &mut **authority, cm };
        Some(act(chef, &mut face))
    }

    /// Signs a request that waits at a Puppet server, as a person does.
    ///
    /// # Errors
    /// Why it cannot be signed.
    pub fn sign_request(&mut self, now: Now, server: &str, name: &str) -> Result<(), String> {
        let done = self.with_puppet_ca(now, server, |ca, face| ca.sign_by_hand(face, name));
        done.unwrap_or_else(|| Err(format!("there is no Puppet server '{server}'")))
    }

    /// Revokes what a Puppet server issued under a name; with `clean`, it is removed as well.
    ///
    /// # Errors
    /// When the CA does not know the name.
    pub fn revoke_certificate(
        &mut self,
        now: Now,
        server: &str,
        name: &str,
        clean: bool,
    ) -> Result<(), String> {
        let done =
            self.with_puppet_ca(now, server, |ca, face| ca.revoke_by_hand(face, name, clean));
        done.unwrap_or_else(|| Err(format!("there is no Puppet server '{server}'")))
    }

    /// The CAs of Puppet servers.
    #[must_use]
    pub fn puppet_ca(&self) -> &puppet_ca::PuppetCa {
        &self.puppet_ca
    }

    /// The CAs of Puppet servers, to change them.
    pub fn puppet_ca_mut(&mut self) -> &mut puppet_ca::PuppetCa {
        &mut self.puppet_ca
    }

    /// The Chef servers, to change them.
    pub fn chef_mut(&mut self) -> &mut chef::Chef {
        &mut self.chef
    }

    /// Tells what runs on the servers of what has gone in the account.
    pub(super) fn settle_faces(&mut self) {
        let Departed { nodes, servers } = self.opsworks_cm.take_departed();
        for (server, node, association, at) in nodes {
            if let Outcome::Joined { certificate: Some(certificate) } = &*association.outcome {
                self.puppet_ca.revoke(&server, &node, certificate, at);
            }
            self.chef.forget_associated(&server, &node);
        }
        for server in servers {
            self.puppet_ca.forget_server(&server);
            self.chef.forget_server(&server);
        }
    }
}

fn engine(family: Family) -> Engine {
    if family == Family::Chef { Engine::Chef } else { Engine::Puppet }
}

fn has_server(cm: &OpsWorksCm, engine: Engine, name: &str) -> bool {
    cm.servers().get(name).is_some_and(|server| server.engine == engine)
}

/// The text as JSON, with secrets left out; other text as a JSON string. A request for a certificate
/// is left out when it has a password.
fn without_secrets(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => super::secret::left_out(value).to_string(),
        Err(_) if Attributes::of_pem(text).challenge_password.is_some() => {
            Value::from("(left out)").to_string()
        }
        Err(_) => Value::from(text).to_string(),
    }
}

/// The answer that a fault gives in place of the service's.
fn instead(family: Family, fault: FaultKind, request: &Request) -> Option<Response> {
    let say = |status: u16, text: &str| {
        let mut response = match family {
            Family::Chef => {
                let body = json!({ "error": [text] }).to_string();
                Response::new(status, "application/json", body)
            }
            _ => Response::new(status, "text/plain", text),
        };
        response.error = Some(text.to_owned());
        response
    };
    let path = &request.path;
    Some(match fault {
        FaultKind::Throttle => say(429, "Too Many Requests").with_header("retry-after", "1"),
        FaultKind::InternalFailure => say(500, "Internal Server Error"),
        FaultKind::Unavailable => say(503, "Service Unavailable").with_header("retry-after", "1"),
        FaultKind::Denied if family == Family::Chef => say(403, "missing create permission"),
        FaultKind::Denied => puppet_ca::forbidden(request),
        FaultKind::LostBefore => Response::dropped(),
        FaultKind::Html => Response::html(200),
        FaultKind::HtmlForbidden => Response::html(403),
        FaultKind::Garbage => Response::new(200, "text/plain", "\u{7f}ELF-----BEGIN"),
        FaultKind::Redirect => Response::new(301, "text/plain", "")
            .with_header("location", format!("https://elsewhere.invalid{path}")),
        _ => return None,
    })
}
