//! Secrets stay where they belong: every command under strace, at its loudest, with secrets that
//! are known; then everything that left the process is searched for them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Node, STACK, run, stand_in, target_node_with, text};
use enlist_emulator::Options;

const SECRET_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

/// What strace is to show: all that leaves a process, and what it starts.
const CALLS: &str =
    "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg,execve,prlimit64,setrlimit,prctl";

/// One system call: who made it, in which program, and all the texts in it, decoded.
struct Call {
    program: String,
    /// With file names, as strace shows them.
    line: String,
    texts: Vec<Vec<u8>>,
}

/// What a command said, and what it did.
struct Traced {
    said: String,
    calls: Vec<Call>,
}

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

/// The stand-in where the agent would be; it says its arguments, as a careless agent might.
fn install_agent(node: &Node) {
    let script = format!(
        "#!/bin/sh\necho \"called with: $*\" >&2\nSTAND_IN_ROOT={} STAND_IN_ENDPOINT={} exec {} \"$@\"\n",
        text(node.root.path()),
        node.emulator.api_url(),
        stand_in(),
    );
    node.write("usr/bin/amazon-ssm-agent", &script);
    let program = node.path("usr/bin/amazon-ssm-agent");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn may_trace() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let may = tried.is_ok_and(|status| status.success());
    assert!(may || std::env::var("CI").as_deref() != Ok("true"), "CI has to have strace");
    if !may {
        println!("SKIPPED: strace is not there, or may not trace here");
    }
    may
}

/// Runs it so, with this umask; the exit code has to be that.
fn traced(node: &Node, arguments: &[&str], umask: &str, code: i32) -> Traced {
    traced_as(&node.command(arguments), arguments, umask, code)
}

fn traced_as(plain: &Command, arguments: &[&str], umask: &str, code: i32) -> Traced {
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_path = text(log.path());
    let strace =
        ["-f", "-v", "-xx", "-y", "-s", "65536", "-e", CALLS, "-e", "signal=none", "-o", log_path];
    let shell = format!("umask {umask}; exec strace \"$@\"");
    let run = run(through(plain, &shell, &strace).stdin(Stdio::null()));
    assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
    let calls = parse(&fs::read_to_string(log.path()).unwrap());
    assert!(calls.len() > 3, "strace saw nothing");
    Traced { said: run.stdout + &run.stderr, calls }
}

/// The same command with the same environment, behind a shell's words and these arguments.
fn through(plain: &Command, shell: &str, before: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).args(before);
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn parse(log: &str) -> Vec<Call> {
    let mut programs: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let texts: Vec<Vec<u8>> = rest.split('"').skip(1).step_by(2).map(decoded).collect();
        if rest.trim_start().starts_with("execve(") && rest.ends_with("= 0") {
            let program = String::from_utf8_lossy(&texts[0]).into_owned();
            programs.insert(pid, program);
        }
        // Threads of ours have not started anything.
        let program = programs.get(pid).cloned().unwrap_or_else(|| "enlist".to_owned());
        calls.push(Call { program, line: rest.trim_start().to_owned(), texts });
    }
    calls
}

/// From `\x61\x62`; what is not written so is not text.
fn decoded(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok()).collect()
}

impl Call {
    fn holds(&self, secret: &[u8]) -> bool {
        self.texts.iter().any(|text| text.windows(secret.len()).any(|part| part == secret))
    }

    fn is_ours(&self) -> bool {
        self.program.ends_with("/enlist") || self.program == "enlist"
    }

    fn is(&self, name: &str) -> bool {
        self.line.starts_with(&format!("{name}("))
    }

    /// What the file descriptor leads to: `pipe:[1]`, `socket:[2]`, a path.
    fn to(&self) -> String {
        let inside = self.line.split_once('<').map_or("", |(_, rest)| rest);
        let name = inside.split_once('>').map_or(inside, |(name, _)| name);
        if name.starts_with("\\x") {
            return String::from_utf8_lossy(&decoded(name)).into_owned();
        }
        name.to_owned()
    }
}

/// The secret parts of a key in PEM: each line of its body, and bytes from the middle of it.
fn parts_of(pem_text: &str) -> Vec<Vec<u8>> {
    let lines = pem_text.lines().filter(|line| line.len() == 64 && !line.starts_with('-'));
    let mut parts: Vec<Vec<u8>> = lines.map(|line| line.as_bytes().to_vec()).collect();
    assert!(parts.len() > 10, "that is no key");
    // The first lines hold the public half.
    parts.drain(..8);
    let der = pem::parse(pem_text).unwrap().into_contents();
    parts.push(der[der.len() / 2..der.len() / 2 + 48].to_vec());
    parts
}

/// No secret of the environment goes anywhere but, the token, to the API; none reaches a child.
fn credentials_stay(traced: &Traced) {
    assert!(!traced.said.contains(SECRET_KEY), "{}", traced.said);
    for call in &traced.calls {
        // strace's own start of us is how we come by it.
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

/// A key is written to files that hold keys, and to nothing else, by nobody else.
fn key_stays(traced: &Traced, key: &str, at: &[&str]) {
    let mut written = 0;
    for call in &traced.calls {
        for part in parts_of(key) {
            if call.holds(&part) {
                written += 1;
                let to = call.to();
                assert!(call.is_ours() && call.is("write"), "{}: {}", call.program, call.line);
                // Under the name that files have until they are whole.
                let directory = to.rsplit_once('/').unwrap_or_default().0.to_owned();
                assert!(at.iter().any(|known| directory.ends_with(known)), "the key goes to {to}");
            }
        }
    }
    assert!(written > 0 || at.is_empty(), "the key was not seen: is the search broken?");
    for part in parts_of(key) {
        assert!(!traced.said.contains(&*String::from_utf8_lossy(&part)));
    }
}

/// Files that hold any of these may be read by their owner alone; Puppet's own key by its group.
fn guarded(node: &Node, secrets: &[Vec<u8>]) {
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
        // Records, evidence and backups are root's alone, whatever is in them.
        if file.starts_with("var/lib/enlist/") && !file.ends_with("/lock") {
            assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
        }
    }
    let state = common::mode(&node.path("var/lib/enlist"));
    assert_eq!(state & 0o077, 0, "{state:o}");
}

fn no_core(traced: &Traced) {
    let first =
        |name: &str| traced.calls.iter().find(|call| call.is(name) && call.line.contains("CORE"));
    let limit = first("prlimit64").or_else(|| first("setrlimit"));
    assert!(limit.is_some(), "RLIMIT_CORE was not asked for");
    let dumpable = traced
        .calls
        .iter()
        .any(|call| call.is("prctl") && call.line.contains("PR_SET_DUMPABLE, SUID_DUMP_DISABLE"));
    assert!(dumpable, "it may be dumped");
}

#[test]
fn a_key_of_puppets_goes_to_its_file_and_nowhere_else() {
    if !may_trace() {
        return;
    }
    let settings = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";
    for (umask, format) in [("000", "json"), ("077", "text")] {
        let node = node(settings);
        let at = ["var/lib/enlist/opsworks-cm", "puppet/ssl/private_keys"];
        let joined = traced(&node, &["join", "-vv", "--log-format", format], umask, 0);
        let key = fs::read_to_string(node.key()).unwrap();
        no_core(&joined);
        let mut all = vec![(joined, &at[..])];
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["check"],
            &["check", "--json"],
            &["facts"],
            &["facts", "--json"],
            &["policy"],
            &["join", "-vv"],
        ] {
            all.push((traced(&node, arguments, umask, 0), &[]));
        }
        guarded(&node, &parts_of(&key));
        // On the way out a copy of the key is kept.
        let backup = ["var/lib/enlist/opsworks-cm/backup"];
        all.push((traced(&node, &["leave", "-vv"], umask, 0), &backup[..]));
        guarded(&node, &parts_of(&key));
        for (traced, at) in &all {
            credentials_stay(traced);
            key_stays(traced, &key, at);
        }
    }
}

#[test]
fn keys_of_chef_and_of_stacks_go_to_their_files_and_nowhere_else() {
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
            credentials_stay(&joined);
            key_stays(&joined, &key, &[&format!("var/lib/enlist/{state}"), at]);
            guarded(&node, &parts_of(&key));
            let left = traced(&node, &["leave", "-vv"], umask, 0);
            credentials_stay(&left);
            key_stays(&left, &key, &[&format!("var/lib/enlist/{state}/backup")]);
            guarded(&node, &parts_of(&key));
        }
    }
}

/// An activation's code goes to the agent, which takes it as an argument and in no other way.
fn code_stays(traced: &Traced, code: &str, file: Option<&str>) {
    let mut told = 0;
    for call in traced.calls.iter().filter(|call| call.holds(code.as_bytes())) {
        if call.is("execve") {
            let agent = call.texts.iter().any(|text| text.ends_with(b"amazon-ssm-agent"));
            let child = call.texts.iter().any(|text| text.ends_with(b"stand-in-ssm-agent"));
            assert!(agent || child, "{}: {}", call.program, call.line);
            told += 1;
            continue;
        }
        let to = call.to();
        let is_file = file.is_some_and(|file| to.contains(file));
        assert!(!call.is_ours() || is_file, "the code goes to {to}: {}", call.line);
        told += usize::from(is_file);
    }
    assert!(told > 0, "the code was not seen: is the search broken?");
    assert!(!traced.said.contains(code), "{}", traced.said);
}

#[test]
fn an_activation_code_goes_to_the_agent_and_nowhere_else() {
    if !may_trace() {
        return;
    }
    let region = ["--set", "aws.region=us-east-1"];
    let off_ec2 = |node: &Node, umask: &str, arguments: &[&str], code: i32| {
        let arguments = [arguments, &region].concat();
        // A machine that is no EC2 instance, whatever the emulator tells.
        traced(node, &[&arguments[..], &["--set", "ssm.on_ec2=true"]].concat(), umask, code)
    };
    for umask in ["000", "077"] {
        // Left in a file: its code is what the next node is given.
        let first = node(
            "[ssm]\niam_role = \"service-role/SSM\"\nhand_over = \"file\"\nregistration_limit = 2\n",
        );
        let joined = off_ec2(&first, umask, &["join", "-vv"], 0);
        let file = "var/lib/enlist/ssm/activation.json";
        let activation: serde_json::Value = serde_json::from_str(&first.read(file)).unwrap();
        let code = activation["ActivationCode"].as_str().unwrap();
        credentials_stay(&joined);
        code_stays(&joined, code, Some("var/lib/enlist/ssm/"));
        guarded(&first, &[code.as_bytes().to_vec()]);
        for arguments in [&["status", "--json"][..], &["check", "--json"], &["facts", "--json"]] {
            let shown = off_ec2(&first, umask, arguments, 0);
            assert!(!shown.said.contains(code), "{}", shown.said);
            assert!(!shown.calls.iter().any(|call| call.holds(code.as_bytes())), "{arguments:?}");
        }

        // Given: read from its file, told to the agent, which repeats it on its stderr.
        let id = activation["ActivationId"].as_str().unwrap();
        first.settings(&format!("[node]\nbudget = \"5s\"\n[ssm]\nactivation_id = \"{id}\"\nactivation_code_file = \"/etc/enlist/code\"\n"));
        first.write("etc/enlist/code", &format!("{code}\n"));
        fs::set_permissions(first.path("etc/enlist/code"), fs::Permissions::from_mode(0o600))
            .unwrap();
        fs::remove_file(first.path("var/lib/enlist/ssm/record.json")).unwrap();
        fs::remove_file(first.path(file)).unwrap();
        install_agent(&first);
        let given = off_ec2(&first, umask, &["join", "-vv", "--log-format", "json"], 0);
        credentials_stay(&given);
        code_stays(&given, code, None);

        // Refused: the agent's words are shown, and the code in them is not.
        first
            .emulator
            .with(|plane| plane.inject("RegisterManagedInstance=500*forever".parse().unwrap()));
        fs::remove_file(first.path("var/lib/enlist/ssm/record.json")).unwrap();
        first.write("var/lib/amazon/ssm/Vault/Store/RegistrationKey", "{}");
        let refused = off_ec2(&first, umask, &["join", "-vv"], 75);
        credentials_stay(&refused);
        code_stays(&refused, code, None);
        guarded(&first, &[]);
    }
}

const PRESHARED: &str = "PRESHARED-0123456789-abcdef";
const CHALLENGE: &str = "CHALLENGE-0123456789-abcdef";
const FROM_TAG: &str = "FROM-A-TAG-0123456789-abcdef";

/// The lines of the request that the authority was sent: it holds the secrets, encoded.
fn request_lines(node: &Node) -> Vec<Vec<u8>> {
    let calls = node.emulator.calls();
    let call = calls.iter().rfind(|call| call.action == "AssociateNode").unwrap();
    let csr = call.request["EngineAttributes"][0]["Value"].as_str().unwrap().to_owned();
    let der = pem::parse(&csr).unwrap().into_contents();
    let has = |secret: &str| der.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(has(CHALLENGE) && (has(PRESHARED) || has(FROM_TAG)), "the request has no secrets");
    csr.lines().filter(|line| line.len() == 64).map(|line| line.as_bytes().to_vec()).collect()
}

/// What proves that the node may join is in no output, no file but the admin's own, and in what is
/// sent to the authority only as part of the request.
fn proofs_stay(node: &Node, traced: &Traced, request: &[Vec<u8>]) {
    let secrets = [PRESHARED, CHALLENGE, FROM_TAG];
    for secret in secrets {
        assert!(!traced.said.contains(secret), "{}", traced.said);
    }
    for call in &traced.calls {
        // strace's own start of us is how we come by those of the environment.
        if call.is("execve") && call.texts[0].ends_with(b"/enlist") {
            continue;
        }
        for secret in secrets {
            assert!(!call.holds(secret.as_bytes()), "{}: {}", call.program, call.to());
        }
        if request.iter().any(|line| call.holds(line)) {
            let is_sent = call.is_ours() && !call.to().starts_with('/') && !call.is("execve");
            assert!(is_sent, "the request goes to {}: {}", call.to(), call.line);
        }
    }
    for file in node.files() {
        if file.ends_with("enlist.toml") || file.ends_with("csr_attributes.yaml") {
            continue;
        }
        let content = fs::read(node.path(&file)).unwrap();
        let holds = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        let is_kept = secrets.iter().any(|secret| holds(secret.as_bytes()));
        assert!(!is_kept && !request.iter().any(|line| holds(line)), "{file}");
    }
}

fn node_with_proofs(settings: &str, tag: Option<&str>) -> Node {
    let mut options = Options::default();
    let tags = tag.map(|tag| [("pp_preshared_key".to_owned(), tag.to_owned())].into());
    options.instance.tags = tags;
    let node = target_node_with(settings, &[], options);
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        &format!("custom_attributes:\n  1.2.840.113549.1.9.7: {CHALLENGE}\n"),
    );
    node
}

#[test]
fn what_proves_that_a_node_may_join_goes_to_the_authority_and_nowhere_else() {
    if !may_trace() {
        return;
    }
    let settings = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";
    let of_ours =
        format!("{settings}extension_requests = {{ pp_preshared_key = \"{PRESHARED}\" }}\n");
    let by_oid = format!(
        "{settings}extension_requests = {{ \"1.3.6.1.4.1.34380.1.1.4\" = \"{PRESHARED}\" }}\n"
    );
    for (settings, tag, umask, format) in [
        (of_ours.as_str(), None, "000", "json"),
        (by_oid.as_str(), None, "077", "text"),
        (settings, Some(FROM_TAG), "000", "text"),
    ] {
        let node = node_with_proofs(settings, tag);
        // As an earlier version, or Puppet, left it.
        let request =
            format!("etc/puppetlabs/puppet/ssl/certificate_requests/{}.pem", common::NAME);
        node.write(&request, &format!("{CHALLENGE}\n"));
        let joined = traced(&node, &["join", "-vv", "--log-format", format], umask, 0);
        assert!(!node.path(&request).exists());
        let lines = request_lines(&node);
        assert!(lines.len() > 5);
        proofs_stay(&node, &joined, &lines);
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["check"],
            &["check", "--json"],
            &["facts"],
            &["facts", "--json"],
            &["policy"],
            &["join", "-vv"],
            &["leave", "-vv"],
        ] {
            proofs_stay(&node, &traced(&node, arguments, umask, 0), &lines);
        }
    }
}

/// Each child's environment, whatever ours holds.
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
    credentials_stay(&joined);
    // And whatever of these the tester has.
    let is_named = |name: &str| {
        ["HOME", "LANG", "LANGUAGE", "PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"].contains(&name)
            || name.starts_with("LC_")
            || name.to_lowercase().ends_with("_proxy")
    };
    // The agent's script sets these, or its shell does.
    let its_own = ["STAND_IN_ROOT", "STAND_IN_ENDPOINT", "PWD", "OLDPWD", "SHLVL", "_"];
    let mut children = 0;
    for call in joined.calls.iter().filter(|call| call.is("execve") && call.line.ends_with("= 0")) {
        if call.texts[0].ends_with(b"/enlist") {
            continue;
        }
        children += 1;
        for text in call.texts.iter().filter_map(|text| std::str::from_utf8(text).ok()) {
            let Some((name, value)) = text.split_once('=') else { continue };
            assert!(is_named(name) || its_own.contains(&name), "{name} reaches a child");
            assert!(
                name != "PATH" || value.starts_with("/usr/local/sbin:/usr/local/bin:/usr/sbin")
            );
        }
    }
    assert!(children > 0, "no child was seen: is the search broken?");
}

/// It ends with this code, and shows no secret.
fn hidden(what: &str, run: &common::Run, code: i32) {
    assert_eq!(run.code, code, "{what}: {}", run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains(PRESHARED) && !said.contains(CHALLENGE), "{what}: {said}");
}

#[test]
fn errors_about_what_proves_that_a_node_may_join_do_not_show_it() {
    let server = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\n";
    let mistakes = [
        format!("extension_requests = \"pp_preshared_key={PRESHARED}\"\n"),
        format!("extension_requests = [\"{PRESHARED}\"]\n"),
        format!("extension_requests = {{ pp_preshared_key = [\"{PRESHARED}\"] }}\n"),
        format!("extension_requests = {{ pp_preshared_key = \"{PRESHARED} }}\n"),
        format!("extension_requests = {{ pp_preshared_key = {PRESHARED} }}\n"),
        format!("extension_requests = {{ pp_preshared_key = \"{PRESHARED}\", pp_rule = \"x\" }}\n"),
        format!("extension_requests = {{ pp_presharedkey = \"{PRESHARED}\" }}\n"),
        format!("extension_request = {{ pp_preshared_key = \"{PRESHARED}\" }}\n"),
        format!(
            "extension_requests.pp_preshared_key = \"{PRESHARED}\"\nextension_requests.pp_preshared_key = \"{PRESHARED}\"\n"
        ),
    ];
    let node = Node::new();
    for text in &mistakes {
        node.settings(&format!("{server}{text}"));
        hidden(text, &node.enlist(&["check", "-vv"]), 78);
    }
    node.settings(server);
    for set in [
        format!("puppet.extension_requests={PRESHARED}"),
        format!("puppet.extension_request=pp_preshared_key={PRESHARED}"),
        format!("puppet.extension_requests=pp_preshared_key={PRESHARED},{PRESHARED}"),
        format!("puppet.extension_requests=pp_rule=x,pp_preshared_key={PRESHARED}"),
    ] {
        hidden(&set, &node.enlist(&["check", "-vv", "--set", &set]), 78);
    }
    for (name, value) in [
        ("ENLIST_PUPPET_EXTENSION_REQUESTS", PRESHARED.to_owned()),
        ("ENLIST_PUPPET_EXTENSION_REQUEST", format!("pp_preshared_key={PRESHARED}")),
    ] {
        hidden(name, &run(node.command(&["check", "-vv"]).env(name, value)), 78);
    }
    // Valid, and shown as such.
    let set = format!("puppet.extension_requests=PP_ROLE=x,pp_preshared_key={PRESHARED}");
    let valid = set.replace("PP_ROLE", "pp_role");
    for arguments in [&["check"][..], &["check", "--json"]] {
        let shown = node.enlist(&[arguments, &["--set", &valid]].concat());
        hidden("check", &shown, 0);
        assert!(
            shown.stdout.contains("(secret)") && shown.stdout.contains("pp_role"),
            "{}",
            shown.stdout
        );
    }
}

#[test]
fn errors_about_csr_attributes_do_not_show_what_is_in_them() {
    let node = Node::new();
    for yaml in [
        format!("custom_attributes:\n  challengePassword: [{CHALLENGE}]\n"),
        format!("custom_attributes: {CHALLENGE}\n"),
        format!("custom_attributes: {{ challengePassword: {CHALLENGE}\n"),
        format!("custom_attributes:\n  challenge-password: {CHALLENGE}\n"),
        format!("extension_requests:\n  pp_presharedkey: {CHALLENGE}\n"),
        format!("{CHALLENGE}\n"),
    ] {
        node.write("etc/puppetlabs/puppet/csr_attributes.yaml", &yaml);
        hidden(&yaml, &node.enlist(&["join", "-vv"]), 78);
        assert!(!node.read("var/lib/enlist/opsworks-cm/record.json").contains(CHALLENGE));
    }
}

/// Services repeat what they refuse.
#[test]
fn a_request_that_comes_back_in_an_error_is_not_shown() {
    use std::io::{BufRead, BufReader, Read, Write};
    let node = node_with_proofs("", None);
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings("[node]\nbudget = \"5s\"\n[opsworks-cm]\nserver = \"puppet-test\"\nengine = \"puppet\"\nendpoint = \"p.example\"\nca_file = \"/ca.pem\"\n[puppet]\nkey_bits = 2048\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sent, csr) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let csr = request["EngineAttributes"][0]["Value"].as_str().unwrap().to_owned();
        let message = format!("1 validation error detected: Value '{csr}' at 'engineAttributes'");
        let body =
            serde_json::json!({ "__type": "ValidationException", "message": message }).to_string();
        let _ = write!(
            stream,
            "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        sent.send(csr).unwrap();
    });
    let mut command = node.command(&["join", "-vv"]);
    let refused = run(command.env("AWS_ENDPOINT_URL", url));
    common::expect(&refused, 69, &["validation error detected", "(secret)"]);
    let record = node.read("var/lib/enlist/opsworks-cm/record.json");
    for line in csr.recv().unwrap().lines().filter(|line| line.len() == 64) {
        assert!(!refused.stderr.contains(line) && !record.contains(line), "{}", refused.stderr);
    }
}

/// What stands in /proc of a process that waits for an answer.
#[test]
fn a_process_at_work_leaves_no_core() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = node("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n");
    let plain = node.command(&["join"]);
    // With as much of a core as it may have, so that it is not by chance that there is none.
    let mut command = through(&plain, "ulimit -S -c $(ulimit -H -c); exec \"$@\"", &[]);
    command.env("AWS_ENDPOINT_URL", format!("http://{}", silent.local_addr().unwrap()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It has said something: it is at work.
    silent.accept().unwrap();
    std::thread::sleep(Duration::from_millis(10));
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

/// Types that hold secrets show nothing of them.
#[test]
fn secrets_are_redacted_by_their_types() {
    use enlist::engines::ssm_agent::{Code, HandOver};
    use enlist::engines::{Action, Item, Place};
    use enlist::secret::Secret;
    use enlist::targets::ssm::api::Answer;
    let secret = Secret::new("ABCDEFGHIJKLMNOPQRST".to_owned());
    let hand_over = HandOver {
        activation: "a".to_owned(),
        code: Code::Known(secret.clone()),
        region: None,
        program: None,
    };
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
