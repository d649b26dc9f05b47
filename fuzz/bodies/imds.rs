//! Answers of the metadata service. The input consists of parts: `> PATH STATUS` and the body. Any other
//! path is answered with 404.

use enlist::engines::puppet::{Puppet, csr};
use enlist::fault::Kind;
use enlist::host::{Environment, HttpClients, imds};
use enlist::pki::{name, oid};
use enlist::targets::name::default_name;

use super::wire::{Wire, machine, parts};
use super::world::{facts, settings, site};

pub fn run(data: &[u8]) {
    let wire = Wire::default();
    wire.serve(parts(data));
    let api = Wire::default().connector();
    let net = HttpClients::with_connectors(&Environment::default(), api, wire.connector());
    let machine = machine();
    let answer = machine.runtime.block_on(imds::ask(&machine.root, &net));
    let asked = wire.take_asked();
    assert!(asked.len() <= 60, "{} requests", asked.len());
    for request in &asked {
        assert!(request.uri.starts_with("http://169.254.169.254/latest/"), "{request:?}");
        let is_token = request.uri.ends_with("/latest/api/token");
        assert_eq!(request.method == "PUT", is_token, "{request:?}");
        assert!(is_token || request.token.is_some(), "version 1 was asked: {request:?}");
    }
    let ec2 = match answer {
        Ok(Some(ec2)) => ec2,
        Ok(None) => return,
        Err(fault) => {
            assert!(fault.kind.is_retried() || fault.kind == Kind::Config, "{fault:?}");
            return;
        }
    };
    let document: serde_json::Value = serde_json::from_str(&ec2.identity.document).unwrap();
    assert_eq!(document["instanceId"].as_str(), Some(ec2.instance_id.as_str()));
    if let Some(region) = &ec2.region {
        // It becomes part of the host name of signed requests.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!region.is_empty() && region.chars().all(plain), "{region:?}");
    }
    assert!(ec2.tags.len() <= 50);
    let mut facts = facts();
    facts.ec2 = Some(ec2);
    serde_json::to_string(&facts).unwrap();
    let own = default_name(&facts).unwrap();
    if name::check_certname(&own).is_ok() {
        assert!(!own.contains('/') && !own.starts_with('.'), "it becomes a file's name: {own:?}");
    }
    for prefix in ["pp_", "1."] {
        requested(&facts, prefix, &own);
    }
}

/// Instance tags can't request authorization extensions.
fn requested(facts: &enlist::facts::Facts, prefix: &str, own: &str) {
    let puppet = settings("[opsworks-cm]\nserver = \"p\"\n").engines.puppet;
    let puppet = Puppet { tag_prefix: prefix.to_owned(), ..puppet };
    let Ok(plan) = csr::csr(&puppet, facts, &site(), own, true) else { panic!("no request") };
    let authorization = oid::arcs(oid::AUTHORIZATION_ARC).unwrap();
    for (dotted, value) in &plan.spec.extensions {
        let arcs = oid::arcs(dotted).unwrap();
        assert!(!arcs.starts_with(&authorization), "{dotted} = {value:?}");
    }
}
