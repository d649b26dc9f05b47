//! The engine attributes of CreateServer, and what it answers once.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::*;
use crate::{Outcome, openssl};

fn attributes(plane: &mut ControlPlane, engine: &str, given: &Value) -> Value {
    let members = json!({ "Engine": engine, "EngineAttributes": given });
    let body = with(&new_server("web"), &members);
    ok(plane, 0, "CreateServer", &body)["Server"]["EngineAttributes"].clone()
}

fn names(list: &Value) -> Vec<&str> {
    let rows = list.as_array().into_iter().flatten();
    rows.map(|attribute| attribute["Name"].as_str().unwrap_or_default()).collect()
}

#[test]
fn when_no_chef_pivotal_key_is_set_a_private_key_is_generated_and_returned() -> Outcome {
    let mut plane = signing_plane()?;
    let made = attributes(&mut plane, "Chef", &json!([]));
    assert_eq!(
        names(&made),
        ["CHEF_PIVOTAL_KEY", "CHEF_STARTER_KIT", "CHEF_DELIVERY_ADMIN_PASSWORD"]
    );
    let key = attribute(&made, "CHEF_PIVOTAL_KEY").ok_or("no key")?;
    let key = String::from_utf8(BASE64_STANDARD.decode(key)?)?;
    let public = openssl::public_key("rsa", &key)?;
    let der = pem::parse(public)?.into_contents();
    let known = plane.opsworks_cm().servers()["web"].pivotal_key.clone();
    assert_eq!(known, Some(der), "the server knows the public key that belongs to it");
    let state = plane.state(START).to_string();
    assert!(!state.contains("PRIVATE"), "it is not stored");
    Ok(())
}

#[test]
fn a_chef_pivotal_key_is_a_base64_encoded_rsa_public_key() -> Outcome {
    let public = openssl::public_key("rsa", openssl::key(0))?;
    let der = pem::parse(&public)?.into_contents();
    for given in [BASE64_STANDARD.encode(&public), BASE64_STANDARD.encode(&der), public.clone()] {
        let mut plane = signing_plane()?;
        let made = attributes(&mut plane, "Chef", &one("CHEF_PIVOTAL_KEY", &given));
        assert_eq!(names(&made), ["CHEF_STARTER_KIT", "CHEF_DELIVERY_ADMIN_PASSWORD"]);
        assert_eq!(plane.opsworks_cm().servers()["web"].pivotal_key.as_ref(), Some(&der));
    }
    let curve = openssl::run("/".as_ref(), &["ecparam", "-name", "prime256v1", "-genkey"], "")?;
    let curve = openssl::run("/".as_ref(), &["ec", "-pubout"], &curve)?;
    for given in
        ["", "?", "eA==", openssl::key(0), &BASE64_STANDARD.encode(openssl::key(0)), &curve]
    {
        refused("Chef", "CHEF_PIVOTAL_KEY", given);
    }
    Ok(())
}

fn refused(engine: &str, name: &str, value: &str) {
    let members = json!({ "Engine": engine, "EngineAttributes": one(name, value) });
    let body = with(&new_server("web"), &members);
    let response = call(&mut plane(), START, "CreateServer", &body);
    let (error, message) = verdict(&response);
    assert_eq!(error, "ValidationException", "{name}={value}");
    assert!(value.len() < 8 || !message.contains(value), "a secret is not repeated: {message}");
}

#[test]
fn the_password_length_is_a_minimum_of_eight_characters_and_a_maximum_of_32() -> Outcome {
    let name = "CHEF_DELIVERY_ADMIN_PASSWORD";
    for password in ["aA1!xxxx", &format!("aA1!{}", "x".repeat(28)), "Zz9/@#$%^&+=_!"] {
        let made = attributes(&mut signing_plane()?, "Chef", &one(name, password));
        assert_eq!(names(&made), ["CHEF_PIVOTAL_KEY", "CHEF_STARTER_KIT"], "it is not told again");
    }
    for password in [
        "",
        "aA1!xxx",
        &format!("aA1!{}", "x".repeat(29)),
        "aA1xxxxxx",
        "aA!xxxxxx",
        "a1!xxxxxx",
        "A1!XXXXXX",
        "aA1!xxxx xx",
        "aA1!xxxx*",
        "aA1!xxxxé",
        "aA1!xxxx\n",
    ] {
        refused("Chef", name, password);
    }
    Ok(())
}

#[test]
fn when_no_password_is_set_one_is_generated_by_the_same_rules() -> Outcome {
    let mut plane = signing_plane()?;
    let made = attributes(&mut plane, "Chef", &json!([]));
    let password = attribute(&made, "CHEF_DELIVERY_ADMIN_PASSWORD").ok_or("no password")?;
    let again = one("CHEF_DELIVERY_ADMIN_PASSWORD", &password);
    let mut other = signing_plane()?;
    assert!(names(&attributes(&mut other, "Chef", &again)).contains(&"CHEF_STARTER_KIT"));
    Ok(())
}

#[test]
fn attributes_returned_for_puppet_are_a_starter_kit_and_an_administrator_password() -> Outcome {
    let made = attributes(&mut signing_plane()?, "Puppet", &json!([]));
    assert_eq!(names(&made), ["PUPPET_STARTER_KIT", "PUPPET_ADMIN_PASSWORD"]);
    let given = one("PUPPET_ADMIN_PASSWORD", "a password");
    let made = attributes(&mut signing_plane()?, "Puppet", &given);
    assert_eq!(attribute(&made, "PUPPET_ADMIN_PASSWORD").as_deref(), Some("a password"));
    Ok(())
}

#[test]
fn attributes_accepted_for_puppet_have_their_forms() -> Outcome {
    for password in ["", "passwörd-passwörd", "pass\tword", "password\n"] {
        refused("Puppet", "PUPPET_ADMIN_PASSWORD", password);
    }
    let remotes =
        ["ssh://git@your.git-repo.com:user/control-repo.git", "https://h/r", "git@h:user/r.git"];
    for remote in remotes {
        attributes(&mut signing_plane()?, "Puppet", &one("PUPPET_R10K_REMOTE", remote));
    }
    for remote in ["", "control-repo", "ftp://h/r", "ssh://", "ssh://h/a b", "https://h/r\n"] {
        refused("Puppet", "PUPPET_R10K_REMOTE", remote);
    }
    let key = one("PUPPET_R10K_PRIVATE_KEY", openssl::key(0));
    attributes(&mut signing_plane()?, "Puppet", &key);
    let public = openssl::public_key("rsa", openssl::key(0))?;
    for key in ["", "key", &public] {
        refused("Puppet", "PUPPET_R10K_PRIVATE_KEY", key);
    }
    Ok(())
}

#[test]
fn attributes_of_the_other_engine_and_unknown_ones_are_refused() {
    for (engine, name) in [
        ("Puppet", "CHEF_PIVOTAL_KEY"),
        ("Puppet", "CHEF_DELIVERY_ADMIN_PASSWORD"),
        ("Chef", "PUPPET_ADMIN_PASSWORD"),
        ("Chef", "PUPPET_R10K_REMOTE"),
        ("Chef", "CHEF_STARTER_KIT"),
        ("Chef", "X"),
        ("Chef", ""),
    ] {
        refused(engine, name, "short");
    }
    let twice = [one("PUPPET_ADMIN_PASSWORD", "a"), one("PUPPET_ADMIN_PASSWORD", "b")];
    let twice = json!([twice[0][0], twice[1][0]]);
    let body = with(&new_server("web"), &json!({ "Engine": "Puppet", "EngineAttributes": twice }));
    assert_eq!(error(&mut plane(), 0, "CreateServer", &body), "ValidationException");
}

/// "These credentials are not stored by AWS OpsWorks CM; they are returned only as part of the
/// result of `createServer()`."
#[test]
fn credentials_are_told_once() -> Outcome {
    let mut plane = signing_plane()?;
    for (name, engine) in [("a", "Chef"), ("b", "Puppet")] {
        let body = with(&new_server(name), &json!({ "Engine": engine }));
        ok(&mut plane, 0, "CreateServer", &body);
        let shown = server(&mut plane, 10, name)["EngineAttributes"].clone();
        let only_ca = if engine == "Puppet" { &["PUPPET_API_CA_CERT"][..] } else { &[] };
        assert_eq!(names(&shown), only_ca);
    }
    let calls = serde_json::to_string(&plane.calls())?;
    assert!(!calls.contains("UEsDB"), "no ZIP file is kept");
    assert_eq!(calls.matches("(left out)").count(), 5, "three of Chef, two of Puppet");
    Ok(())
}
