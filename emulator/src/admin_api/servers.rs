//! What the admin API shows and changes of servers' own services: a Puppet server's CA, a Chef
//! server's clients.

use serde_json::{Value, json};

use super::change::member;
use super::{Answer, Problem};
use crate::control::{Autosign, CaPolicy, ClientKind, PuppetCa, PuppetFace};
use crate::shared::Shared;

/// Answers `GET`; none for other paths.
pub(super) fn show(parts: &[&str], shared: &Shared) -> Option<Answer> {
    let (mut control, now) = (shared.control(), shared.now());
    match parts {
        ["puppet-ca", server] => {
            let shown = control.with_puppet_ca(now, server, |ca, face| ca.show(face));
            Some(shown.ok_or_else(|| no_server("Puppet", server)))
        }
        ["chef", server, organization] => {
            let shown = control.with_chef(now, server, |chef, face| chef.show(face, organization));
            let unknown = || Problem::NotFound(format!("organization '{organization}'"));
            Some(match shown {
                None => Err(no_server("Chef", server)),
                Some(shown) => shown.ok_or_else(unknown),
            })
        }
        _ => None,
    }
}

/// Answers all other methods.
pub(super) fn change(method: &str, parts: &[&str], body: &Value, shared: &Shared) -> Answer {
    match (method, parts) {
        ("PUT", ["puppet-ca", server, "policy"]) => set_policy(server, body, shared),
        ("POST", ["puppet-ca", server, "sign"]) => {
            let name = text(body, "name")?;
            by_hand(server, shared, |ca, face| ca.sign_by_hand(face, &name))
        }
        ("POST", ["puppet-ca", server, word @ ("revoke" | "clean")]) => {
            let (name, clean) = (text(body, "name")?, *word == "clean");
            by_hand(server, shared, |ca, face| ca.revoke_by_hand(face, &name, clean))
        }
        ("POST", ["puppet-ca", server, "ca-client"]) => {
            let csr = text(body, "csr")?;
            let (mut control, now) = (shared.control(), shared.now());
            let made = control.with_puppet_ca(now, server, |ca, face| ca.ca_client(face, &csr));
            let made = made.ok_or_else(|| no_server("Puppet", server))?;
            Ok(json!({ "certificate": made.map_err(Problem::Conflict)? }))
        }
        ("POST", ["chef", server, organization, "validator"]) => {
            let (mut control, now) = (shared.control(), shared.now());
            let made = control
                .with_chef(now, server, |chef, face| chef.renew_validator(face, organization));
            let made = made.ok_or_else(|| no_server("Chef", server))?;
            let (name, private_key) = made.map_err(Problem::Invalid)?;
            Ok(json!({ "name": name, "private_key": private_key }))
        }
        ("PUT", ["chef", server, organization, "clients", name]) => {
            put_client((server, organization, name), body, shared)
        }
        ("DELETE", ["chef", server, organization, kind @ ("clients" | "nodes"), name]) => {
            let (mut control, now) = (shared.control(), shared.now());
            let done = control.with_chef(now, server, |chef, face| match *kind {
                "nodes" => chef.delete_node(face, organization, name),
                _ => chef.delete_client(face, organization, name),
            });
            let kind = kind.trim_end_matches('s');
            match done {
                None => Err(no_server("Chef", server)),
                Some(false) => Err(Problem::NotFound(format!("{kind} '{name}'"))),
                Some(true) => Ok(json!({})),
            }
        }
        ("POST" | "PUT" | "DELETE", _) => {
            Err(Problem::NotFound(format!("/_emulator/v1/{}", parts.join("/"))))
        }
        _ => Err(Problem::Method(method.to_owned())),
    }
}

/// The members that are there replace those of the policy.
fn set_policy(server: &str, body: &Value, shared: &Shared) -> Answer {
    let (mut control, now) = (shared.control(), shared.now());
    let mut policy = control.puppet_ca_mut().policy(server).clone();
    for (name, value) in body.as_object().into_iter().flatten() {
        change_policy(&mut policy, name, value)?;
    }
    let shown = control.with_puppet_ca(now, server, |ca, face| {
        ca.set_policy(face.server, policy);
        ca.show(face).get("policy").cloned().unwrap_or_default()
    });
    shown.ok_or_else(|| no_server("Puppet", server))
}

fn change_policy(policy: &mut CaPolicy, name: &str, value: &Value) -> Result<(), Problem> {
    let truth = || {
        let wrong = || Problem::Invalid(format!("{name} is neither true nor false: {value}"));
        value.as_bool().ok_or_else(wrong)
    };
    let seconds = || {
        let wrong = || Problem::Invalid(format!("{name} is no number of seconds: {value}"));
        value.as_u64().ok_or_else(wrong)
    };
    let moment = || {
        let wrong = || Problem::Invalid(format!("{name} is no number of seconds: {value}"));
        value.as_i64().ok_or_else(wrong)
    };
    match name {
        "autosign" => {
            let text = value.as_str().unwrap_or_default();
            policy.autosign = text.parse::<Autosign>().map_err(Problem::invalid)?;
        }
        "allow_subject_alt_names" => policy.allow_subject_alt_names = truth()?,
        "allow_authorization_extensions" => policy.allow_authorization_extensions = truth()?,
        "allow_duplicate_certs" => policy.allow_duplicate_certs = truth()?,
        "allow_auto_renewal" => policy.allow_auto_renewal = truth()?,
        "auto_renewal_ttl" => policy.auto_renewal_ttl = seconds()?,
        "ttl" => policy.ttl = seconds()?,
        "self_delete" => policy.self_delete = truth()?,
        "renewal_rule" => policy.renewal_rule = truth()?,
        "signed_none" => policy.signed_none = truth()?,
        "server_is_revoked" => policy.server_is_revoked = truth()?,
        "list_begins" => policy.list_begins = moment()?,
        "list_ends" => policy.list_ends = moment()?,
        "version" => value.as_str().unwrap_or_default().clone_into(&mut policy.version),
        _ => return Err(Problem::Invalid(format!("a policy has no '{name}'"))),
    }
    Ok(())
}

fn by_hand(
    server: &str,
    shared: &Shared,
    act: impl FnOnce(&mut PuppetCa, &mut PuppetFace<'_>) -> Result<(), String>,
) -> Answer {
    let (mut control, now) = (shared.control(), shared.now());
    let done = control.with_puppet_ca(now, server, act);
    let done = done.ok_or_else(|| no_server("Puppet", server))?;
    done.map(|()| json!({})).map_err(Problem::Conflict)
}

fn put_client(place: (&str, &str, &str), body: &Value, shared: &Shared) -> Answer {
    let public_key = text(body, "public_key")?;
    let is = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(false);
    let kind = match (is("validator"), is("admin")) {
        (true, true) => {
            return Err(Problem::Invalid("a validator is no administrator".to_owned()));
        }
        (true, false) => ClientKind::Validator,
        (false, true) => ClientKind::Admin,
        (false, false) => ClientKind::Plain,
    };
    let (mut control, now) = (shared.control(), shared.now());
    let (server, organization, _) = place;
    let known = control.with_chef(now, server, |chef, face| chef.show(face, organization));
    match known {
        None => return Err(no_server("Chef", server)),
        Some(None) => return Err(Problem::NotFound(format!("organization '{organization}'"))),
        Some(Some(_)) => {}
    }
    let done = control.chef_mut().put_client(place, kind, &public_key);
    done.map(|()| json!({})).map_err(Problem::Invalid)
}

fn text(body: &Value, name: &str) -> Result<String, Problem> {
    let wrong = || Problem::Invalid(format!("'{name}' is no text"));
    member(body, name)?.as_str().map(str::to_owned).ok_or_else(wrong)
}

fn no_server(engine: &str, name: &str) -> Problem {
    Problem::NotFound(format!("{engine} server '{name}'"))
}
