//! The CA of a Puppet server, at its endpoint: what a node asks of it, driven by curl, OpenSSL, and
//! a real Puppet agent.

use std::process::Command;

use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::{Reply, send};
use super::curl::Curl;
use super::openssl::{self, Scratch};
use super::{Outcome, shared_ca};

const REQUEST: &str = "/puppet-ca/v1/certificate_request/";
const CERTIFICATE: &str = "/puppet-ca/v1/certificate/";
const CRL: &str = "/puppet-ca/v1/certificate_revocation_list/ca";

pub fn emulator(policy: CaPolicy) -> Result<Emulator, enlist_emulator::StartError> {
    let any = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let options = Options { puppet_ca: policy, puppet_listen: any, throttle: None, ..shared_ca() };
    Emulator::start(options)
}

pub fn autosigning() -> CaPolicy {
    CaPolicy { autosign: Autosign::On, ..CaPolicy::default() }
}

pub fn curl(emulator: &Emulator) -> Result<Curl, Box<dyn std::error::Error>> {
    Curl::new(emulator, emulator.puppet_url())
}

/// A call of the admin API about the server's CA.
pub fn admin(
    emulator: &Emulator,
    method: &str,
    word: &str,
    body: &Value,
) -> std::io::Result<Reply> {
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    let path = format!("/_emulator/v1/puppet-ca/puppet-test{word}");
    send(emulator.api_url(), method, &path, &json, &body.to_string())
}

#[test]
fn anybody_can_fetch_the_ca_its_list_and_the_status() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let curl = curl(&emulator)?;
    let ca = curl.get("/puppet-ca/v1/certificate/ca")?;
    assert_eq!((ca.status, ca.body.as_str()), (200, emulator.ca_bundle().as_str()));
    assert_eq!(ca.header("content-type"), Some("text/plain"));
    assert_eq!(ca.header("x-puppet-version"), Some("8.7.0"));
    let list = curl.get(CRL)?;
    assert_eq!(list.status, 200);
    assert_eq!(list.body.matches("BEGIN X509 CRL").count(), 2, "one of each issuer of the chain");
    let scratch = Scratch::new()?;
    let bundle = scratch.write("ca.pem", &emulator.ca_bundle())?;
    let list = ["crl", "-noout", "-CAfile", &bundle];
    openssl::run(scratch.path(), &list, &curl.get(CRL)?.body)?;
    assert_eq!(curl.get("/status/v1/simple/server")?.body, "running");
    let none = curl.get("/puppet-ca/v1/certificate/none")?;
    assert_eq!((none.status, none.body.as_str()), (404, "Could not find certificate none"));
    let none = curl.get("/puppet-ca/v1/certificate_request/none")?;
    assert_eq!((none.status, none.body.as_str()), (404, "Could not find certificate_request none"));
    assert_eq!(none.header("x-puppet-version"), Some("8.7.0"), "a refusal has it as well");
    Ok(())
}

#[test]
fn what_has_not_changed_is_not_sent_again() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let curl = curl(&emulator)?;
    let since = |moment: &str, path: &str| {
        curl.send("GET", path, &[&format!("if-modified-since: {moment}")], "").map(|it| it.status)
    };
    let now = emulator.now().http_date();
    for path in ["/puppet-ca/v1/certificate/ca", CRL] {
        assert_eq!(since(&now, path)?, 304, "{path}");
        assert_eq!(since("Sat, 01 Jan 2000 00:00:00 GMT", path)?, 200, "{path}");
        assert_eq!(since("last week", path)?, 200, "{path}: what is no date is none");
    }
    Ok(())
}

#[test]
fn a_request_waits_for_a_person_and_is_signed() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let curl = curl(&emulator)?;
    let csr = openssl::request("web-1", &[])?;
    let put = curl.put("/puppet-ca/v1/certificate_request/web-1", &csr)?;
    assert_eq!((put.status, put.body.as_str()), (200, ""));
    assert_eq!(curl.get("/puppet-ca/v1/certificate_request/web-1")?.body, csr);
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web-1")?.status, 404);
    let again = curl.put("/puppet-ca/v1/certificate_request/web-1", &csr)?;
    assert_eq!(again.status, 400);
    assert_eq!(
        again.body,
        "web-1 already has a requested certificate; ignoring certificate request"
    );
    let name = json!({ "name": "web-1" });
    assert_eq!(admin(&emulator, "POST", "/sign", &name)?.status, 200);
    assert_eq!(curl.get("/puppet-ca/v1/certificate_request/web-1")?.status, 404);
    let certificate = curl.get("/puppet-ca/v1/certificate/web-1")?.body;
    assert!(openssl::verify(&emulator.ca_bundle(), &certificate)?.contains("OK"));
    assert_eq!(openssl::public_key("x509", &certificate)?, openssl::public_key("req", &csr)?);
    assert!(openssl::text(&certificate)?.contains("DNS:web-1"), "the server adds the name");
    let again = curl.put("/puppet-ca/v1/certificate_request/web-1", &csr)?;
    assert_eq!(again.body, "web-1 already has a signed certificate; ignoring certificate request");
    assert_eq!(admin(&emulator, "POST", "/revoke", &name)?.status, 200);
    let again = curl.put("/puppet-ca/v1/certificate_request/web-1", &csr)?;
    assert_eq!(again.body, "web-1 already has a revoked certificate; ignoring certificate request");
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web-1")?.status, 200, "it is served still");
    assert_eq!(admin(&emulator, "POST", "/clean", &name)?.status, 200);
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web-1")?.status, 404);
    assert_eq!(curl.put("/puppet-ca/v1/certificate_request/web-1", &csr)?.status, 200);
    let unknown = admin(&emulator, "POST", "/sign", &json!({ "name": "web-2" }))?;
    assert_eq!(unknown.status, 409);
    // Tests do the same without HTTP.
    let now = emulator.now();
    emulator.with(|control| {
        let waiting: Vec<_> = control.puppet_ca().requests("puppet-test").collect();
        assert_eq!(waiting.len(), 1);
        assert_eq!(control.sign_request(now, "puppet-test", "web-1"), Ok(()));
        assert!(control.sign_request(now, "none", "web-1").is_err());
        assert_eq!(control.revoke_certificate(now, "puppet-test", "web-1", true), Ok(()));
        assert!(control.revoke_certificate(now, "puppet-test", "web-3", false).is_err());
    });
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web-1")?.status, 404);
    Ok(())
}

/// Every refusal of a request, word for word; the first three before it is saved, the rest after.
#[test]
fn requests_are_refused_in_the_servers_words() -> Outcome {
    let emulator = emulator(autosigning())?;
    let curl = curl(&emulator)?;
    let extension = |text: &'static str| ["-addext", text];
    let restart = "Then restart the puppetserver and try signing this certificate again.";
    let alternative = format!(
        "CSR 'san' contains extra subject alternative names (DNS:other, IP:10.0.0.1), which are \
         disallowed. To allow subject alternative names, set allow-subject-alt-names to true in \
         your ca.conf file. {restart}"
    );
    let authorization = format!(
        "CSR 'auth' contains an authorization extension, which is disallowed. To allow \
         authorization extensions, set allow-authorization-extensions to true in your ca.conf \
         file. {restart}"
    );
    let rows: [(&str, &str, &[&str], &str, bool); 9] = [
        ("a", "b", &[], "Instance name \"b\" does not match requested key \"a\"", false),
        ("Upper", "Upper", &[], "Certificate names must be lower case.", false),
        ("w*", "w*", &[], "Subject contains a wildcard, which is not allowed: w*", false),
        ("end-", "end-", &[], "Subject hostname format is invalid", false),
        (".a", ".a", &[], "Subject hostname format is invalid", false),
        ("a.-b-.c", "a.-b-.c", &[], "Subject hostname format is invalid", false),
        (
            "san",
            "san",
            &extension("subjectAltName=DNS:san,DNS:other,IP:10.0.0.1"),
            &alternative,
            true,
        ),
        (
            "auth",
            "auth",
            &extension("1.3.6.1.4.1.34380.1.3.13=ASN1:UTF8String:web"),
            &authorization,
            true,
        ),
        (
            "usage",
            "usage",
            &extension("keyUsage=digitalSignature"),
            "Found extensions that are not permitted: 2.5.29.15",
            true,
        ),
    ];
    for (name, subject, more, text, is_kept) in rows {
        let csr = openssl::request(subject, more)?;
        let path = format!("{REQUEST}{}", name.replace('*', "%2A"));
        let refused = curl.put(&path, &csr)?;
        assert_eq!((refused.status, refused.body.as_str()), (400, text), "{name}");
        let kept = curl.get(&path)?.status;
        assert_eq!(kept, if is_kept { 200 } else { 404 }, "{name}");
    }
    Ok(())
}

/// What is no breach of policy is a failure of the server; a wrong signature is found last.
#[test]
fn requests_that_cannot_be_read_or_are_not_proven_are_refused() -> Outcome {
    let emulator = emulator(autosigning())?;
    let curl = curl(&emulator)?;
    let bad = curl.put("/puppet-ca/v1/certificate_request/bad", "no request")?;
    assert_eq!(bad.status, 500);
    assert!(bad.body.starts_with("Internal Server Error: "), "{}", bad.body);
    let other = openssl::request("tampered", &[])?;
    let der = pem::parse(&other)?;
    let mut bytes = der.contents().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let tampered = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", bytes));
    let refused = curl.put("/puppet-ca/v1/certificate_request/tampered", &tampered)?;
    assert_eq!(
        refused.body,
        "CSR contains a public key that does not correspond to the signing key"
    );
    let own = openssl::request("own", &["-addext", "subjectAltName=DNS:own"])?;
    assert_eq!(curl.put("/puppet-ca/v1/certificate_request/own", &own)?.status, 200);
    Ok(())
}

#[test]
fn a_challenge_password_signs_and_another_waits() -> Outcome {
    let policy =
        CaPolicy { autosign: Autosign::Challenge("secret".to_owned()), ..CaPolicy::default() };
    let emulator = emulator(policy)?;
    let curl = curl(&emulator)?;
    let scratch = Scratch::new()?;
    for (name, password, status) in [("right", "secret", 200), ("wrong", "guess", 404)] {
        let config = format!(
            "[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\n[dn]\nCN={name}\n\
             [at]\nchallengePassword={password}\n"
        );
        let config = scratch.write("config", &config)?;
        let csr = ["req", "-new", "-key", "/dev/stdin", "-config", &config];
        let csr = openssl::run(scratch.path(), &csr, openssl::key(0))?;
        assert_eq!(curl.put(&format!("{REQUEST}{name}"), &csr)?.status, 200);
        assert_eq!(curl.get(&format!("{CERTIFICATE}{name}"))?.status, status, "{name}");
    }
    let puts = emulator.calls().into_iter().filter(|call| call.action == "PutCertificateRequest");
    assert!(puts.map(|call| call.request).all(|request| request == "(left out)"));
    let shown = admin(&emulator, "GET", "", &json!({}))?;
    assert!(!shown.body.contains("secret"), "{}", shown.body);
    assert_eq!(shown.json()["policy"]["autosign"], "challenge");
    Ok(())
}

/// A policy that refuses is answered with 200, and the request waits.
#[test]
fn faults_strike_the_ca_as_well() -> Outcome {
    let emulator = emulator(autosigning())?;
    let curl = curl(&emulator)?;
    let csr = openssl::request("web", &[])?;
    emulator.inject("PutCertificateRequest=failed*1".parse()?);
    assert_eq!(curl.put("/puppet-ca/v1/certificate_request/web", &csr)?.status, 200);
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web")?.status, 404);
    assert_eq!(curl.get("/puppet-ca/v1/certificate_request/web")?.status, 200);
    emulator.inject("puppet-ca:GetCertificate=503".parse()?);
    let busy = curl.get("/puppet-ca/v1/certificate/web")?;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert_eq!(busy.header("x-puppet-version"), None, "it is not the CA that says so");
    emulator.inject("PutCertificateRequest=lost-reply".parse()?);
    let csr = openssl::request("lost", &[])?;
    assert!(curl.put("/puppet-ca/v1/certificate_request/lost", &csr).is_err());
    assert_eq!(curl.get("/puppet-ca/v1/certificate/lost")?.status, 200, "it has been done");
    emulator.inject("PutCertificateRequest=cert:other-key*1".parse()?);
    let csr = openssl::request("other", &[])?;
    curl.put("/puppet-ca/v1/certificate_request/other", &csr)?;
    let certificate = curl.get("/puppet-ca/v1/certificate/other")?.body;
    assert_ne!(openssl::public_key("x509", &certificate)?, openssl::public_key("req", &csr)?);
    let calls = emulator.calls();
    let puppet: Vec<_> = calls.iter().filter(|call| call.service == Some("puppet-ca")).collect();
    assert_eq!(puppet[0].action, "PutCertificateRequest");
    assert_eq!(puppet[0].fault.as_deref(), Some("failed"));
    Ok(())
}

/// A node of the account is known to its server's CA, and no longer once it has left.
#[test]
fn an_associated_node_has_its_certificate_there() -> Outcome {
    let emulator = emulator(CaPolicy::default())?;
    let curl = curl(&emulator)?;
    let csr = openssl::request("web", &[])?;
    let body = super::plane::associate("web", &csr);
    let associate = super::client::call(&emulator, "AssociateNode", &body)?;
    assert_eq!(associate.status, 200, "{}", associate.body);
    let certificate = curl.get("/puppet-ca/v1/certificate/web")?.body;
    assert_eq!(emulator.state()["associations"][0]["certificate"], certificate);
    let again = curl.put("/puppet-ca/v1/certificate_request/web", &csr)?;
    assert_eq!(again.body, "web already has a signed certificate; ignoring certificate request");
    let leave = json!({ "ServerName": "puppet-test", "NodeName": "web" });
    assert_eq!(super::client::call(&emulator, "DisassociateNode", &leave)?.status, 200);
    assert_eq!(curl.get("/puppet-ca/v1/certificate/web")?.status, 404);
    let list = curl.get(CRL)?.body;
    let text = openssl::run("/".as_ref(), &["crl", "-noout", "-text"], &list)?;
    assert!(text.contains("Revoked Certificates") && text.contains("Key Compromise"), "{text}");
    let refused = curl.with_client(&certificate, openssl::key(0))?.get("/puppet-ca/v1/expirations");
    assert!(refused.is_err(), "a revoked certificate does not get through TLS");

    // And a name that the CA has given to another key cannot be associated.
    let emulator = super::puppet_ca::emulator(autosigning())?;
    let other = openssl::request_by(openssl::key(1), "web", &[])?;
    let curl = super::puppet_ca::curl(&emulator)?;
    assert_eq!(curl.put("/puppet-ca/v1/certificate_request/web", &other)?.status, 200);
    assert_eq!(super::client::call(&emulator, "AssociateNode", &body)?.status, 200);
    let failure = &emulator.state()["associations"][0]["failure"];
    assert_eq!(*failure, "web already has a signed certificate; ignoring certificate request");
    Ok(())
}

#[test]
fn servers_are_told_apart_by_their_names_and_some_are_down() -> Outcome {
    let any = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let servers = vec![
        "name=first,endpoint=one.example".parse()?,
        "name=second,endpoint=two.example".parse()?,
        "name=third,endpoint=three.example,status=CREATING".parse()?,
    ];
    let options = Options { servers, puppet_listen: any, puppet_ca: autosigning(), ..shared_ca() };
    let emulator = Emulator::start(options)?;
    let url = emulator.puppet_url().ok_or("no address")?;
    let port = url.rsplit(':').next().unwrap_or_default();
    let scratch = Scratch::new()?;
    let bundle = scratch.write("ca.pem", &emulator.ca_bundle())?;
    let csr = scratch.write("csr.pem", &openssl::request("web", &[])?)?;
    let ask = |host: &str, more: &[&str]| -> std::io::Result<String> {
        let resolve = format!("{host}:{port}:127.0.0.1");
        let url = format!("https://{host}:{port}/puppet-ca/v1/certificate_request/web");
        let mut command = Command::new("curl");
        command.args(["-sS", "--cacert", &bundle, "--resolve", &resolve, "-o", "/dev/null"]);
        let output = command.args(["-w", "%{http_code}"]).args(more).arg(url).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let put = ["-X", "PUT", "--data-binary", &format!("@{csr}")];
    assert_eq!(ask("two.example", &put)?, "200");
    let state = emulator.state();
    assert_eq!(state["puppet_certificates"][0]["server"], "second");
    assert_eq!(ask("second.localhost", &put)?, "400", "its name below localhost");
    assert_eq!(ask("one.example", &put)?, "200");
    assert_eq!(ask("three.example", &[])?, "000", "no machine answers there");
    Ok(())
}

/// A real agent bootstraps: it fetches the CA and its lists, makes a key, asks, and waits for its
/// certificate; and then it is trusted.
#[test]
fn a_real_puppet_agent_bootstraps() -> Outcome {
    if Command::new("puppet").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no puppet here");
        return Ok(());
    }
    let emulator = emulator(autosigning())?;
    let url = emulator.puppet_url().ok_or("no address")?;
    let port = url.rsplit(':').next().unwrap_or_default();
    let scratch = Scratch::new()?;
    let directory = scratch.path().display().to_string();
    let puppet = |words: &[&str]| -> Result<String, Box<dyn std::error::Error>> {
        let mut command = Command::new("puppet");
        command.args(words).args(["--certname", "agent.example", "--server", "localhost"]);
        command.args(["--serverport", port, "--confdir", &directory, "--vardir", &directory]);
        command.args(["--ssldir", &format!("{directory}/ssl"), "--waitforcert", "0"]);
        command.args(["--http_keepalive_timeout", "0", "--color", "false"]);
        let output = command.env("HOME", &directory).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if output.status.success() { Ok(text) } else { Err(text.into()) }
    };
    puppet(&["ssl", "bootstrap"])?;
    let said = puppet(&["ssl", "verify"])?;
    assert!(said.contains("Verified client certificate"), "{said}");
    let certificate = std::fs::read_to_string(format!("{directory}/ssl/certs/agent.example.pem"))?;
    assert!(openssl::verify(&emulator.ca_bundle(), &certificate)?.contains("OK"));
    Ok(())
}
