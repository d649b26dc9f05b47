//! Every target end to end through the binary that ships, judged by other people's programs;
//! the way out; lost replies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::process::Command;

use common::{NAME, Node, Run, mode, openssl, run, text};
use enlist_emulator::Options;
use serde_json::Value;

const STACK: &str = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee";

fn node(settings: &str, faults: &[&str]) -> Node {
    node_with(settings, faults, Options::default())
}

fn node_with(settings: &str, faults: &[&str], options: Options) -> Node {
    let mut options = options;
    options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    options.servers.push("name=chef-test,engine=Chef".parse().unwrap());
    options.servers.push("name=puppet-test".parse().unwrap());
    let node = Node::with(options);
    node.settings(&format!("[node]\nbudget = \"5s\"\n{settings}"));
    node
}

fn chef(more: &str) -> Node {
    node(&format!("[opsworks-cm]\nserver = \"chef-test\"\n[chef]\n{more}"), &[])
}

fn opsworks(faults: &[&str]) -> Node {
    node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), faults)
}

/// A node that is no EC2 instance, with the agent's stand-in where the agent would be.
fn ssm(more: &str, faults: &[&str]) -> Node {
    let node = node(&format!("[ssm]\niam_role = \"service-role/SSM\"\n{more}"), faults);
    node.write("etc/hostname", "db1.example.org\n");
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    install_agent(&node);
    node
}

fn install_agent(node: &Node) {
    let script = format!(
        "#!/bin/sh\necho \"$@\" | sed 's/-code [^ ]*/-code X/' >> {root}/agent-arguments\nSTAND_IN_ROOT={root} STAND_IN_ENDPOINT={url} exec {agent} \"$@\"\n",
        root = text(node.root.path()),
        url = node.emulator.api_url(),
        agent = stand_in(),
    );
    node.write("usr/bin/amazon-ssm-agent", &script);
    let program = node.path("usr/bin/amazon-ssm-agent");
    assert!(Command::new("chmod").arg("755").arg(program).status().unwrap().success());
}

/// Beside the agent's own binary, where a build of the workspace puts it.
fn stand_in() -> String {
    let path =
        std::path::Path::new(env!("CARGO_BIN_EXE_enlist")).with_file_name("stand-in-ssm-agent");
    if !path.exists() {
        let cargo =
            Command::new(env!("CARGO")).args(["build", "-p", "enlist-emulator", "--bins"]).status();
        assert!(cargo.unwrap().success());
    }
    text(&path).to_owned()
}

/// Without a metadata service: no EC2 instance.
fn off_ec2(node: &Node, arguments: &[&str]) -> Run {
    let mut command = node.command(arguments);
    command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    run(&mut command)
}

fn list<'a>(state: &'a Value, name: &str) -> &'a Vec<Value> {
    state[name].as_array().unwrap()
}

fn expect(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
    }
}

#[test]
fn chef_gets_a_key_that_the_authority_has_and_ruby_can_read_its_settings() {
    let node = chef("run_list = [\"recipe[base]\", \"role[web]\"]\nenvironment = \"prod\"\n");
    node.write("etc/chef/client.rb", "# ours\nlog_level :info");
    node.join();
    let key = node.path("etc/chef/client.pem");
    assert_eq!(mode(&key), 0o600);
    let state = node.emulator.state();
    let association = &list(&state, "associations")[0];
    assert_eq!(
        openssl(&["pkey", "-in", text(&key), "-pubout"]),
        association["public_key"].as_str().unwrap()
    );
    let rb = node.read("etc/chef/client.rb");
    assert!(rb.starts_with("# ours\nlog_level :info\n# BEGIN enlist"), "{rb}");
    assert!(
        rb.contains("chef_server_url 'https://chef-test.example/organizations/default'"),
        "{rb}"
    );
    ruby_reads(&node);
    let boot: Value = serde_json::from_str(&node.read("etc/chef/first-boot.json")).unwrap();
    assert_eq!(boot, serde_json::json!({ "run_list": ["recipe[base]", "role[web]"] }));
    // Twice is once.
    node.join();
    assert_eq!(node.read("etc/chef/client.rb"), rb);
    assert_eq!(node.asked("AssociateNode"), 1);
}

/// Ruby's own parser, where there is a Ruby.
fn ruby_reads(node: &Node) {
    match Command::new("ruby").arg("-c").arg(node.path("etc/chef/client.rb")).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => eprintln!("SKIPPED: there is no ruby to read client.rb with"),
    }
}

#[test]
fn chef_policies_and_hostile_values_end_as_text_or_as_an_error() {
    let node = chef("policy_name = \"web\"\npolicy_group = \"prod\"\n");
    node.join();
    assert!(node.read("etc/chef/client.rb").contains("policy_group 'prod'"));
    ruby_reads(&node);
    let long = "x".repeat(10_000);
    for hostile in ["a'; system('id') #", "#{`id`}", "a\\nb", "ü", "", long.as_str()] {
        for key in ["organization", "environment", "run_list", "policy_name", "key_attribute"] {
            let value = if key == "run_list" {
                format!("[\"{hostile}\"]")
            } else {
                format!("\"{hostile}\"")
            };
            let node = chef(&format!("{key} = {value}\n"));
            let run = node.enlist(&["join"]);
            assert_eq!(run.code, 78, "{key} = {value}: {}", run.stderr);
            assert!(run.stderr.len() < 1500, "a message is short: {} characters", run.stderr.len());
            assert!(node.emulator.calls().is_empty());
        }
    }
}

#[test]
fn leaving_chef_takes_what_is_ours_and_joining_again_works() {
    let node = chef("run_list = [\"recipe[base]\"]\n");
    node.write("etc/chef/client.rb", "log_level :info\n");
    node.join();
    let key = node.read("etc/chef/client.pem");
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(list(&node.emulator.state(), "associations").is_empty());
    assert_eq!(node.read("etc/chef/client.rb"), "log_level :info\n");
    assert!(!node.path("etc/chef/client.pem").exists());
    let backups: Vec<String> =
        node.files().into_iter().filter(|file| file.contains("/backup/")).collect();
    assert!(backups.iter().any(|file| node.read(file) == key), "the key is kept: {backups:?}");
    let again = node.enlist(&["leave"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to leave"), "{}", again.stdout);
    node.join();
    assert_ne!(node.read("etc/chef/client.pem"), key, "a new key");
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}

#[test]
fn leaving_puppet_puts_back_what_was_there() {
    let node = Node::new();
    let conf = "[main]\nserver = former.example\n# a comment\n";
    node.write("etc/puppetlabs/puppet/puppet.conf", conf);
    node.join();
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert_eq!(node.asked("DisassociateNode"), 1);
    assert!(list(&node.emulator.state(), "associations").is_empty());
    assert_eq!(node.read("etc/puppetlabs/puppet/puppet.conf"), conf);
    assert!(!node.key().exists() && !node.certificate().exists() && !node.ssl("ssl.lock").exists());
    let status = node.enlist(&["status"]);
    assert!(status.stdout.contains("not joined"), "{}", status.stdout);
    node.join();
    openssl(&["verify", "-CAfile", text(&node.ssl("certs/ca.pem")), text(&node.certificate())]);
}

#[test]
fn a_departure_that_was_cut_short_is_finished_and_join_keeps_off() {
    let node = Node::new();
    node.join();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[node]\nbudget = \"1s\"\n");
    node.emulator.inject("DisassociateNode=500*forever".parse().unwrap());
    expect(&node.enlist(&["leave"]), 75, &["DisassociateNode"]);
    assert!(node.certificate().exists(), "nothing is cleared before the authority was told");
    expect(&node.enlist(&["join"]), 78, &["leaving", "enlist leave"]);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    // The reply to the first try is lost, and the second one finds the node gone.
    node.emulator.inject("DisassociateNode=lost-reply".parse().unwrap());
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(!node.certificate().exists());
}

#[test]
fn an_instance_registers_with_its_identity_and_openssl_agrees_on_the_fingerprint() {
    let node = opsworks(&[]);
    node.write("etc/hostname", "app-1.example.org\n");
    node.join();
    let state = node.emulator.state();
    let instance = &list(&state, "instances")[0];
    assert_eq!(instance["ec2_instance_id"], NAME);
    assert_eq!(instance["hostname"], "app-1");
    let calls = node.emulator.calls();
    let sent = &calls.iter().find(|call| call.action == "RegisterInstance").unwrap().request;
    let document = node.emulator.with_imds(|imds| imds.instance_mut().identity_document());
    assert_eq!(sent["InstanceIdentity"]["Document"], document, "byte for byte");
    let key = node.path("etc/aws/opsworks/instance-key.pem");
    assert_eq!(
        sent["RsaPublicKey"].as_str().unwrap(),
        openssl(&["pkey", "-in", text(&key), "-pubout"])
    );
    let der = node.path("spki.der");
    openssl(&["pkey", "-in", text(&key), "-pubout", "-outform", "DER", "-out", text(&der)]);
    let digest = openssl(&["dgst", "-sha1", "-r", text(&der)]);
    assert_eq!(
        sent["RsaPublicKeyFingerprint"].as_str().unwrap(),
        digest.split(' ').next().unwrap()
    );
    // The agent's file: the key in it is the key.
    let agent = node.path("etc/aws/opsworks/instance-agent.yml");
    assert_eq!(mode(&agent), 0o600);
    let yaml = fs::read_to_string(&agent).unwrap();
    let pem: String = yaml
        .split(":instance_private_key: |\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with("  "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    assert_eq!(pem, fs::read_to_string(&key).unwrap());
    assert!(
        yaml.contains(&format!(":identity: {:?}\n", instance["id"].as_str().unwrap())),
        "{yaml}"
    );
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(list(&node.emulator.state(), "instances").is_empty());
    assert!(!agent.exists() && !key.exists());
    assert_eq!(node.enlist(&["leave"]).code, 0);
}

#[test]
fn a_lost_reply_makes_no_second_instance() {
    for fault in [
        "RegisterInstance=lost-reply",
        "RegisterInstance=lost-before",
        "RegisterInstance=500",
        "RegisterInstance=truncated",
    ] {
        let node = opsworks(&[fault]);
        let mut last = node.enlist(&["join"]);
        if last.code == 76 {
            // What is not the API ends a start; the next one settles the doubt.
            last = node.enlist(&["join"]);
        }
        assert_eq!(last.code, 0, "{fault}: {}", last.stderr);
        let state = node.emulator.state();
        assert_eq!(list(&state, "instances").len(), 1, "{fault}");
        let id = list(&state, "instances")[0]["id"].as_str().unwrap().to_owned();
        assert!(node.read("etc/aws/opsworks/instance-agent.yml").contains(&id), "{fault}");
    }
}

#[test]
fn opsworks_refuses_what_does_not_fit_before_anything_is_sent() {
    let cases = [
        ("", "stack_id = \"nope\"\n", "UUID"),
        (
            "",
            &format!("stack_id = \"{STACK}\"\nprivate_ip = \"10.0.0.1\"\n"),
            "infrastructure = \"on-premises\"",
        ),
        ("", &format!("stack_id = \"{STACK}\"\ninfrastructure = \"mars\"\n"), "on-premises"),
        ("", &format!("stack_id = \"{STACK}\"\nhostname = \"-x\"\n"), "1 to 63"),
        ("", &format!("stack_id = \"{STACK}\"\nhostname = \"{}\"\n", "a".repeat(64)), "1 to 63"),
        (
            "",
            &format!(
                "stack_id = \"{STACK}\"\ninfrastructure = \"on-premises\"\npublic_ip = \"::1\"\n"
            ),
            "IPv4",
        ),
        ("web_1\n", &format!("stack_id = \"{STACK}\"\n"), "host name"),
    ];
    for (hostname, settings, word) in cases {
        let node = node(&format!("[opsworks]\n{settings}"), &[]);
        if !hostname.is_empty() {
            node.write("etc/hostname", hostname);
        }
        expect(&node.enlist(&["join"]), 78, &[word]);
        assert_eq!(node.asked("RegisterInstance"), 0);
    }
    // At the limit: 63 characters.
    let node = node(
        &format!("[opsworks]\nstack_id = \"{STACK}\"\nhostname = \"{}\"\n", "a".repeat(63)),
        &[],
    );
    node.join();
    // Another region than the stack's.
    let options =
        Options { stacks: vec!["region=eu-west-1".parse().unwrap()], ..Options::default() };
    let elsewhere = node_with(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[], options);
    expect(
        &elsewhere.enlist(&["join"]),
        78,
        &["the stack is in eu-west-1, and this instance in us-east-1"],
    );
    assert_eq!(elsewhere.asked("RegisterInstance"), 0);
    let unknown = node_with_stack("00000000-0000-4000-8000-000000000000");
    expect(&unknown.enlist(&["join"]), 69, &["no such stack"]);
}

fn node_with_stack(id: &str) -> Node {
    node(&format!("[opsworks]\nstack_id = \"{id}\"\n"), &[])
}

#[test]
fn on_premises_an_instance_registers_its_addresses() {
    let node = node(
        &format!(
            "[opsworks]\nstack_id = \"{STACK}\"\ninfrastructure = \"on-premises\"\nhostname = \"rack7.example\"\nprivate_ip = \"10.1.2.3\"\n"
        ),
        &["RegisterInstance=lost-reply"],
    );
    let run =
        off_ec2(&node, &["join", "--set", "node.name=rack7", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "instances").len(), 1, "found again by its host name and address");
    let instance = &list(&state, "instances")[0];
    assert_eq!(
        (&instance["hostname"], &instance["private_ip"]),
        (&"rack7".into(), &"10.1.2.3".into())
    );
}

#[test]
fn the_agent_is_handed_an_activation_and_leaves_no_code_behind() {
    let node = ssm("description = \"rack 7\"\ntags = { team = \"db\" }\n", &[]);
    let run = off_ec2(&node, &["join", "-vv", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    let managed = &list(&state, "managed_instances")[0];
    let id = managed["id"].as_str().unwrap();
    assert!(id.starts_with("mi-") && run.stdout.contains(id), "{}", run.stdout);
    let calls = node.emulator.calls();
    let sent = &calls.iter().find(|call| call.action == "CreateActivation").unwrap().request;
    assert_eq!(sent["IamRole"], "service-role/SSM");
    assert_eq!(sent["RegistrationLimit"], 1);
    assert_eq!(sent["DefaultInstanceName"], "db1.example.org");
    assert!(sent["Description"].as_str().unwrap().starts_with("rack 7 (enlist "), "{sent}");
    // The code is nowhere but at the agent.
    let calls =
        serde_json::to_string(&calls.iter().map(|call| call.request.clone()).collect::<Vec<_>>())
            .unwrap();
    let code = calls
        .split("\"ActivationCode\":\"")
        .nth(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned());
    let code = code.expect("the agent sent the code to the API");
    for file in node.files().iter().filter(|file| !file.starts_with("var/lib/amazon")) {
        assert!(!fs::read_to_string(node.path(file)).unwrap_or_default().contains(&code), "{file}");
    }
    assert!(!run.stderr.contains(&code) && !run.stdout.contains(&code));
    assert!(node.read("agent-arguments").contains("-y"));
    let left = off_ec2(&node, &["leave", "--set", "aws.region=us-east-1"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    let state = node.emulator.state();
    assert!(
        list(&state, "managed_instances").is_empty() && list(&state, "activations").is_empty(),
        "{state}"
    );
    assert_eq!(off_ec2(&node, &["leave", "--set", "aws.region=us-east-1"]).code, 0);
}

#[test]
fn a_hand_over_that_fails_leaves_the_former_registration_intact() {
    let node = ssm("", &["RegisterManagedInstance=500*forever"]);
    let vault = "var/lib/amazon/ssm/Vault/Store/RegistrationKey";
    let former =
        "{\"instanceID\":\"mi-0aaaaaaaaaaaaaaaa\",\"region\":\"us-east-1\",\"privateKey\":\"x\"}";
    node.write(vault, former);
    node.write(
        "var/lib/amazon/ssm/registration",
        "{\"ManagedInstanceID\":\"mi-0aaaaaaaaaaaaaaaa\",\"Region\":\"us-east-1\"}",
    );
    node.write("var/lib/amazon/ssm/Vault/Manifest", "{}");
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    expect(&run, 75, &["did not register", "mi-0aaaaaaaaaaaaaaaa is as it was", "budget"]);
    assert_eq!(node.read(vault), former);
    assert_eq!(node.read("var/lib/amazon/ssm/Vault/Manifest"), "{}", "the whole vault");
    assert!(
        !node.files().iter().any(|file| file.starts_with("var/lib/enlist/ssm/vault")),
        "the copies hold keys"
    );
    // The next start lets the lost activation go, and makes another one.
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "activations").len(), 1, "no leftover activation: {state}");
    assert_eq!(list(&state, "managed_instances").len(), 1);
    assert_ne!(node.read(vault), former);
}

#[test]
fn a_registration_whose_reply_was_lost_leaves_no_second_node() {
    // The agent tries again by itself, and finds the activation used up; another one is made.
    let node = ssm("", &["RegisterManagedInstance=lost-reply"]);
    let run =
        off_ec2(&node, &["join", "--set", "aws.region=us-east-1", "--set", "node.budget=20s"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "activations").len(), 1, "{state}");
    assert_eq!(list(&state, "managed_instances").len(), 1, "{state}");
    let id = list(&state, "managed_instances")[0]["id"].as_str().unwrap();
    assert!(node.read("var/lib/amazon/ssm/Vault/Store/RegistrationKey").contains(id));
}

#[test]
fn a_lost_activation_is_deleted_and_made_anew() {
    for fault in
        ["CreateActivation=lost-reply", "CreateActivation=lost-before", "CreateActivation=500"]
    {
        let node = ssm("", &[fault]);
        let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
        assert_eq!(run.code, 0, "{fault}: {}", run.stderr);
        let state = node.emulator.state();
        assert_eq!(list(&state, "activations").len(), 1, "{fault}: {state}");
        assert_eq!(list(&state, "managed_instances").len(), 1, "{fault}");
    }
}

#[test]
fn a_broken_answer_with_a_code_in_it_is_not_kept() {
    let node = ssm("", &["CreateActivation=truncated"]);
    let run = off_ec2(&node, &["join", "-vv", "--set", "aws.region=us-east-1"]);
    expect(&run, 76, &["is not the API"]);
    let evidence: Vec<String> =
        node.files().into_iter().filter(|file| file.contains("/evidence/")).collect();
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    let kept = node.read(&evidence[0]);
    assert!(
        kept.contains("HTTP status 200")
            && kept.contains("not kept")
            && !kept.contains("Activation"),
        "{kept}"
    );
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(list(&node.emulator.state(), "activations").len(), 1);
}

#[test]
fn an_activation_can_be_left_in_a_file_or_come_from_elsewhere() {
    let node = ssm("hand_over = \"file\"\n", &[]);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let path = "var/lib/enlist/ssm/activation.json";
    assert_eq!(mode(&node.path(path)), 0o600);
    let file: Value = serde_json::from_str(&node.read(path)).unwrap();
    assert!(!node.path("agent-arguments").exists(), "the agent was not called");
    let (id, code) =
        (file["ActivationId"].as_str().unwrap(), file["ActivationCode"].as_str().unwrap());
    // Another node is given that activation.
    let other = ssm(
        &format!("activation_id = \"{id}\"\nactivation_code_file = \"/etc/enlist/code\"\n"),
        &[],
    );
    other.write("etc/enlist/code", &format!("{code}\n"));
    fs::write(
        other.path("usr/bin/amazon-ssm-agent"),
        node.read("usr/bin/amazon-ssm-agent")
            .replace(text(node.root.path()), text(other.root.path())),
    )
    .unwrap();
    let run = off_ec2(&other, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(other.asked("CreateActivation"), 0);
    assert_eq!(list(&node.emulator.state(), "managed_instances").len(), 1);
    // It is used up now, and a third one is told so in plain words.
    other.write("var/lib/amazon/ssm/Vault/Store/RegistrationKey", "{}");
    fs::remove_file(other.path("var/lib/enlist/ssm/record.json")).unwrap();
    let run = off_ec2(&other, &["join", "--set", "aws.region=us-east-1"]);
    expect(&run, 69, &["used up"]);
    assert!(!run.stderr.contains(code));
}

#[test]
fn ssm_refuses_what_does_not_fit_before_anything_is_sent() {
    let long = |n: usize| "x".repeat(n);
    let cases = [
        ("iam_role = \"arn:aws:iam::1:role/x\"\n".to_owned(), "not its ARN"),
        (format!("iam_role = \"{}\"\n", long(65)), "1 to 64"),
        (String::new(), "ssm.iam_role is missing"),
        ("iam_role = \"r\"\nregistration_limit = 0\n".to_owned(), "1 to 1000"),
        ("iam_role = \"r\"\nregistration_limit = 1001\n".to_owned(), "1 to 1000"),
        ("iam_role = \"r\"\nexpires_in = \"31d\"\n".to_owned(), "30days"),
        (format!("iam_role = \"r\"\ndefault_instance_name = \"{}\"\n", long(257)), "at most 256"),
        ("iam_role = \"r\"\ndefault_instance_name = \"a;b\"\n".to_owned(), "at most 256"),
        (format!("iam_role = \"r\"\ndescription = \"{}\"\n", long(231)), "at most 230"),
        ("iam_role = \"r\"\ntags = { \"aws:x\" = \"y\" }\n".to_owned(), "aws:"),
        (format!("iam_role = \"r\"\ntags = {{ \"{}\" = \"y\" }}\n", long(129)), "1 to 128"),
        (
            "activation_id = \"e488f2f6-e686-4afb-8a04-ef6dfe000000\"\n".to_owned(),
            "activation_code_file is missing",
        ),
    ];
    for (settings, word) in cases {
        let node = node(&format!("[ssm]\n{settings}"), &[]);
        expect(&off_ec2(&node, &["join"]), 78, &[word]);
        assert!(node.emulator.calls().is_empty());
    }
    let at_limits = format!(
        "[ssm]\niam_role = \"{}\"\nregistration_limit = 1000\nexpires_in = \"29d 23h\"\ndefault_instance_name = \"{}\"\ndescription = \"{}\"\ntags = {{ \"{}\" = \"{}\" }}\nhand_over = \"file\"\n",
        long(64),
        long(256),
        long(230),
        long(128),
        long(256)
    );
    let node = node(&at_limits, &[]);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1", "--set", "node.name=x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn on_ec2_no_activation_is_needed_and_an_agent_is() {
    let on_ec2 = ssm("", &[]);
    expect(&on_ec2.enlist(&["join"]), 78, &["needs no activation", "on_ec2 = true"]);
    assert!(on_ec2.emulator.calls().is_empty());
    let bare = node("[ssm]\niam_role = \"r\"\n", &[]);
    expect(&off_ec2(&bare, &["join"]), 74, &["amazon-ssm-agent is not installed"]);
}

#[test]
fn several_targets_join_side_by_side_and_one_that_fails_holds_none_back() {
    let settings = format!(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[opsworks]\nstack_id = \"{STACK}\"\n"
    );
    let node = node(&settings, &["RegisterInstance=denied*forever"]);
    let run = node.enlist(&["join"]);
    expect(&run, 77, &["RegisterInstance was denied"]);
    assert!(run.stdout.contains("joined: server puppet-test"), "{}", run.stdout);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let run = node.join();
    assert!(
        run.stdout.contains("already joined: server")
            && run.stdout.contains(&format!("joined: stack {STACK}")),
        "{}",
        run.stdout
    );
    assert_eq!(node.asked("AssociateNode"), 1);
    let left = node.enlist(&["leave", "--target", "opsworks"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1, "the other target stays");
    assert_eq!(node.enlist(&["status"]).code, 75);
}

#[test]
fn the_least_policy_names_every_action_that_was_called() {
    let settings = format!(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[opsworks]\nstack_id = \"{STACK}\"\n"
    );
    let node = node(&settings, &["RegisterInstance=lost-reply"]);
    let run = node.enlist(&["policy"]);
    let policy: Value = serde_json::from_str(&run.stdout).unwrap();
    let actions: Vec<&str> = list(&policy, "Statement")
        .iter()
        .flat_map(|statement| list(statement, "Action"))
        .map(|action| action.as_str().unwrap().split(':').nth(1).unwrap())
        .collect();
    node.join();
    assert_eq!(node.enlist(&["leave"]).code, 0);
    let called: Vec<String> =
        node.emulator.calls().iter().map(|call| call.action.clone()).collect();
    for action in &called {
        assert!(actions.contains(&action.as_str()), "{action} is called, and not in {actions:?}");
    }
    for action in actions {
        assert!(
            called.iter().any(|one| one == action),
            "{action} is in the policy, and never called: {called:?}"
        );
    }
}
