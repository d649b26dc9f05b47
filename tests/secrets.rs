//! Secrets do not leak: every command runs under strace with the most detailed log and with known
//! secrets. Then everything that left the process is searched for them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
#[path = "secrets/proofs.rs"]
mod proofs;
#[path = "secrets/trace.rs"]
mod trace;
#[path = "secrets/validator.rs"]
mod validator;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use common::{Node, STACK, fake_ssm_agent, target_node_with, text};
use enlist_emulator::Options;
use proofs::PRESHARED;
use trace::{Traced, may_trace, through, traced, traced_as};

const SECRET_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

fn node(settings: &str) -> Node {
    let options = Options {
        access_key: Some("AKIDEXAMPLE".to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        ..Options::default()
    };
    let node = target_node_with(settings, &[], options);
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    node.write("etc/hostname", "db1.example.org\n");
    node
}

/// The commands that only show something, after a join.
const QUERIES: [&[&str]; 8] = [
    &["status"],
    &["status", "--json"],
    &["check"],
    &["check", "--json"],
    &["facts"],
    &["facts", "--json"],
    &["policy"],
    &["join", "-vv"],
];

/// Installs the fake agent. It prints its arguments, as a careless agent might.
fn install_agent(node: &Node) {
    let script = format!(
        "#!/bin/sh\necho \"called with: $*\" >&2\nFAKE_SSM_AGENT_ROOT={} FAKE_SSM_AGENT_ENDPOINT={} exec {} \"$@\"\n",
        text(node.root.path()),
        node.emulator.api_url(),
        fake_ssm_agent(),
    );
    node.write("usr/bin/amazon-ssm-agent", &script);
    let program = node.path("usr/bin/amazon-ssm-agent");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The secret parts of a key in PEM: the lines of its second part, and bytes from its middle.
fn parts_of(pem_text: &str) -> Vec<Vec<u8>> {
    let lines = pem_text.lines().filter(|line| line.len() == 64 && !line.starts_with('-'));
    let mut parts: Vec<Vec<u8>> = lines.map(|line| line.as_bytes().to_vec()).collect();
    assert!(parts.len() > 10, "not a key");
    // The first lines hold the public half.
    parts.drain(..8);
    let der = pem::parse(pem_text).unwrap().into_contents();
    parts.push(der[der.len() / 2..der.len() / 2 + 48].to_vec());
    parts
}

/// Checks that no secret of the environment is written or passed to a child. Only the session token
/// is sent, to the API.
fn no_credentials_in(traced: &Traced) {
    assert!(!traced.said.contains(SECRET_KEY), "{}", traced.said);
    for call in &traced.calls {
        // strace starts the program with these variables.
        if call.is("execve") && call.texts[0].ends_with(b"/enlist") {
            continue;
        }
        assert!(!call.holds(SECRET_KEY.as_bytes()), "{}: {}", call.program, call.to());
        if call.is("execve") {
            for name in ["AWS_SECRET_ACCESS_KEY=", "AWS_ACCESS_KEY_ID=", "AWS_SESSION_TOKEN="] {
                assert!(!call.holds(name.as_bytes()), "{name} reaches {}", call.program);
            }
        }
    }
}

/// Checks that only this program writes the key, and only into these directories.
fn key_only_in(traced: &Traced, key: &str, at: &[&str]) {
    let mut written = 0;
    for call in &traced.calls {
        for part in parts_of(key) {
            if call.holds(&part) {
                written += 1;
                let to = call.to();
                assert!(call.is_ours() && call.is("write"), "{}: {}", call.program, call.line);
                // The file has its temporary name, so only its directory is checked.
                let directory = to.rsplit_once('/').unwrap_or_default().0.to_owned();
                assert!(at.iter().any(|known| directory.ends_with(known)), "the key goes to {to}");
            }
        }
    }
    assert!(written > 0 || at.is_empty(), "the key was not found: is the search broken?");
    for part in parts_of(key) {
        assert!(!traced.said.contains(&*String::from_utf8_lossy(&part)));
    }
}

/// Checks that only the owner can read files with these secrets; Puppet's group may read its key.
fn modes_are_strict(node: &Node, secrets: &[Vec<u8>]) {
    for file in node.files() {
        let path = node.path(&file);
        let content = fs::read(&path).unwrap();
        let is_secret =
            secrets.iter().any(|secret| content.windows(secret.len()).any(|part| part == secret));
        let mode = common::mode(&path);
        if is_secret {
            let others = if file.contains("puppet/ssl/private_keys/") { 0o027 } else { 0o077 };
            assert_eq!(mode & others, 0, "{file}: {mode:o}");
        }
        // Only root can read records, evidence and backups, whatever their content is.
        if file.starts_with("var/lib/enlist/") && !file.ends_with("/lock") {
            assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
        }
    }
    let state = common::mode(&node.path("var/lib/enlist"));
    assert_eq!(state & 0o077, 0, "{state:o}");
}

fn core_dumps_are_disabled(traced: &Traced) {
    let first =
        |name: &str| traced.calls.iter().find(|call| call.is(name) && call.line.contains("CORE"));
    let limit = first("prlimit64").or_else(|| first("setrlimit"));
    assert!(limit.is_some(), "RLIMIT_CORE was not set");
    let dumpable = traced
        .calls
        .iter()
        .any(|call| call.is("prctl") && call.line.contains("PR_SET_DUMPABLE, SUID_DUMP_DISABLE"));
    assert!(dumpable, "the process can be dumped");
}

#[test]
fn puppets_key_is_written_to_its_file_only() {
    if !may_trace() {
        return;
    }
    let settings = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";
    for (umask, format) in [("000", "json"), ("077", "text")] {
        let node = node(settings);
        let at = ["var/lib/enlist/opsworks-cm", "puppet/ssl/private_keys"];
        let joined = traced(&node, &["join", "-vv", "--log-format", format], umask, 0);
        let key = fs::read_to_string(node.key()).unwrap();
        core_dumps_are_disabled(&joined);
        let mut all = vec![(joined, &at[..])];
        for arguments in QUERIES {
            all.push((traced(&node, arguments, umask, 0), &[]));
        }
        modes_are_strict(&node, &parts_of(&key));
        // A leave keeps a copy of the key.
        let backup = ["var/lib/enlist/opsworks-cm/backup"];
        all.push((traced(&node, &["leave", "-vv"], umask, 0), &backup[..]));
        modes_are_strict(&node, &parts_of(&key));
        for (traced, at) in &all {
            no_credentials_in(traced);
            key_only_in(traced, &key, at);
        }
    }
}

#[test]
fn keys_of_chef_and_opsworks_are_written_to_their_files_only() {
    if !may_trace() {
        return;
    }
    let stacks = format!("[opsworks]\nstack_id = \"{STACK}\"\n");
    let chef = "[opsworks-cm]\nserver = \"chef-test\"\n[chef]\nkey_bits = 2048\n";
    for (settings, state, key, at) in [
        (chef, "opsworks-cm", "etc/chef/client.pem", "etc/chef"),
        (&stacks, "opsworks", "etc/aws/opsworks/instance-key.pem", "etc/aws/opsworks"),
    ] {
        for umask in ["000", "077"] {
            let node = node(settings);
            let joined = traced(&node, &["join", "-vv"], umask, 0);
            let key = node.read(key);
            no_credentials_in(&joined);
            key_only_in(&joined, &key, &[&format!("var/lib/enlist/{state}"), at]);
            modes_are_strict(&node, &parts_of(&key));
            let left = traced(&node, &["leave", "-vv"], umask, 0);
            no_credentials_in(&left);
            key_only_in(&left, &key, &[&format!("var/lib/enlist/{state}/backup")]);
            modes_are_strict(&node, &parts_of(&key));
        }
    }
}

/// Checks that the activation code goes only to the agent, which takes it as an argument, and to this
/// file.
fn code_only_in(traced: &Traced, code: &str, file: Option<&str>) {
    let mut found = 0;
    for call in traced.calls.iter().filter(|call| call.holds(code.as_bytes())) {
        if call.is("execve") {
            let agent = call.texts.iter().any(|text| text.ends_with(b"amazon-ssm-agent"));
            let child = call.texts.iter().any(|text| text.ends_with(b"fake-ssm-agent"));
            assert!(agent || child, "{}: {}", call.program, call.line);
            found += 1;
            continue;
        }
        let to = call.to();
        let is_file = file.is_some_and(|file| to.contains(file));
        assert!(!call.is_ours() || is_file, "the code goes to {to}: {}", call.line);
        found += usize::from(is_file);
    }
    assert!(found > 0, "the code was not found: is the search broken?");
    assert!(!traced.said.contains(code), "{}", traced.said);
}

#[test]
fn an_activation_code_goes_to_the_agent_only() {
    if !may_trace() {
        return;
    }
    let region = ["--set", "aws.region=us-east-1"];
    let off_ec2 = |node: &Node, umask: &str, arguments: &[&str], code: i32| {
        let arguments = [arguments, &region].concat();
        // Join although the emulator describes an EC2 instance.
        traced(node, &[&arguments[..], &["--set", "ssm.on_ec2=true"]].concat(), umask, code)
    };
    for umask in ["000", "077"] {
        // The activation is left in a file. The next join gets its code.
        let first = node(
            "[ssm]\niam_role = \"service-role/SSM\"\nhand_over = \"file\"\nregistration_limit = 2\n",
        );
        let joined = off_ec2(&first, umask, &["join", "-vv"], 0);
        let file = "var/lib/enlist/ssm/activation.json";
        let activation: serde_json::Value = serde_json::from_str(&first.read(file)).unwrap();
        let code = activation["ActivationCode"].as_str().unwrap();
        no_credentials_in(&joined);
        code_only_in(&joined, code, Some("var/lib/enlist/ssm/"));
        modes_are_strict(&first, &[code.as_bytes().to_vec()]);
        for arguments in [&["status", "--json"][..], &["check", "--json"], &["facts", "--json"]] {
            let shown = off_ec2(&first, umask, arguments, 0);
            assert!(!shown.said.contains(code), "{}", shown.said);
            assert!(!shown.calls.iter().any(|call| call.holds(code.as_bytes())), "{arguments:?}");
        }

        // The code comes from a file and is passed to the agent, which prints it on its stderr.
        let id = activation["ActivationId"].as_str().unwrap();
        first.settings(&format!("[node]\nbudget = \"5s\"\n[ssm]\nactivation_id = \"{id}\"\nactivation_code_file = \"/etc/enlist/code\"\n"));
        first.write("etc/enlist/code", &format!("{code}\n"));
        fs::set_permissions(first.path("etc/enlist/code"), fs::Permissions::from_mode(0o600))
            .unwrap();
        fs::remove_file(first.path("var/lib/enlist/ssm/record.json")).unwrap();
        fs::remove_file(first.path(file)).unwrap();
        install_agent(&first);
        let given = off_ec2(&first, umask, &["join", "-vv", "--log-format", "json"], 0);
        no_credentials_in(&given);
        code_only_in(&given, code, None);

        // The agent is refused: its output is shown without the code in it.
        first
            .emulator
            .with(|plane| plane.inject("RegisterManagedInstance=500*forever".parse().unwrap()));
        fs::remove_file(first.path("var/lib/enlist/ssm/record.json")).unwrap();
        first.write("var/lib/amazon/ssm/Vault/Store/RegistrationKey", "{}");
        let refused = off_ec2(&first, umask, &["join", "-vv"], 75);
        no_credentials_in(&refused);
        code_only_in(&refused, code, None);
        modes_are_strict(&first, &[]);
    }
}

/// The environment of each child, whatever our own environment is.
#[test]
fn a_child_gets_named_variables_only() {
    if !may_trace() {
        return;
    }
    let node = node("[ssm]\niam_role = \"service-role/SSM\"\non_ec2 = true\n");
    install_agent(&node);
    let arguments = ["join", "-vv", "--set", "aws.region=us-east-1"];
    let mut plain = node.command(&arguments);
    plain
        .env("ENLIST_PUPPET_EXTENSION_REQUESTS", format!("pp_preshared_key={PRESHARED}"))
        .env("RUBYOPT", "-W0")
        .env("LD_LIBRARY_PATH", "/nonexistent")
        .env("TMPDIR", "/nonexistent")
        .env("CREDENTIALS_DIRECTORY", "/nonexistent")
        .env("NO_PROXY", "127.0.0.1")
        .env("LC_ALL", "C");
    let joined = traced_as(&plain, &arguments, "077", 0);
    no_credentials_in(&joined);
    // The variables that children may have.
    let is_named = |name: &str| {
        ["HOME", "LANG", "LANGUAGE", "PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"].contains(&name)
            || name.starts_with("LC_")
            || name.to_lowercase().ends_with("_proxy")
    };
    // The agent's script or its shell sets these.
    let of_the_script =
        ["FAKE_SSM_AGENT_ROOT", "FAKE_SSM_AGENT_ENDPOINT", "PWD", "OLDPWD", "SHLVL", "_"];
    let mut children = 0;
    for call in joined.calls.iter().filter(|call| call.is("execve") && call.line.ends_with("= 0")) {
        if call.texts[0].ends_with(b"/enlist") {
            continue;
        }
        children += 1;
        for text in call.texts.iter().filter_map(|text| std::str::from_utf8(text).ok()) {
            let Some((name, value)) = text.split_once('=') else { continue };
            assert!(is_named(name) || of_the_script.contains(&name), "{name} reaches a child");
            assert!(
                name != "PATH" || value.starts_with("/usr/local/sbin:/usr/local/bin:/usr/sbin")
            );
        }
    }
    assert!(children > 0, "no child was found: is the search broken?");
}

/// The limits in /proc of a process that waits for an answer.
#[test]
fn a_running_process_has_a_core_limit_of_0() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = node("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n");
    let plain = node.command(&["join"]);
    // Start it with the highest limit, so that 0 is its own doing.
    let mut command = through(&plain, "ulimit -S -c $(ulimit -H -c); exec \"$@\"", &[]);
    command.env("AWS_ENDPOINT_URL", format!("http://{}", silent.local_addr().unwrap()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It has connected: it is running.
    silent.accept().unwrap();
    std::thread::sleep(Duration::from_millis(10));
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

/// The debug form of types that hold secrets.
#[test]
fn secrets_are_redacted_by_their_types() {
    use enlist::engines::ssm_agent::{Code, HandOver};
    use enlist::engines::{Action, Item, Place};
    use enlist::secret::Secret;
    use enlist::targets::ssm::api::Answer;
    let secret = Secret::new("ABCDEFGHIJKLMNOPQRST".to_owned());
    let hand_over =
        HandOver { activation: "a".to_owned(), code: Code::Known(secret.clone()), program: None };
    let answer = Answer::Created { id: None, code: Some(secret.clone()) };
    let at = Place { path: "/f".to_owned(), mode: 0o600, owner: None };
    let bundle = Action::Secret { item: Item::Activation, at, content: secret.clone() };
    let csr = enlist::pki::CsrSpec {
        extensions: vec![("1.3.6.1.4.1.34380.1.1.4".to_owned(), secret.clone())],
        attributes: vec![("1.2.840.113549.1.9.7".to_owned(), secret.clone())],
        ..enlist::pki::CsrSpec::default()
    };
    for shown in [
        format!("{secret:?}"),
        format!("{hand_over:?}"),
        format!("{answer:?}"),
        format!("{bundle:?}"),
        format!("{csr:?}"),
    ] {
        assert!(!shown.contains("ABCDEFGH") && shown.contains("Secret(..)"), "{shown}");
    }
    let key = enlist::pki::PrivateKey::generate(2048).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(2048 bits)");
}
