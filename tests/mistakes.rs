//! What can go wrong: the exit code, the message, and the files that are left.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
#[path = "mistakes/host.rs"]
mod host;

use std::fs;

use common::{NAME, Node, Run, bare, run};
use enlist_emulator::Options;
use enlist_emulator::imds::Answering;

/// A node whose emulator has these faults: `ACTION=KIND[*COUNT][@FROM]`.
fn with_faults(faults: &[&str]) -> Node {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let node = Node::with(Options { faults, ..Options::default() });
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"5s\"\n");
    node
}

/// Checks the exit code, and that the message has its parts: what, on what, what to do.
fn expect(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("\n  on: ") && run.stderr.contains("\n  to do: "),
        "{}",
        run.stderr
    );
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
    }
    assert!(
        !run.stderr.contains("Error {") && !run.stderr.contains("Some("),
        "debug output: {}",
        run.stderr
    );
}

/// Checks that nothing is installed.
fn nothing_installed(node: &Node) {
    let files = node.files();
    let in_ssl: Vec<&String> =
        files.iter().filter(|file| file.starts_with("etc/puppetlabs")).collect();
    assert!(in_ssl.is_empty(), "{in_ssl:?}");
    assert!(!files.iter().any(|file| file.contains("enlist-new")), "{files:?}");
}

#[test]
fn bad_arguments_are_usage() {
    for arguments in [&["jion"][..], &["join", "--nope"], &[], &["join", "-q", "-v"]] {
        let run = run(&mut bare(arguments));
        assert_eq!(run.code, 64, "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.is_empty());
    }
    let help = run(&mut bare(&["--help"]));
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Exit codes:"));
}

#[test]
fn invalid_settings_are_named_with_file_line_and_allowed_values() {
    let node = Node::new();
    let server = "[opsworks-cm]\nserver = \"puppet-test\"\n";
    let cases: [(String, &[&str]); 16] = [
        ("[node]\nname = \"x\"\n".into(), &["no target is configured"]),
        ("[opsworks-cm]\n".into(), &["opsworks-cm.server is missing", "line 1"]),
        ("[opsworks-cm]\nserver = 7\n".into(), &["opsworks-cm.server", "line 2", "text in quotes"]),
        ("[opsworks-cm]\nserver = \"1abc\"\n".into(), &["1 to 40 letters"]),
        (format!("[opsworks-cm]\nserver = \"{}\"\n", "a".repeat(41)), &["1 to 40 letters"]),
        ("[opsworks-cm\nserver = \"x\"\n".into(), &["not TOML", "line 1"]),
        (
            format!("{server}enginee = \"puppet\"\n"),
            &["opsworks-cm.enginee", "line 3", "opsworks-cm.engine"],
        ),
        (format!("{server}engine = \"cfengine\"\n"), &["cfengine", "\"puppet\""]),
        (format!("{server}endpoint = \"a b\"\n"), &["a host name"]),
        (format!("{server}ca_file = \"/nope.pem\"\n"), &["/nope.pem", "No such file"]),
        (format!("{server}[puppet]\nkey_bits = 1024\n"), &["1024", "2048, 3072 or 4096", "line 4"]),
        (format!("{server}[puppet]\nssldir = \"../x\"\n"), &["absolute path"]),
        (
            format!("{server}[puppet]\nextension_requests = {{ pp_rule = \"x\" }}\n"),
            &["pp_rule", "pp_role"],
        ),
        (format!("{server}[node]\nname = \"{{instance}}\"\n"), &["{instance_id}"]),
        (format!("{server}[node]\nbudget = \"soon\"\n"), &["node.budget", "\"30m\""]),
        (format!("{server}[aws]\nendpoint_url = \"ftp://x\"\n"), &["http://"]),
    ];
    for (text, words) in &cases {
        node.settings(text);
        expect(&node.enlist(&["join"]), 78, words);
        expect(&node.enlist(&["check"]), 78, words);
    }
    node.settings(server);
    let mut command = node.command(&["join"]);
    command.env("ENLIST_PUPPET_KEYBITS", "2048");
    expect(&run(&mut command), 78, &["ENLIST_PUPPET_KEYBITS", "ENLIST_PUPPET_KEY_BITS"]);
    expect(&node.enlist(&["join", "--target", "ssm"]), 78, &["ssm", "opsworks-cm"]);
    expect(&node.enlist(&["join", "--set", "puppet.keybits=1"]), 78, &["puppet.key_bits"]);
    expect(&node.enlist(&["join", "--config", "/nope.toml"]), 78, &["/nope.toml"]);
    nothing_installed(&node);
    assert!(node.emulator.calls().is_empty());
}

#[test]
fn missing_and_wrong_credentials_and_a_refusal_are_denied() {
    let node = with_faults(&[]);
    let mut command = node.command(&["join"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    expect(&run(&mut command), 77, &["no usable credentials", "AWS_ACCESS_KEY_ID"]);
    let mut command = node.command(&["join"]);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong-secret-that-must-not-show");
    let denied = run(&mut command);
    expect(&denied, 77, &["DescribeServers was denied", "InvalidSignatureException"]);
    assert!(!denied.stderr.contains("must-not-show"));
    for fault in ["AssociateNode=denied*forever", "DescribeServers=html-403*forever"] {
        let node = with_faults(&[fault]);
        expect(&node.enlist(&["join"]), 77, &["was denied"]);
        nothing_installed(&node);
    }
}

#[test]
fn network_and_service_errors_are_retried_within_the_budget() {
    let node = with_faults(&[]);
    let mut command = node.command(&["join"]);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    expect(&run(&mut command), 75, &["DescribeServers could not be sent", "budget of 5 s"]);
    for fault in [
        "*=500*forever",
        "*=throttle*forever",
        "AssociateNode=invalid-state*forever",
        "*=lost-before*forever",
    ] {
        let node = with_faults(&[fault]);
        expect(&node.enlist(&["join"]), 75, &["gave up"]);
        nothing_installed(&node);
        let status = node.enlist(&["status"]);
        assert_eq!(status.code, 75);
        assert!(status.stdout.contains("stopped at"), "{}", status.stdout);
    }
}

#[test]
fn the_api_is_reached_through_the_proxy_and_metadata_directly() {
    use std::io::{BufRead, BufReader, Write};
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = with_faults(&[]);
    let mut command = node.command(&["join"]);
    command.env("HTTP_PROXY", format!("http://{}", proxy.local_addr().unwrap()));
    command.env("AWS_ENDPOINT_URL", "http://opsworks.invalid");
    command.env("ENLIST_AWS_ALLOW_HTTP", "true");
    let seen = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        line
    });
    let run = run(&mut command);
    assert_eq!(seen.join().unwrap(), "POST http://opsworks.invalid/ HTTP/1.1\r\n");
    assert!(run.stderr.contains(NAME), "the metadata was asked directly: {}", run.stderr);
}

#[test]
fn a_missing_file_of_a_member_is_reported() {
    let node = Node::new();
    node.join();
    fs::remove_file(node.certificate()).unwrap();
    let run = node.join();
    assert!(run.stderr.contains("certificate is missing"), "{}", run.stderr);
}

#[test]
fn a_join_survives_transient_faults() {
    for fault in [
        "*=500*2",
        "*=throttle*2",
        "AssociateNode=invalid-state",
        "DescribeNodeAssociationStatus=lost-reply",
        "*=lost-before",
    ] {
        let node =
            Node::with(Options { faults: vec![fault.parse().unwrap()], ..Options::default() });
        node.join();
    }
}

#[test]
fn an_answer_that_is_not_the_apis_is_protocol_and_kept() {
    for fault in [
        "DescribeServers=html*forever",
        "AssociateNode=html*forever",
        "DescribeNodeAssociationStatus=html*forever",
        "DescribeServers=garbage*forever",
        "DescribeNodeAssociationStatus=garbage*forever",
        "DescribeServers=redirect*forever",
    ] {
        let node = with_faults(&[fault]);
        let run = node.enlist(&["join"]);
        expect(&run, 76, &["is not from the API", "aws.endpoint_url"]);
        nothing_installed(&node);
        assert!(
            node.files().iter().any(|file| file.contains("/evidence/")),
            "{fault}: {:?}",
            node.files()
        );
    }
}

#[test]
fn a_wrong_certificate_is_refused_and_kept() {
    let cases = [
        ("cert:other-key", "another key"),
        ("cert:other-name", "for the name"),
        ("cert:other-ca", "not signed by the known CA"),
        ("cert:expired", "expired"),
        ("cert:not-yet", "is the clock behind?"),
        ("cert:two", "2 PEM blocks"),
        ("cert:not-pem", "not PEM"),
        ("cert:none", "no attribute PUPPET_NODE_CERT"),
    ];
    for (fault, word) in cases {
        let node = with_faults(&[&format!("*={fault}*forever")]);
        let before = "former\n";
        node.write("etc/puppetlabs/puppet/ssl/certs/ca.pem", before);
        let run = node.enlist(&["join"]);
        expect(&run, 65, &["the returned certificate was refused", word]);
        assert_eq!(
            node.read("etc/puppetlabs/puppet/ssl/certs/ca.pem"),
            before,
            "{fault}: the ssldir stays as it was"
        );
        assert!(!node.certificate().exists() && !node.key().exists(), "{fault}");
        assert!(node.files().iter().any(|file| file.contains("/evidence/")), "{fault}");
        // The token is kept: another start does not associate again.
        expect(&node.enlist(&["join"]), 65, &[word]);
        assert_eq!(node.asked("AssociateNode"), 1, "{fault}");
    }
}

#[test]
fn failed_and_unknown_are_rejected() {
    let node = with_faults(&["AssociateNode=failed*1"]);
    expect(&node.enlist(&["join"]), 69, &["the association FAILED", "the same key"]);
    nothing_installed(&node);
    node.join();
    let node = with_faults(&[]);
    expect(
        &node.enlist(&["join", "--set", "opsworks-cm.server=nobody"]),
        69,
        &["no such server", "nobody"],
    );
}

#[test]
fn an_invalid_name_is_refused_before_any_request() {
    for name in ["Web-{instance_id}", "a b", "ca", "x-", "{hostname}_é", ".x"] {
        let node = Node::new();
        let run = node.enlist(&["join", "--set", &format!("node.name={name}")]);
        expect(&run, 78, &["the node's name can't be used"]);
        assert!(node.emulator.calls().is_empty(), "{name}");
    }
}

#[test]
fn a_web_page_instead_of_metadata_means_not_ec2() {
    let node = Node::with(Options { imds: Answering::Portal, ..Options::default() });
    node.write("etc/hostname", "web9.example.net\n");
    let run = node.join();
    assert!(run.stdout.contains("as web9.example.net"), "{}", run.stdout);
    assert!(run.stderr.contains("not an EC2 instance"), "{}", run.stderr);
}

#[test]
fn metadata_that_is_not_up_yet_is_retried_on_ec2() {
    let node = with_faults(&[]);
    node.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    let mut command = node.command(&["join"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    expect(&run(&mut command), 75, &["metadata service did not answer"]);
}

/// A quote that is not closed in an environment file, or a line that ends with `\\`: the next variables are part of
/// the value.
#[test]
fn a_variable_that_swallowed_the_next_one_does_not_show_it() {
    let node = Node::new();
    for name in [
        "ENLIST_NODE_NAME",
        "ENLIST_OPSWORKS_CM_SERVER",
        "ENLIST_PUPPET_KEY_BITS",
        "ENLIST_PUPPET_SERVER_SERVER",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_PROFILE",
        "HTTPS_PROXY",
    ] {
        for (command, between) in [("check", "\n"), ("join", ""), ("join", " ")] {
            let mut command = node.command(&[command]);
            command.env(name, format!("a b{between}AWS_SECRET_ACCESS_KEY=s3cret-s3cret"));
            let run = run(&mut command);
            expect(&run, 78, &[name]);
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(!said.contains("s3cret-s3cret"), "{said}");
        }
    }
}

#[test]
fn drop_ins_and_the_environment_override_in_order() {
    let node = Node::new();
    node.write(
        "usr/lib/enlist/config.d/10-vendor.toml",
        "[puppet]\nkey_bits = 2048\ntag_prefix = \"v_\"\n[aws]\nregion = \"eu-west-1\"\n",
    );
    node.write("run/enlist/config.d/10-boot.toml", "[puppet]\ntag_prefix = \"b_\"\n");
    node.settings("[opsworks-cm]\nserver = \"main\"\n[puppet]\ntag_prefix = \"m_\"\n");
    node.write("etc/enlist/config.d/20-b.toml", "[opsworks-cm]\nserver = \"second\"\n");
    node.write("etc/enlist/config.d/10-a.toml", "[opsworks-cm]\nserver = \"first\"\n");
    node.write("etc/enlist/config.d/.hidden.toml", "nonsense");
    node.write("etc/enlist/config.d/README", "nonsense");
    let mut command = node.command(&["check", "--json", "--set", "node.name=n1"]);
    command.env("ENLIST_PUPPET_KEY_BITS", "3072");
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let parsed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let value = |key: &str| {
        let settings = parsed["settings"].as_array().unwrap();
        let line = settings.iter().find(|line| line["key"] == key).unwrap();
        (line["value"].clone(), line["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(value("opsworks-cm.server").0, "second");
    assert!(value("opsworks-cm.server").1.ends_with("20-b.toml, line 2"));
    assert_eq!(value("puppet.tag_prefix").0, "m_");
    assert_eq!(value("aws.region").0, "eu-west-1");
    assert_eq!(
        value("puppet.key_bits"),
        (3072.into(), "environment, ENLIST_PUPPET_KEY_BITS".into())
    );
    assert_eq!(value("node.name").0, "n1");
    assert_eq!(parsed["files"].as_array().unwrap().len(), 5);
}

/// A rebuilt machine: its name still belongs to the lost key.
#[test]
fn a_name_of_another_key_is_refused_with_the_command_that_frees_it() {
    let node = with_faults(&[]);
    node.join();
    for gone in ["var", "etc/puppetlabs"] {
        fs::remove_dir_all(node.path(gone)).unwrap();
    }
    let run = node.enlist(&["join"]);
    expect(&run, 69, &["AssociateNode was refused", "already associated"]);
    expect(
        &run,
        69,
        &[
            "`aws opsworks-cm disassociate-node --server-name puppet-test --node-name i-0123456789abcdef0`",
        ],
    );
    nothing_installed(&node);
}
