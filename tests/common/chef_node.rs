//! A node that joins the emulator's Chef server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;

use enlist_emulator::Options;
use serde_json::Value;

use super::{Node, Run, openssl, run};

pub const NAME_OF_RECORD: &str = "var/lib/enlist/chef-server/record.json";

/// The validator's private key, made once.
pub fn validator_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
    })
}

/// SubjectPublicKeyInfo in DER, as OpenSSL makes it.
pub fn public_der(pem: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let public = openssl(&["pkey", "-in", file.path().to_str().unwrap(), "-pubout"]);
    pem::parse(public).unwrap().into_contents()
}

/// A node, and a Chef server that knows the validator of `/validator.pem`. `chef` are further settings
/// of `[chef]`.
pub fn node(chef: &str, faults: &[&str]) -> Node {
    let node = Node::with(Options {
        servers: vec!["name=chef-test,engine=Chef".parse().unwrap()],
        chef_listen: Some(([127, 0, 0, 1], 0).into()),
        validator_key: Some(public_der(validator_pem())),
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.write("validator.pem", validator_pem());
    node.settings(&settings(&node, "30s").replace("[chef]\n", &format!("[chef]\n{chef}")));
    node
}

/// The URL of the organization.
pub fn url(node: &Node) -> String {
    let url = node.emulator.chef_url().unwrap().trim_end_matches('/').to_owned();
    format!("{url}/organizations/default")
}

pub fn settings(node: &Node, budget: &str) -> String {
    format!(
        "[chef-server]\nurl = \"{}\"\nvalidator_key = {{ file = \"/validator.pem\" }}\nca_file = \"/ca.pem\"\n[chef]\nkey_bits = 2048\n[node]\nbudget = \"{budget}\"\n",
        url(node)
    )
}

/// The program on a machine without AWS settings.
pub fn enlist(node: &Node, arguments: &[&str]) -> Run {
    let mut command = node.command(arguments);
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    run(&mut command)
}

/// What an administrator of the organization does, through the emulator's admin API.
pub fn admin(node: &Node, method: &str, path: &str, body: &Value) {
    let place = node.emulator.api_url().trim_start_matches("http://").trim_end_matches('/');
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} /_emulator/v1/chef/chef-test/default/{path} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
}

pub fn names(state: &Value, table: &str) -> Vec<String> {
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    state[table].as_array().unwrap().iter().map(name).collect()
}
