//! Certificates, as OpenSSL judges them.

use enlist_emulator::ca::{Authority, Order, Refusal, SigningCa, WrongCertificate};
use enlist_emulator::control::{ControlPlane, ControlSettings};
use enlist_emulator::{CaSource, Emulator, Fault, FaultKind, Options, machine_now};
use serde_json::{Value, json};

use super::client;
use super::openssl::{self, Scratch};
use super::plane::{START, associate, call, join, status};
use super::{Outcome, shared_ca};

/// What a node asks for, when it is told by a `csr_attributes.yaml`.
const EXTENSIONS: [&str; 4] = [
    "-addext",
    "1.3.6.1.4.1.34380.1.1.2=ASN1:UTF8String:i-0123",
    "-addext",
    "1.3.6.1.4.1.34380.1.2.7=ASN1:UTF8String:private",
];
const AUTHORIZATION: [&str; 2] = ["-addext", "1.3.6.1.4.1.34380.1.3.39=ASN1:UTF8String:true"];

/// The certificate of a node that joined.
fn certificate(
    emulator: &Emulator,
    node: &str,
    csr: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    let reply = client::call(emulator, "AssociateNode", &associate(node, csr))?.json();
    let token = reply["NodeAssociationStatusToken"].clone();
    let body = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });
    let reply = client::call(emulator, "DescribeNodeAssociationStatus", &body)?.json();
    assert_eq!(reply["NodeAssociationStatus"], "SUCCESS", "{}", emulator.state());
    let attributes = reply["EngineAttributes"].as_array().cloned().unwrap_or_default();
    let found = attributes.into_iter().find(|attribute| attribute["Name"] == "PUPPET_NODE_CERT");
    Ok(found.and_then(|found| found["Value"].as_str().map(str::to_owned)).unwrap_or_default())
}

#[test]
fn it_is_what_a_puppet_ca_makes() -> Outcome {
    let emulator = Emulator::start(Options::default())?;
    let csr = openssl::request("node.example", &EXTENSIONS)?;
    let made = certificate(&emulator, "node.example", &csr)?;
    assert!(openssl::verify(&emulator.ca_bundle(), &made)?.contains("OK"));
    assert_eq!(openssl::public_key("x509", &made)?, openssl::public_key("req", &csr)?);
    let text = openssl::text(&made)?.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Signature Algorithm: sha256WithRSAEncryption",
        "Subject: CN=UTF8STRING:node.example Subject",
        "X509v3 Basic Constraints: critical CA:FALSE",
        "X509v3 Key Usage: critical Digital Signature, Key Encipherment",
        "X509v3 Extended Key Usage: critical TLS Web Server Authentication, TLS Web Client",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
        "1.3.6.1.4.1.34380.1.1.2: ..i-0123",
        "1.3.6.1.4.1.34380.1.2.7: ..private",
    ] {
        assert!(text.contains(part), "no '{part}' in {text}");
    }
    Ok(())
}

#[test]
fn the_bundle_is_the_signer_then_its_root() -> Outcome {
    let ca = SigningCa::generate(START, "puppet-test")?;
    let blocks = pem::parse_many(ca.bundle())?;
    let [signer, root] = blocks.as_slice() else { return Err("not two certificates".into()) };
    let name = |block: &pem::Pem| openssl::text(&pem::encode(block));
    assert!(name(signer)?.contains("Subject: CN=UTF8STRING:Puppet CA: puppet-test"));
    assert!(name(signer)?.contains("Issuer: CN=UTF8STRING:Puppet Root CA: puppet-test"));
    assert!(name(root)?.contains("Subject: CN=UTF8STRING:Puppet Root CA: puppet-test"));
    assert!(name(root)?.contains("CA:TRUE"));
    assert!(!ca.bundle().contains('\r'));
    Ok(())
}

/// The API takes more names than a Puppet server does.
#[test]
fn names_a_puppet_ca_refuses_end_failed() -> Outcome {
    let ca = SigningCa::shared(START, "puppet-test")?;
    let settings = ControlSettings { throttle: None, ..ControlSettings::default() };
    let mut plane = ControlPlane::new(settings, Box::new(ca), START);
    let longest = "n".repeat(251);
    let too_long = "n".repeat(252);
    for (name, reason) in [
        ("node", None),
        ("node-1.example_x", None),
        ("_node", None),
        ("1", None),
        ("node.", None),
        ("a..b", None),
        ("node.-x", None),
        ("Node", Some("lower case")),
        ("node.Example", Some("lower case")),
        ("N", Some("lower case")),
        ("node:1", Some("format is invalid")),
        (":", Some("format is invalid")),
        ("-node", Some("format is invalid")),
        (".node", Some("format is invalid")),
        (".", Some("format is invalid")),
        ("-", Some("format is invalid")),
        ("node-", Some("format is invalid")),
        ("ca", Some("authority's own")),
        ("ca1", None),
    ] {
        let token = join(&mut plane, START, name, &openssl::request(name, &[])?);
        let wanted = if reason.is_none() { "SUCCESS" } else { "FAILED" };
        assert_eq!(status(&mut plane, START, &token), wanted, "{name}");
        let state = plane.state(START);
        let found = state["associations"].as_array().into_iter().flatten();
        let failure =
            found.filter(|row| row["node"] == *name).map(|row| row["failure"].to_string());
        let failure = failure.collect::<String>();
        assert!(failure.contains(reason.unwrap_or("null")), "{name}: {failure}");
    }
    for (name, refusal) in
        [(&longest, Ok(())), (&too_long, Err(Refusal::NameLength { length: 252 }))]
    {
        let csr = enlist_emulator::ca::Csr {
            common_name: Some(name.clone()),
            public_key: Vec::new(),
            extensions: Vec::new(),
            proven: true,
        };
        assert_eq!(csr.check(name, false), refusal);
    }
    Ok(())
}

#[test]
fn requests_a_puppet_ca_refuses_end_failed() -> Outcome {
    let ca = SigningCa::shared(START, "puppet-test")?;
    let settings = ControlSettings { throttle: None, ..ControlSettings::default() };
    let mut plane = ControlPlane::new(settings, Box::new(ca), START);
    let mut tampered = pem::parse(openssl::request("tampered", &[])?)?.into_contents();
    if let Some(last) = tampered.last_mut() {
        *last ^= 1;
    }
    let tampered = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", tampered));
    let san = |name: &str| format!("subjectAltName=DNS:{name}");
    let rows = [
        ("authorized", openssl::request("authorized", &AUTHORIZATION)?, "authorization"),
        ("other", openssl::request("name", &[])?, "the subject is 'name', not CN=other"),
        ("two", openssl::request("two/O=Example", &[])?, "the subject is ''"),
        ("tampered", tampered, "not signed by the key"),
        ("san", openssl::request("san", &["-addext", &san("elsewhere")])?, "alternative names"),
        ("ip", openssl::request("ip", &["-addext", "subjectAltName=IP:10.0.0.1"])?, "alternative"),
        (
            "an-authority",
            openssl::request("an-authority", &["-addext", "basicConstraints=CA:TRUE"])?,
            "2.5.29.19",
        ),
    ];
    for (node, csr, reason) in rows {
        let token = join(&mut plane, START, node, &csr);
        assert_eq!(status(&mut plane, START, &token), "FAILED", "{node}");
        let state = plane.state(START);
        let all = state["associations"].as_array().cloned().unwrap_or_default();
        let failure = all.iter().find(|one| one["node"] == node).map(|one| one["failure"].clone());
        let failure = failure.unwrap_or_default().to_string();
        assert!(failure.contains(reason), "{node}: {failure}");
    }
    let own = openssl::request("own", &["-addext", &san("own")])?;
    let token = join(&mut plane, START, "own", &own);
    assert_eq!(status(&mut plane, START, &token), "SUCCESS", "its own name is no other name");
    Ok(())
}

#[test]
fn authorization_extensions_can_be_allowed() -> Outcome {
    let options = Options { allow_authorization_extensions: true, ..shared_ca() };
    let emulator = Emulator::start(options)?;
    let made = certificate(&emulator, "node", &openssl::request("node", &AUTHORIZATION)?)?;
    assert!(openssl::text(&made)?.contains("1.3.6.1.4.1.34380.1.3.39"));
    Ok(())
}

#[test]
fn it_works_with_the_files_of_an_existing_ca() -> Outcome {
    let scratch = Scratch::new()?;
    let run = |arguments: &str, input: &str| {
        openssl::run(scratch.path(), &arguments.split(' ').collect::<Vec<_>>(), input)
    };
    scratch.write("root.key", openssl::key(0))?;
    // As long as a Puppet Server's own, and in the older of the two encodings.
    run("genrsa -traditional -out ca.key 4096", "")?;
    run("pkcs8 -topk8 -nocrypt -in ca.key -out ca8.key", "")?;
    scratch.write("ca.ext", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n")?;
    let root = run("req -x509 -new -key root.key -subj /CN=root/O=Example -days 30", "")?;
    scratch.write("root.pem", &root)?;
    let csr = run("req -new -key ca.key -subj /O=Example/CN=signer", "")?;
    scratch.write("ca.csr", &csr)?;
    let sign = "x509 -req -in ca.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ca.ext";
    let signer = run(sign, "")?;

    let certificates = scratch.write("ca_crt.pem", &format!("{signer}{root}"))?;
    for key in ["ca.key", "ca8.key"] {
        let (certificates, key) = (certificates.clone().into(), scratch.path().join(key));
        let ca = CaSource::Files { certificates, key };
        let emulator = Emulator::start(Options { ca, ..Options::default() })?;
        let made = certificate(&emulator, "node", &openssl::request("node", &[])?)?;
        assert_eq!(emulator.ca_bundle(), format!("{signer}{root}"));
        assert!(openssl::verify(&emulator.ca_bundle(), &made)?.contains("OK"));
    }
    Ok(())
}

#[test]
fn a_ca_that_cannot_be_used_says_why() -> Outcome {
    let ca = SigningCa::shared(START, "puppet-test")?;
    let key = openssl::key(1);
    let encrypted =
        openssl::run("/".as_ref(), &["rsa", "-aes128", "-passout", "pass:secret"], key)?;
    let rows = [
        (ca.bundle(), key, "belongs to none of the 2 certificates"),
        (ca.bundle(), "no key", "not an unencrypted private key"),
        (ca.bundle(), encrypted.as_str(), "not an unencrypted private key"),
        ("no certificate", key, "not a bundle of PEM certificates: there is none in it"),
        (key, key, "there is a block 'PRIVATE KEY' in it"),
    ];
    for (bundle, key, part) in rows {
        let refused = SigningCa::from_pem(bundle, key).err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|text| text.contains(part)), "{refused:?}");
    }
    Ok(())
}

/// A certificate with a fault in it, and the CA it is of. OpenSSL will ask the machine's clock.
fn made_wrong(wrong: WrongCertificate) -> Result<(SigningCa, String), Box<dyn std::error::Error>> {
    let mut ca = SigningCa::shared(machine_now(), "puppet-test")?;
    let csr = ca.read(&openssl::request("node", &[])?)?;
    let (node_name, serial, lifetime) = ("node", 7, enlist_emulator::ca::LIFETIME);
    let order = Order { csr: &csr, node_name, serial, lifetime, wrong: Some(wrong) };
    let made = ca.sign(machine_now(), &order).map_err(|refusal: Refusal| refusal.to_string())?;
    Ok((ca, made))
}

#[test]
fn wrong_certificates_are_wrong_in_one_thing_only() -> Outcome {
    use WrongCertificate::{Expired, NotPem, NotYet, OtherCa, OtherKey, OtherName, Two};
    let mine = openssl::public_key("rsa", openssl::key(0))?;
    let rows = [
        (OtherKey, "OK", "CN=UTF8STRING:node\n", false),
        (OtherName, "OK", "CN=UTF8STRING:other-node\n", true),
        (OtherCa, "signature failure", "CN=UTF8STRING:node\n", true),
        (Expired, "certificate has expired", "CN=UTF8STRING:node\n", true),
        (NotYet, "certificate is not yet valid", "CN=UTF8STRING:node\n", true),
        (Two, "OK", "CN=UTF8STRING:node\n", true),
    ];
    for (wrong, verdict, subject, my_key) in rows {
        let (ca, made) = made_wrong(wrong)?;
        let verified = openssl::verify(ca.bundle(), &made);
        let verified = verified.unwrap_or_else(|error| error.to_string());
        assert!(verified.contains(verdict), "{wrong:?}: {verified}");
        let text = openssl::text(&made)?;
        assert!(text.contains(&format!("Subject: {subject}")), "{wrong:?}: {text}");
        assert!(text.contains("Issuer: CN=UTF8STRING:Puppet CA: puppet-test"), "{wrong:?}");
        assert_eq!(openssl::public_key("x509", &made)? == mine, my_key, "{wrong:?}");
        let blocks = if wrong == Two { 2 } else { 1 };
        assert_eq!(made.matches("-----BEGIN CERTIFICATE-----").count(), blocks, "{wrong:?}");
    }
    let (ca, made) = made_wrong(NotPem)?;
    let armoured = format!("-----BEGIN CERTIFICATE-----\n{made}\n-----END CERTIFICATE-----\n");
    assert!(openssl::text(&made).is_err());
    assert!(pem::parse(&armoured).is_ok_and(|block| !block.contents().is_empty()));
    assert!(!ca.bundle().is_empty());
    Ok(())
}

#[test]
fn a_wrong_certificate_comes_when_it_is_asked_for() -> Outcome {
    let emulator = Emulator::start(shared_ca())?;
    let csr = openssl::request("node", &[])?;
    let none = FaultKind::Certificate(WrongCertificate::None);
    emulator.inject(Fault::new("AssociateNode", none).times(1));
    assert_eq!(certificate(&emulator, "node", &csr)?, "");
    assert_eq!(emulator.state()["associations"][0]["certificate"], Value::Null);
    // What was given out stays what it is: the same node again is the same association.
    assert_eq!(certificate(&emulator, "node", &csr)?, "");
    emulator.inject("AssociateNode=cert:other-name*1".parse()?);
    assert!(openssl::text(&certificate(&emulator, "node", &csr)?)?.contains("other-node"));
    Ok(())
}

#[test]
fn the_state_tells_who_is_associated() -> Outcome {
    let emulator = Emulator::start(shared_ca())?;
    let csr = openssl::request("node", &[])?;
    let made = certificate(&emulator, "node", &csr)?;
    let state = emulator.state();
    let node = &state["associations"][0];
    assert_eq!(node["server"], "puppet-test");
    assert_eq!(node["node"], "node");
    assert_eq!(node["status"], "SUCCESS");
    assert_eq!(node["csr"], csr);
    assert_eq!(node["certificate"], made);
    let der = openssl::run("/".as_ref(), &["rsa", "-pubout", "-outform", "PEM"], openssl::key(0))?;
    let der = pem::parse(der)?.into_contents();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(node["public_key_sha256"], digest);
    Ok(())
}

#[test]
fn two_requests_for_a_name_need_one_key() -> Outcome {
    let ca = SigningCa::shared(START, "puppet-test")?;
    let mut plane = ControlPlane::new(ControlSettings::default(), Box::new(ca), START);
    join(&mut plane, START, "node", &openssl::request("node", &[])?);
    join(&mut plane, START, "node", &openssl::request("node", &EXTENSIONS)?);
    let other = openssl::request_by(openssl::key(1), "node", &[])?;
    let response = call(&mut plane, START, "AssociateNode", &associate("node", &other));
    assert_eq!(response.error.as_deref(), Some("ValidationException"));
    Ok(())
}
