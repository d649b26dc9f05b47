//! Signers and verifiers of others: botocore signs what is accepted here, and the emulator's STS verifies
//! what a node signs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use enlist::autosign::{Found, Judge, Policy};
use serde_json::json;

use crate::common::{self, NAME};
use crate::csr::{ACCESS_KEY, Key, Proof, Request, SECRET_KEY, binding};
use crate::node::{EXTENSIONS, enlist, node, now, pending};
use crate::{DATE, ID, NOW, RULE, asked, caller, judge};

/// The Authorization header of botocore; none where it is not installed.
fn botocore(asked: &serde_json::Value) -> Option<String> {
    let mut command = Command::new("/usr/bin/python3");
    command.arg("tests/autosign/sign.py").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(asked.to_string().as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("No module named") {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "botocore is missing: {said}");
        eprintln!("SKIPPED: /usr/bin/python3 has no botocore (package awscli)");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn a_proof_of_botocore_is_signed() {
    let proof = Proof::new(&Key::one().spki, ID, DATE);
    let header = botocore(&json!({
        "host": proof.host, "region": proof.region, "date": proof.date, "token": proof.token,
        "access_key": proof.access_key, "secret_key": proof.secret_key, "binding": proof.binding,
    }));
    let Some(header) = header else { return };
    let request = Request::new(ID).iam(&proof.json_with(&header));
    let decision = judge(RULE, ID, &request.pem(Key::one()), NOW, &caller());
    assert_eq!(decision.verdict, Ok(1), "{}", decision.explanation());
}

#[test]
fn the_signature_of_a_node_is_botocores() {
    let node = node("iam");
    assert_eq!(enlist(&node, &["join"]).code, 75);
    let csr = pending(&node);
    let policy = Policy::parse(RULE).unwrap();
    let judge = Judge::begin(&policy, NAME, csr.as_bytes(), now());
    let asked = asked(&judge.needs_sts(&Found::default()).unwrap());
    let header = |name: &str| asked.header(name).unwrap().to_owned();
    let spki = common::openssl(&["req", "-pubkey", "-noout", "-in", &{
        node.write("csr.pem", &csr);
        node.path("csr.pem").to_str().unwrap().to_owned()
    }]);
    let spki = pem::parse(spki).unwrap().into_contents();
    let Some(theirs) = botocore(&json!({
        "host": header("host"), "region": "us-east-1", "date": header("x-amz-date"),
        "token": header("x-amz-security-token"), "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY, "binding": binding(&spki, NAME),
    })) else {
        return;
    };
    assert_eq!(header("authorization"), theirs);
}

/// Node, policy and STS, none of which knows the others' code.
#[test]
fn the_emulators_sts_tells_the_policy_who_a_node_is() {
    let node = node("iam");
    assert_eq!(enlist(&node, &["join"]).code, 75);
    let csr = pending(&node);
    let settings = |role: &str| {
        let (url, ca) = (node.emulator.tls_url().unwrap(), node.path("ca.pem"));
        let (audit, rule) = (node.path("audit.jsonl"), RULE.replace("web-*", role));
        format!(
            "{rule}{EXTENSIONS}[sts]\nendpoint = \"{}\"\nca_file = \"{}\"\n[audit]\nfile = \"{}\"\n",
            url.replace("127.0.0.1", "localhost"),
            ca.display(),
            audit.display()
        )
    };
    let decide = |role: &str, name: &str| {
        node.write("autosign.toml", &settings(role));
        let path = node.path("autosign.toml");
        let mut command = common::bare(&["autosign", "--config", path.to_str().unwrap(), name]);
        command.stdin(std::fs::File::open(node.path("csr.pem")).unwrap());
        common::run(&mut command)
    };
    node.write("csr.pem", &csr);
    let run = decide("web-*", NAME);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(node.asked("GetCallerIdentity"), 1);
    let run = decide("db-*", NAME);
    assert_eq!(run.code, 69, "{}", run.stderr);
    assert!(run.stderr.contains("the role is \"web-7\", not \"db-*\""), "{}", run.stderr);
    assert_eq!(decide("web-*", "i-0fedcba9876543210").code, 65);
}
