//! What takes a client's certificate: renewal, leaving, and the CA's own tools.

use enlist_emulator::Emulator;
use enlist_emulator::control::CaPolicy;
use serde_json::{Value, json};

use super::Outcome;
use super::curl::{Answer, Curl};
use super::openssl;
use super::puppet_ca::{admin, autosigning, curl, emulator};

const STATUS: &str = "/puppet-ca/v1/certificate_status/";

/// A client whose certificate the CA has just signed.
fn node(emulator: &Emulator, name: &str) -> Result<Curl, Box<dyn std::error::Error>> {
    let curl = curl(emulator)?;
    let csr = openssl::request(name, &[])?;
    let put = curl.put(&format!("/puppet-ca/v1/certificate_request/{name}"), &csr)?;
    assert_eq!(put.status, 200, "{}", put.body);
    let certificate = curl.get(&format!("/puppet-ca/v1/certificate/{name}"))?.body;
    Ok(curl.with_client(&certificate, openssl::key(0))?)
}

/// A client with a certificate of the CA's own tools.
fn tool(emulator: &Emulator) -> Result<Curl, Box<dyn std::error::Error>> {
    let csr = openssl::request("admin.example", &[])?;
    let made = admin(emulator, "POST", "/ca-client", &json!({ "csr": csr }))?.json();
    let certificate = made["certificate"].as_str().ok_or("no certificate")?;
    Ok(curl(emulator)?.with_client(certificate, openssl::key(0))?)
}

fn send(
    curl: &Curl,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Box<dyn std::error::Error>> {
    curl.send(method, path, &["content-type: application/json"], &body.to_string())
}

fn serial(certificate: &str) -> Result<String, Box<dyn std::error::Error>> {
    openssl::run("/".as_ref(), &["x509", "-noout", "-serial"], certificate)
}

const RENEWAL: &str = "/puppet-ca/v1/certificate_renewal";

#[test]
fn a_certificate_is_renewed_where_that_is_on() -> Outcome {
    let forbidden = format!(
        "Forbidden request: {RENEWAL} (method :post). Please see the server logs for details."
    );
    let emulator = emulator(autosigning())?;
    let anybody = curl(&emulator)?.send("POST", RENEWAL, &[], "")?;
    assert_eq!((anybody.status, anybody.body.as_str()), (403, forbidden.as_str()));
    let node = node(&emulator, "web")?;
    let off = node.send("POST", RENEWAL, &[], "")?;
    assert_eq!((off.status, off.body.as_str()), (404, "Not Found"));
    let rule = json!({ "renewal_rule": false, "allow_auto_renewal": true, "auto_renewal_ttl": 60 });
    assert_eq!(admin(&emulator, "PUT", "/policy", &rule)?.status, 200);
    let old = node.send("POST", RENEWAL, &[], "")?;
    assert_eq!((old.status, old.body.as_str()), (403, forbidden.as_str()));
    admin(&emulator, "PUT", "/policy", &json!({ "renewal_rule": true }))?;

    let before = node.get("/puppet-ca/v1/certificate/web")?.body;
    let renewed = node.send("POST", RENEWAL, &[], "")?;
    assert_eq!((renewed.status, renewed.header("content-type")), (200, Some("text/plain")));
    assert!(openssl::verify(&emulator.ca_bundle(), &renewed.body)?.contains("OK"));
    assert_eq!(openssl::public_key("x509", &renewed.body)?, openssl::public_key("x509", &before)?);
    assert_ne!(serial(&renewed.body)?, serial(&before)?);
    assert!(openssl::text(&renewed.body)?.contains("DNS:web"), "the extensions are the same");
    assert_eq!(node.get("/puppet-ca/v1/certificate/web")?.body, renewed.body);
    let end = ["x509", "-noout", "-checkend", "120"];
    assert!(openssl::run("/".as_ref(), &end, &renewed.body).is_err(), "of a minute");
    Ok(())
}

/// An expired certificate does not get through TLS: by the emulator's clock.
#[test]
fn an_expired_certificate_cannot_be_renewed() -> Outcome {
    let policy = CaPolicy { ttl: 60, allow_auto_renewal: true, ..autosigning() };
    let emulator = emulator(policy)?;
    let node = node(&emulator, "web")?;
    assert_eq!(node.send("POST", RENEWAL, &[], "")?.status, 200);
    let json_type = [("content-type".to_owned(), "application/json".to_owned())];
    let clock = json!({ "advance_seconds": 120 }).to_string();
    super::client::send(emulator.api_url(), "PUT", "/_emulator/v1/clock", &json_type, &clock)?;
    assert!(node.send("POST", RENEWAL, &[], "").is_err());
    Ok(())
}

#[test]
fn a_node_leaves_by_itself_only_where_a_rule_lets_it() -> Outcome {
    let emulator = emulator(autosigning())?;
    let node = node(&emulator, "web")?;
    let path = format!("{STATUS}web");
    let refused = node.send("DELETE", &path, &[], "")?;
    assert_eq!(
        (refused.status, refused.body),
        (
            403,
            format!(
                "Forbidden request: {path} (method :delete). Please see the server logs for details."
            )
        )
    );
    admin(&emulator, "PUT", "/policy", &json!({ "self_delete": true }))?;
    let revoke = send(&node, "PUT", &path, &json!({ "desired_state": "revoked" }))?;
    assert_eq!(revoke.status, 403, "the rule in the wild covers only DELETE");
    assert_eq!(node.send("DELETE", &format!("{STATUS}other"), &[], "")?.status, 403);
    assert_eq!(node.send("DELETE", &path, &[], "")?.status, 204);
    assert_eq!(node.get("/puppet-ca/v1/certificate/web")?.status, 404);
    assert_eq!(node.send("DELETE", &path, &[], "")?.status, 204, "the inventory knows it still");
    Ok(())
}

#[test]
fn the_cas_tools_see_sign_revoke_and_clean() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let (tool, anybody) = (tool(&emulator)?, curl(&emulator)?);
    let csr = openssl::request("web", &[])?;
    let request = "/puppet-ca/v1/certificate_request/web";
    assert_eq!(anybody.put(request, &csr)?.status, 200);
    let path = format!("{STATUS}web");
    assert_eq!(anybody.get(&path)?.status, 403);
    let status = tool.get(&path)?.json();
    assert_eq!((&status["name"], &status["state"]), (&json!("web"), &json!("requested")));
    assert_eq!(status["fingerprint"].as_str().map(str::len), Some(95));

    for (body, code, text) in [
        (String::new(), 400, "Empty request body."),
        ("{".to_owned(), 400, "Request body is not JSON."),
        ("{}".to_owned(), 400, "Missing required parameter \"desired_state\""),
        (
            json!({ "desired_state": "x" }).to_string(),
            400,
            "State x invalid; Must specify desired state of 'signed' or 'revoked' for host web.",
        ),
        (
            json!({ "desired_state": "signed", "cert_ttl": "1d" }).to_string(),
            400,
            "cert_ttl specified for host web must be an integer, not \"1d\"",
        ),
        (
            json!({ "desired_state": "revoked" }).to_string(),
            409,
            "Cannot revoke certificate for host web without a signed certificate",
        ),
        (json!({ "desired_state": "signed", "cert_ttl": 3600 }).to_string(), 204, ""),
        (
            json!({ "desired_state": "signed" }).to_string(),
            409,
            "Cannot sign certificate for host web without a certificate request",
        ),
        (json!({ "desired_state": "revoked" }).to_string(), 204, ""),
    ] {
        let answer = tool.send("PUT", &path, &["content-type: application/json"], &body)?;
        assert_eq!((answer.status, answer.body.as_str()), (code, text), "{body}");
    }
    assert_eq!(tool.get(&path)?.json()["state"], "revoked");
    let none = send(&tool, "PUT", &format!("{STATUS}none"), &json!({ "desired_state": "signed" }))?;
    assert_eq!((none.status, none.body.as_str()), (404, "Invalid certificate subject."));
    assert_eq!(tool.get(&format!("{STATUS}none"))?.body, "Resource not found.");

    Ok(())
}

#[test]
fn the_cas_tools_sign_several_and_clean_several() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let (tool, anybody) = (tool(&emulator)?, curl(&emulator)?);
    for name in ["one", "two"] {
        let csr = openssl::request(name, &[])?;
        anybody.put(&format!("/puppet-ca/v1/certificate_request/{name}"), &csr)?;
    }
    let requested = tool.get("/puppet-ca/v1/certificate_statuses/all?state=requested")?.json();
    assert_eq!(requested.as_array().map(Vec::len), Some(2));
    let names = json!({ "certnames": ["one", "none"] });
    let signed = send(&tool, "POST", "/puppet-ca/v1/sign", &names)?.json();
    assert_eq!(signed, json!({ "signed": ["one"], "no-csr": ["none"], "signing-errors": [] }));
    let signed = tool.send("POST", "/puppet-ca/v1/sign/all", &[], "")?.json();
    assert_eq!(signed["signed"], json!(["two"]));
    let cleaned =
        send(&tool, "PUT", "/puppet-ca/v1/clean", &json!({ "certnames": ["one", "none"] }))?;
    assert_eq!(cleaned.body, "The following certs do not exist and cannot be revoked: [\"none\"]");
    assert_eq!(anybody.get("/puppet-ca/v1/certificate/one")?.status, 404);
    let expirations = tool.get("/puppet-ca/v1/expirations")?.json();
    for kind in ["ca-certs", "crls"] {
        let names = expirations[kind].as_object().map(serde_json::Map::len);
        assert_eq!(names, Some(2), "{kind}: {expirations}");
    }
    Ok(())
}

#[test]
fn requests_certificates_and_revocations_are_kept() -> Outcome {
    let scratch = openssl::Scratch::new()?;
    let start = || {
        let any = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        Emulator::start(enlist_emulator::Options {
            puppet_listen: any,
            state: Some(scratch.path().join("state")),
            ..super::shared_ca()
        })
    };
    let emulator = start()?;
    admin(&emulator, "PUT", "/policy", &json!({ "autosign": "on", "version": "7.9.5" }))?;
    let _ = node(&emulator, "signed")?;
    let _ = node(&emulator, "revoked")?;
    admin(&emulator, "POST", "/revoke", &json!({ "name": "revoked" }))?;
    admin(&emulator, "PUT", "/policy", &json!({ "autosign": "off" }))?;
    let csr = openssl::request("waits", &[])?;
    curl(&emulator)?.put("/puppet-ca/v1/certificate_request/waits", &csr)?;
    let before = admin(&emulator, "GET", "", &json!({}))?.body;
    drop(emulator);
    let emulator = start()?;
    assert_eq!(admin(&emulator, "GET", "", &json!({}))?.body, before);
    let ca = curl(&emulator)?.get("/puppet-ca/v1/certificate/ca")?;
    assert_eq!(ca.header("x-puppet-version"), Some("7.9.5"));
    Ok(())
}
