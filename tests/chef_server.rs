//! `[chef-server]` end to end: the program against the emulator's Chef server over TLS, whose own code
//! checks the signatures, and checks by OpenSSL and Ruby.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "chef_server/bad_answers.rs"]
mod bad_answers;
#[path = "chef_server/changes.rs"]
mod changes;
#[path = "chef_server/client_d.rs"]
mod client_d;
mod common;
#[path = "chef_server/corrected.rs"]
mod corrected;
#[path = "chef_server/leaving.rs"]
mod leaving;
#[path = "chef_server/library.rs"]
mod library;
#[path = "chef_server/products.rs"]
mod products;
#[path = "chef_server/rotation.rs"]
mod rotation;
#[path = "chef_server/ruby.rs"]
mod ruby;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::chef_node::{self, NAME_OF_RECORD, enlist, names, node, settings, validator_pem};
use common::{NAME, Node, OtherMachine, expect, list, mode, openssl, run, text};
use serde_json::{Value, json};

/// The calls of a join without a fault.
const JOIN: [&str; 3] = ["GetServerApiVersion", "CreateClient", "CreateNode"];

fn asked(node: &Node) -> Vec<String> {
    node.emulator.calls().iter().map(|call| call.action.clone()).collect()
}

#[test]
fn a_node_joins_with_three_requests_and_owns_its_node() {
    let node = node("run_list = [\"recipe[base]\", \"role[web]\"]\nenvironment = \"prod\"\n", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(asked(&node), JOIN);
    let state = node.emulator.state();
    assert_eq!(names(&state, "chef_clients"), [NAME]);
    let client = &list(&state, "chef_clients")[0];
    let key = node.path("etc/chef/client.pem");
    assert_eq!(mode(&key), 0o600);
    let public = openssl(&["pkey", "-in", text(&key), "-pubout"]);
    assert_eq!(client["public_key"], public);
    assert_eq!((&client["validator"], &client["admin"]), (&json!(false), &json!(false)));
    assert!(node.read("etc/chef/client.pem").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let object = &list(&state, "chef_nodes")[0];
    assert_eq!(object["owner"], NAME, "the client created its node itself");
    assert_eq!(object["object"]["run_list"], json!(["recipe[base]", "role[web]"]));
    assert_eq!(object["object"]["chef_environment"], "prod");
    let rb = node.read("etc/chef/client.rb");
    let url = node.emulator.chef_url().unwrap().trim_end_matches('/').to_owned();
    assert!(rb.contains(&format!("chef_server_url '{url}/organizations/default'")), "{rb}");
    assert!(!rb.contains("validat") && !rb.contains("verify_none"), "{rb}");
    // A member asks nothing.
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(asked(&node).len(), 3);
    expect(&enlist(&node, &["status"]), 0, &[]);
}

#[test]
fn a_policy_is_in_the_node_and_chef_client_may_create_it_instead() {
    let policy = "policy_name = \"web\"\npolicy_group = \"prod\"\n";
    let node = node(policy, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let object = list(&node.emulator.state(), "chef_nodes")[0]["object"].clone();
    assert_eq!((&object["policy_name"], &object["policy_group"]), (&json!("web"), &json!("prod")));
    let node = chef_node::node(policy, &[]);
    let text = settings(&node, "30s")
        .replace("[chef]\n", &format!("create_node = false\n[chef]\n{policy}"));
    node.settings(&text);
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(asked(&node), ["GetServerApiVersion", "CreateClient", "GetNode"]);
    assert!(list(&node.emulator.state(), "chef_nodes").is_empty());
}

#[test]
fn a_lost_reply_is_settled_with_the_nodes_own_key() {
    for (fault, posts) in [("lost-reply", 1), ("lost-before", 2), ("500", 2)] {
        let node = node("", &[&format!("chef:CreateClient={fault}*1")]);
        expect(&enlist(&node, &["join"]), 0, &[]);
        let look = asked(&node).iter().filter(|action| *action == "GetClient").count();
        assert_eq!((node.asked("CreateClient"), look), (posts, 1), "{fault}: {:?}", asked(&node));
    }
    // A busy server is asked again without a look in between: a name that is taken by then is looked at.
    let node = node("", &["chef:CreateClient=503*2"]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!((node.asked("CreateClient"), node.asked("GetClient")), (3, 0), "{:?}", asked(&node));
    for fault in ["lost-reply", "lost-before", "500"] {
        let node = chef_node::node("", &[&format!("chef:CreateNode={fault}*1")]);
        expect(&enlist(&node, &["join"]), 0, &[]);
        let state = node.emulator.state();
        assert_eq!(list(&state, "chef_nodes")[0]["owner"], NAME, "{fault}");
    }
}

#[test]
fn a_node_without_a_record_takes_what_is_its_own() {
    let node = node("", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let key = node.read("etc/chef/client.pem");
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.read("etc/chef/client.pem"), key);
    assert_eq!(names(&node.emulator.state(), "chef_clients"), [NAME]);
}

#[test]
fn a_name_that_another_machine_has_is_explained() {
    let node = node("", &[]);
    let name = format!("[node]\nname = \"{NAME}\"\n");
    let text = settings(&node, "30s").replace("[node]\n", &name);
    let other = OtherMachine::new(&node, &text);
    for file in ["ca.pem", "validator.pem"] {
        fs::copy(node.path(file), other.path(file)).unwrap();
    }
    assert_eq!(other.off_ec2(&["join"]).code, 0);
    let said = enlist(&node, &["join"]);
    let clean = format!("knife client delete {NAME}; knife node delete {NAME}");
    expect(&said, 69, &["for another key", &clean, "Invalid signature"]);
    assert!(!node.path("etc/chef/client.pem").exists());
    // The admin deletes only the client. The node object is still that of the other machine.
    chef_node::admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
    let said = enlist(&node, &["join"]);
    let clean = format!("knife node delete {NAME}");
    expect(&said, 69, &["may not change", &clean, "missing update permission"]);
    assert!(!node.path("etc/chef/client.rb").exists(), "chef-client does not run");
    chef_node::admin(&node, "DELETE", &format!("nodes/{NAME}"), &Value::Null);
    expect(&enlist(&node, &["join"]), 0, &[]);
}

/// A join that was refused has created the client, and a leave removes it.
#[test]
fn leaving_after_a_stale_node_leaves_no_client_behind() {
    let node = node("", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
    fs::remove_file(node.path("etc/chef/client.pem")).unwrap();
    chef_node::admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
    expect(&enlist(&node, &["join"]), 69, &["knife node delete"]);
    assert_eq!(names(&node.emulator.state(), "chef_clients"), [NAME]);
    let left = enlist(&node, &["leave"]);
    expect(&left, 0, &[]);
    let said = format!("{}{}", left.stdout, left.stderr);
    assert!(said.contains(&format!("run `knife node delete {NAME}`")), "{said}");
    assert!(names(&node.emulator.state(), "chef_clients").is_empty());
}

#[test]
fn leaving_removes_the_node_and_then_the_client() {
    let node = node("", &[]);
    node.write("etc/chef/client.rb", "# the admin's\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    let before = asked(&node).len();
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert_eq!(asked(&node)[before..], ["DeleteNode", "DeleteClient"]);
    let state = node.emulator.state();
    assert!(names(&state, "chef_clients").is_empty(), "{state}");
    assert!(list(&state, "chef_nodes").is_empty());
    assert!(!node.path("etc/chef/client.pem").exists());
    assert_eq!(node.read("etc/chef/client.rb"), "# the admin's\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
}

#[test]
fn the_validator_key_is_read_in_both_forms_and_refused_with_the_reason() {
    let node = node("", &[]);
    let path = text(&node.path("validator.pem")).to_owned();
    let pkcs1 = openssl(&["pkey", "-in", &path, "-traditional"]);
    let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &path]);
    let crlf = |pem: &str| pem.replace('\n', "\r\n");
    assert!(pkcs1.starts_with("-----BEGIN RSA"), "{pkcs1}");
    for pem in [pkcs1.clone(), crlf(&pkcs1), pkcs8.clone(), crlf(&pkcs8), format!("{pkcs8}\n\n")] {
        node.write("validator.pem", &pem);
        expect(&enlist(&node, &["join"]), 0, &[]);
        expect(&enlist(&node, &["leave"]), 0, &[]);
    }
    let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:x", "-in", &path]);
    let old = openssl(&["pkey", "-in", &path, "-traditional", "-aes128", "-passout", "pass:x"]);
    let ec = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let with_parameters = openssl(&["ecparam", "-name", "prime256v1", "-genkey"]);
    assert!(with_parameters.contains("BEGIN EC PARAMETERS"), "{with_parameters}");
    let public = openssl(&["pkey", "-in", &path, "-pubout"]);
    let calls = node.asked("CreateClient");
    for (pem, word) in [
        (encrypted.as_str(), "encrypted"),
        (&old, "encrypted"),
        (&ec, "not an RSA key"),
        (&with_parameters, "not an RSA key"),
        (&public, "this is public"),
        ("nothing", "no PEM"),
        (&pkcs1[..pkcs1.len() / 2], "PEM"),
    ] {
        node.write("validator.pem", pem);
        let said = enlist(&node, &["join"]);
        expect(&said, 78, &[word, "/validator.pem", "validator_key in [chef-server]"]);
        let body = pem.lines().nth(1).unwrap_or("nothing else");
        assert!(!said.stderr.contains(body) || body == "nothing else", "{}", said.stderr);
    }
    let refused = |words: &[&str]| expect(&enlist(&node, &["join"]), 78, words);
    node.write("validator.pem", &pkcs1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&["everybody can write to it", "chmod go-w "]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let der = format!("{path}.der");
    openssl(&["rsa", "-in", &path, "-outform", "DER", "-out", &der]);
    fs::rename(&der, &path).unwrap();
    refused(&["it is in DER form", "openssl pkey -inform DER -in "]);
    fs::remove_file(&path).unwrap();
    refused(&["/validator.pem", "No such file"]);
    fs::create_dir(&path).unwrap();
    refused(&["/validator.pem", "Is a directory"]);
    fs::remove_dir(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    refused(&["a named pipe (FIFO), not a regular file"]);
    assert_eq!(node.asked("CreateClient"), calls, "nothing was created");
}

#[test]
fn the_validator_key_is_removed_once_the_node_has_joined_if_told_to() {
    let node = node("", &["chef:CreateNode=500*1"]);
    let good = settings(&node, "30s");
    let with = |line: &str| good.replace("[chef-server]\n", &format!("[chef-server]\n{line}\n"));
    node.settings(
        &with("remove_validator = true")
            .replace("{ file = \"/validator.pem\" }", "{ credential = \"v\" }"),
    );
    expect(&enlist(&node, &["join"]), 78, &["remove_validator", "only a file"]);
    node.settings(&with("remove_validator = true").replace("validator.pem", "none.pem"));
    expect(&enlist(&node, &["join"]), 78, &["/none.pem"]);
    assert!(node.path("validator.pem").exists());
    node.settings(&with("remove_validator = true"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert!(!node.path("validator.pem").exists());
    assert!(!node.files().iter().any(|file| file.contains("validator")), "no backup is kept");
    // It is removed again by the next start, and a member needs none. A link to it does not save it.
    node.write("secret/key.pem", validator_pem());
    std::os::unix::fs::symlink("secret/key.pem", node.path("validator.pem")).unwrap();
    expect(&enlist(&node, &["join"]), 0, &[]);
    for file in ["validator.pem", "secret/key.pem"] {
        assert!(fs::symlink_metadata(node.path(file)).is_err(), "{file}");
    }
    expect(&enlist(&node, &["leave"]), 0, &[]);
}

/// The look is signed with the installed key, so it proves the membership.
#[test]
fn a_probe_finds_a_client_that_was_deleted() {
    let node = node("", &[]);
    let probe = ["status", "--probe"];
    expect(&enlist(&node, &["join"]), 0, &[]);
    let said = enlist(&node, &probe);
    assert!(said.stdout.contains(&format!("client {NAME}")), "{}", said.stdout);
    expect(&said, 0, &[]);
    chef_node::admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
    let said = enlist(&node, &probe);
    assert_ne!(said.code, 0);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(all.contains("the client was deleted"), "{all}");
    // Another machine takes the name.
    let other = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", chef_node::public_der(&other)));
    let body = json!({ "public_key": public });
    chef_node::admin(&node, "PUT", &format!("clients/{NAME}"), &body);
    let said = enlist(&node, &probe);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("another key"));
    assert_eq!(enlist(&node, &["doctor"]).code, said.code);
}

#[test]
fn the_doctor_reads_the_validator_key() {
    let node = node("", &[]);
    let path = node.files().into_iter().find(|file| file.contains("valid")).unwrap();
    let said = enlist(&node, &["doctor"]);
    assert!(said.code == 78 && said.stdout.contains("chmod 0600"), "{}", said.stdout);
    let only_ours = fs::Permissions::from_mode(0o600);
    fs::set_permissions(node.path(&path), only_ours).unwrap();
    expect(&enlist(&node, &["doctor"]), 0, &[]);
    node.write(&path, "none\n");
    let said = enlist(&node, &["doctor"]);
    assert!(said.code == 78 && said.stdout.contains("no PEM block"), "{}", said.stdout);
    fs::remove_file(node.path(&path)).unwrap();
    let said = enlist(&node, &["doctor"]);
    assert!(said.code == 78 && said.stdout.contains("can't be read"), "{}", said.stdout);
}

#[test]
fn the_validator_key_is_in_no_output_and_no_other_file() {
    let node = node("", &["chef:CreateClient=500*1"]);
    let pem = validator_pem();
    let runs = [&["join"][..], &["join", "-vv"], &["status", "--json"]];
    let runs = runs.map(|arguments| enlist(&node, arguments));
    let said: String = runs.into_iter().flat_map(|run| [run.stdout, run.stderr]).collect();
    for line in pem.lines().filter(|line| !line.starts_with('-')) {
        assert!(!said.contains(line));
        for file in node.files().into_iter().filter(|file| file != "validator.pem") {
            assert!(!node.read(&file).contains(line), "{file}");
        }
    }
    assert!(!node.read(NAME_OF_RECORD).contains("PRIVATE"));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let node = node("", &[]);
    let good = settings(&node, "30s");
    let url = chef_node::url(&node);
    for (from, to, word) in [
        (url.as_str(), "http://c.example/organizations/default", "http://"),
        (&url, "https://c.example/organizations", "organization"),
        (&url, "https://c.example/organizations/a/clients", "end with"),
        (&url, "c.example", "scheme"),
        ("{ file = \"/validator.pem\" }", "\"/v.pem\"", "{ file = \"/path\" }"),
        ("{ file = \"/validator.pem\" }", "{ path = \"/x\" }", "{ file ="),
        ("/ca.pem", "/none.pem", "chef-server.ca_file"),
        ("[chef-server]\n", "[chef-server]\nvalidator_name = \"a b\"\n", "validator_name"),
    ] {
        node.settings(&good.replace(from, to));
        expect(&enlist(&node, &["join"]), 78, &[word]);
    }
    for (name, word) in [
        ("a:b", "letters, digits"),
        (".", "letters, digits"),
        ("..", "letters, digits"),
        ("default-validator", "that of the validator"),
        ("pivotal", "that of the validator"),
    ] {
        node.settings(&good.replace("[node]\n", &format!("[node]\nname = \"{name}\"\n")));
        for command in ["join", "check"] {
            expect(&enlist(&node, &[command]), 78, &[&format!("\"{name}\""), word, "node.name"]);
        }
    }
    node.settings(&good.replace("https://", "https://admin:hunter2@"));
    let said = enlist(&node, &["check"]);
    expect(&said, 78, &["chef-server.url", "login"]);
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    node.settings(&format!("{good}[opsworks-cm]\nserver = \"s\"\nengine = \"chef\"\n"));
    expect(&enlist(&node, &["check"]), 78, &["opsworks-cm.engine", "[chef-server]"]);
    let policy = "policy_name = \"p\"\npolicy_group = \"g\"\nenvironment = \"e\"\n";
    node.settings(&good.replace("[chef]\n", &format!("[chef]\n{policy}")));
    expect(&enlist(&node, &["check"]), 78, &["chef.environment", "not both"]);
    assert!(asked(&node).is_empty());
    run(&mut node.command(&["check"]));
}
