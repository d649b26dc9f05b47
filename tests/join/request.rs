//! The content of the certificate request.

use std::collections::BTreeMap;
use std::fs;

use enlist_emulator::Options;

use crate::common::{NAME, Node, openssl, text};

/// The extensions of the certificate by OID, besides `pp_role`.
const EXTENSIONS: [(&str, &str); 8] = [
    ("1.3.6.1.4.1.34380.1.1.2", NAME),
    ("1.3.6.1.4.1.34380.1.1.3", "ami-0123456789abcdef0"),
    ("1.3.6.1.4.1.34380.1.1.18", "us-east-1"),
    ("1.3.6.1.4.1.34380.1.1.20", "us-east-1a"),
    ("1.3.6.1.4.1.34380.1.1.23", "aws"),
    ("1.3.6.1.4.1.34380.1.1.15", "from-tag"),
    ("1.3.6.1.4.1.34380.1.1.5", "42"),
    ("1.3.6.1.4.1.34380.1.2.7", "private"),
];

#[test]
fn extensions_come_from_settings_file_tags_and_the_node_in_that_order() {
    let mut options = Options::default();
    let tags = [
        ("pp_role", "from-tag"),
        ("pp_department", "from-tag"),
        ("pp_auth_role", "root"),
        ("pp_nonsense", "x"),
        ("Name", "n"),
    ];
    options.instance.tags = Some(
        tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(),
    );
    let node = Node::with(options);
    node.settings(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n\
         extension_requests = { pp_role = \"wéb \\\"quoted\\\"\", \"1.3.6.1.4.1.34380.1.2.7\" = \"private\" }\n",
    );
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        "extension_requests:\n  pp_role: from-file\n  pp_cost_center: 42\n",
    );
    let run = node.join();
    let parsed = openssl(&[
        "x509",
        "-in",
        text(&node.certificate()),
        "-noout",
        "-text",
        "-nameopt",
        "utf8",
        "-certopt",
        "ext_parse",
    ]);
    for (oid, value) in EXTENSIONS {
        let line = value_after(&parsed, oid);
        assert!(
            line.contains("UTF8STRING") && line.ends_with(&format!(":{value}")),
            "{oid}: {line}"
        );
    }
    // The settings win, and the certificate has exactly their bytes.
    let der = node.root.path().join("c.der");
    openssl(&["x509", "-in", text(&node.certificate()), "-outform", "DER", "-out", text(&der)]);
    let der = fs::read(der).unwrap();
    let holds = |needle: &[u8]| der.windows(needle.len()).any(|window| window == needle);
    assert!(holds("wéb \"quoted\"".as_bytes()) && !holds(b"from-file"));
    assert!(
        !parsed.contains("1.3.6.1.4.1.34380.1.3"),
        "an authorization extension came from a tag"
    );
    assert!(
        run.stderr.contains("pp_auth_role") && run.stderr.contains("pp_nonsense"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_challenge_password_is_in_the_request_only() {
    let node = Node::new();
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        "custom_attributes:\n  challengePassword: s3cret-word\n",
    );
    let run = node.enlist(&["join", "-vv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    node.write("sent.pem", state["associations"][0]["csr"].as_str().unwrap());
    let shown = openssl(&["req", "-in", text(&node.path("sent.pem")), "-noout", "-text"]);
    assert!(shown.contains("challengePassword        :s3cret-word"), "{shown}");
    assert!(!node.ssl(&format!("certificate_requests/{NAME}.pem")).exists());
    let record = node.read("var/lib/enlist/opsworks-cm/record.json");
    assert!(!record.contains("s3cret-word") && !run.stderr.contains("s3cret-word"));
}

/// The parsed value of an extension in `openssl x509 -certopt ext_parse`.
fn value_after(parsed: &str, oid: &str) -> String {
    let mut lines = parsed.lines().skip_while(|line| !line.trim().starts_with(&format!("{oid}:")));
    let value = lines.nth(1).unwrap_or_else(|| panic!("{oid} is missing: {parsed}"));
    value.trim().to_owned()
}
