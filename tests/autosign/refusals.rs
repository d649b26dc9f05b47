//! What the program refuses besides a request, and what it says to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::ID;
use crate::common;
use crate::csr::{CHALLENGE, Key, Request, proof_oid};
use crate::program::{Authority, as_aws, expect, judge, request};

#[test]
fn the_ca_of_sts_is_a_file_with_a_certificate() {
    let (authority, sts) = Authority::with(|asked, _| as_aws(asked));
    let ca = authority.path("sts.pem");
    fs::copy("tests/data/aws-identity-rsa/eu-west-1.pem", &ca).unwrap();
    expect(&authority.judge(request(0).as_bytes()), 78, "check ca_file in [sts]");
    fs::write(&ca, "no certificate\n").unwrap();
    let why = format!("there is no certificate in {}: correct ca_file in [sts]", ca.display());
    expect(&authority.judge(request(0).as_bytes()), 78, &why);
    fs::remove_file(&ca).unwrap();
    let why = "put it there, or correct its path in the settings";
    expect(&authority.judge(request(0).as_bytes()), 78, why);
    assert_eq!(sts.asked(), 0);
}

#[test]
fn a_password_that_everybody_can_read_is_none() {
    let authority = Authority::new("");
    let psk = authority.path("psk");
    let settings = format!(
        "[[allow]]\nproof = \"challenge-password\"\npassword = {{ file = \"{}\" }}\n[audit]\nfile = \"{}\"\n",
        psk.display(),
        authority.path("audit.jsonl").display()
    );
    fs::write(authority.path("autosign.toml"), settings).unwrap();
    let request = Request::new(ID).attribute(CHALLENGE.to_vec(), "open sesame").pem(Key::one());
    expect(&authority.judge(request.as_bytes()), 78, "put it there");
    for (text, mode, code, why) in [
        ("open sesame\n", 0o644, 78, "chmod o-r "),
        ("open sesame\n", 0o640, 0, "signed by rule 1"),
        (" \t\n", 0o640, 78, "is empty, or blanks"),
    ] {
        fs::write(&psk, text).unwrap();
        fs::set_permissions(&psk, fs::Permissions::from_mode(mode)).unwrap();
        expect(&authority.judge(request.as_bytes()), code, why);
    }
}

/// The server's account reads the file. Root must not be told to take it away.
#[test]
fn a_file_of_the_servers_account_stays_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let authority = Authority::new("");
    let psk = authority.path("psk");
    let settings = format!(
        "[[allow]]\nproof = \"challenge-password\"\npassword = {{ file = \"{}\" }}\n",
        psk.display()
    );
    fs::write(authority.path("autosign.toml"), settings).unwrap();
    fs::write(&psk, "open sesame\n").unwrap();
    fs::set_permissions(&psk, fs::Permissions::from_mode(0o600)).unwrap();
    let request = Request::new(ID).attribute(CHALLENGE.to_vec(), "open sesame").pem(Key::one());
    for file in ["psk", "autosign.toml"] {
        std::os::unix::fs::chown(authority.path(file), Some(65534), None).unwrap();
        let run = judge(authority.command(&["--explain", ID]), request.as_bytes());
        assert_eq!(run.code, 78, "{}{}", run.stdout, run.stderr);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("sudo -u nobody enlist-autosign --explain"), "{said}");
        assert!(!said.contains("chown"), "{said}");
    }
}

#[test]
fn a_directory_of_certificates_that_is_missing_is_named() {
    let authority = Authority::new("");
    let certificates = authority.path("certificates");
    let settings = format!(
        "[[allow]]\nproof = \"instance-identity\"\naccount = \"123456789012\"\n[identity]\ncertificates = \"{}\"\n[audit]\nfile = \"{}\"\n",
        certificates.display(),
        authority.path("audit.jsonl").display()
    );
    fs::write(authority.path("autosign.toml"), settings).unwrap();
    let document = r#"{"accountId":"123456789012","instanceId":"i-0123456789abcdef0","region":"eu-west-1","pendingTime":"2026-01-01T00:00:00Z"}"#;
    let request =
        Request::new(ID).attribute(proof_oid(2), document).attribute(proof_oid(3), "AAAA");
    let request = request.pem(Key::one());
    let path = certificates.display().to_string();
    let judge = || authority.judge(request.as_bytes());
    expect(&judge(), 78, &format!("{path} can't be read"));
    expect(&judge(), 78, "correct its path in the settings");
    fs::write(&certificates, "").unwrap();
    expect(&judge(), 78, "name a directory");
    fs::remove_file(&certificates).unwrap();
    fs::create_dir(&certificates).unwrap();
    expect(&judge(), 69, "has not signed this instance identity document");
    fs::write(certificates.join("eu-west-1.pem"), "x").unwrap();
    expect(&judge(), 78, "eu-west-1.pem in certificates of [identity]");
    // While AWS replaces a key, a file has two certificates.
    let two = ["eu-west-1", "cn-north-1"].map(|region| {
        fs::read_to_string(format!("tests/data/aws-identity-rsa/{region}.pem")).unwrap()
    });
    fs::write(certificates.join("eu-west-1.pem"), two.concat()).unwrap();
    expect(&judge(), 69, "has not signed this instance identity document");
}

#[test]
fn rules_are_not_set_on_the_command_line() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let set = ["--set", "sts.timeout=1s", ID];
    let run = common::run(authority.command(&set).stdin(Stdio::null()));
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(run.stderr.contains("takes no settings from --set"), "{}", run.stderr);
}

/// The limit is 10 s.
#[test]
fn standard_input_that_does_not_end_is_refused() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let mut command = authority.command(&[ID]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let run = common::Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    expect(&run, 74, "standard input has not ended: not in 10 s");
    assert_eq!(authority.audit().len(), 1);
}
