//! The AWS CLI: a client written by others, against the emulator.

use std::process::{Command, Output};
use std::sync::OnceLock;

use enlist_emulator::control::{HEALTHY, ServerSpec};
use enlist_emulator::{Emulator, MISLEADING_ENV, Options};

use super::openssl;
use super::{Outcome, shared_ca};

/// The CLI to use: `ENLIST_TEST_AWS`, the distribution's, or the first in the path that knows
/// `opsworks-cm` (the service is gone from the newest).
pub fn cli() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let asked = std::env::var("ENLIST_TEST_AWS").ok();
        let candidates = asked.into_iter().chain(["/usr/bin/aws".into(), "aws".into()]);
        candidates.into_iter().find(|candidate| {
            let mut command = Command::new(candidate);
            command.args(["opsworks-cm", "describe-servers", "--generate-cli-skeleton"]);
            command.output().is_ok_and(|output| output.status.success())
        })
    });
    if found.is_none() {
        eprintln!("SKIPPED: no AWS CLI with opsworks-cm here; set ENLIST_TEST_AWS to one");
    }
    found.as_deref()
}

fn run(cli: &str, emulator: &Emulator, arguments: &[&str]) -> std::io::Result<Output> {
    run_service(cli, emulator, "opsworks-cm", arguments)
}

/// Runs a command of the CLI, with text as its output.
pub fn run_service(
    cli: &str,
    emulator: &Emulator,
    service: &str,
    arguments: &[&str],
) -> std::io::Result<Output> {
    let mut command = Command::new(cli);
    for name in MISLEADING_ENV {
        command.env_remove(name);
    }
    // What the developer has configured for real accounts is no business of the test.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.envs(emulator.env());
    let endpoint = ["--endpoint-url", emulator.api_url(), "--output", "text", service];
    command.args(endpoint).args(arguments).output()
}

/// What the CLI prints, or its error.
pub fn result(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn a_node_joins_and_leaves() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let aws = |arguments: &[&str]| {
        result(&run(cli, &emulator, arguments)?).map_err(Box::<dyn std::error::Error>::from)
    };
    let csr = openssl::request("i-0123", &[])?;
    let attributes = serde_json::json!([{ "Name": "PUPPET_NODE_CSR", "Value": csr }]).to_string();
    let server = ["--server-name", "puppet-test"];
    let node = [&server[..], &["--node-name", "i-0123"]].concat();

    let query = ["describe-servers", "--query", "Servers[0].[ServerName,Status,Engine,Endpoint]"];
    assert_eq!(aws(&query)?, "puppet-test\tHEALTHY\tPuppet\tpuppet-test.example");
    let token = ["--query", "NodeAssociationStatusToken"];
    let associate = ["associate-node", "--engine-attributes", &attributes];
    let token = aws(&[&associate[..], &node, &token].concat())?;
    let asking = [&server[..], &["--node-association-status-token", &token]].concat();
    aws(&[&["wait", "node-associated"], &asking[..]].concat())?;

    let certificate = "EngineAttributes[?Name=='PUPPET_NODE_CERT'].Value";
    let query = ["describe-node-association-status", "--query", certificate];
    let certificate = aws(&[&query[..], &asking].concat())?;
    assert!(openssl::verify(&emulator.ca_bundle(), &certificate)?.contains("OK"));
    assert_eq!(openssl::public_key("x509", &certificate)?, openssl::public_key("req", &csr)?);

    aws(&[&["disassociate-node"], &node[..]].concat())?;
    assert_eq!(emulator.state()["associations"], serde_json::json!([]));
    let errors: Vec<_> = emulator.calls().into_iter().filter_map(|call| call.error).collect();
    assert_eq!(errors, Vec::<String>::new());
    Ok(())
}

#[test]
fn bad_input_gets_the_documented_errors() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let sick = ServerSpec { status: "UNDER_MAINTENANCE", ..ServerSpec::new("sick") };
    let well = ServerSpec::new("puppet-test");
    assert_eq!(well.status, HEALTHY);
    let servers = vec![well, sick];
    let emulator = Emulator::start(Options { throttle: None, servers, ..shared_ca() })?;
    let csr = |value: &str| format!("Name=PUPPET_NODE_CSR,Value={value}");
    let bad_csr = csr("none");
    let associate = |server: &'static str, node: &'static str| {
        ["associate-node", "--server-name", server, "--node-name", node, "--engine-attributes"]
    };
    let rows: [(Vec<&str>, &str); 5] = [
        ([&associate("puppet-test", "n")[..], &[&bad_csr]].concat(), "ValidationException"),
        ([&associate("unknown", "n")[..], &[&bad_csr]].concat(), "ResourceNotFoundException"),
        ([&associate("sick", "n")[..], &[&bad_csr]].concat(), "InvalidStateException"),
        (
            vec!["disassociate-node", "--server-name", "puppet-test", "--node-name", "nobody"],
            "ResourceNotFoundException",
        ),
        (
            vec!["describe-servers", "--starting-token", "eyJOZXh0VG9rZW4iOiAieCJ9"],
            "InvalidNextTokenException",
        ),
    ];
    for (arguments, error) in rows {
        let refused = result(&run(cli, &emulator, &arguments)?);
        let wanted = format!("An error occurred ({error})");
        assert!(
            refused.as_ref().is_err_and(|text| text.contains(&wanted)),
            "{arguments:?} {refused:?}"
        );
    }
    Ok(())
}

/// Where no wrapper can be made, all else goes on.
#[test]
fn exec_goes_on_without_a_directory_for_temporary_files() -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
        .args(["exec", "--", "sh", "-c", "echo $AWS_REGION"])
        .env("TMPDIR", "/nonexistent")
        .output()?;
    assert_eq!(result(&output), Ok("us-east-1".to_owned()));
    Ok(())
}

/// The credentials of a role, through the CLI's own metadata client.
#[test]
fn a_role_in_the_metadata_is_enough() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = Emulator::start(Options { role: Some("node".into()), ..shared_ca() })?;
    let query = ["describe-servers", "--query", "Servers[0].Status"];
    assert_eq!(result(&run(cli, &emulator, &query)?), Ok("HEALTHY".to_owned()));
    Ok(())
}

/// AWS's own example of `disassociate-node`, in two words, which is how the CLI reads a list: the
/// example's one word is refused by the CLI itself.
#[test]
fn awss_example_of_disassociate_node() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let servers = vec!["name=automate-06,engine=Chef,organization=MyOrganization".parse()?];
    let emulator = Emulator::start(Options { throttle: None, servers, ..shared_ca() })?;
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let key = format!("Name=CHEF_NODE_PUBLIC_KEY,Value='{key}'");
    let server = ["--server-name", "automate-06", "--node-name", "i-43de882p"];
    let attributes = ["--engine-attributes", "Name=CHEF_ORGANIZATION,Value='MyOrganization'"];
    for (action, key) in [
        ("associate-node", key.as_str()),
        ("disassociate-node", "Name=CHEF_NODE_PUBLIC_KEY,Value='Public_key_contents'"),
    ] {
        let query = ["--query", "NodeAssociationStatusToken"];
        let arguments = [&[action], &server[..], &attributes, &[key], &query].concat();
        let token = result(&run(cli, &emulator, &arguments)?)?;
        let token = ["--node-association-status-token", &token];
        let wait = [&["wait", "node-associated"], &server[..2], &token].concat();
        assert_eq!(result(&run(cli, &emulator, &wait)?), Ok(String::new()), "{action}");
    }
    assert_eq!(emulator.state()["associations"], serde_json::json!([]));
    Ok(())
}

/// Debian's CLI is older than `AWS_ENDPOINT_URL`: it comes to the emulator all the same.
#[test]
fn exec_leads_a_cli_here_that_knows_no_endpoint_variable() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let query = "describe-servers --query Servers[0].ServerName --output text";
    let script = format!("aws opsworks-cm {query}");
    let own = format!("aws --endpoint-url \"$AWS_ENDPOINT_URL\" opsworks-cm {query}");
    let direct: Vec<&str> = [cli, "opsworks-cm"].into_iter().chain(query.split(' ')).collect();
    let by_name: Vec<&str> = ["aws", "opsworks-cm"].into_iter().chain(query.split(' ')).collect();
    for command in [&["sh", "-c", &script][..], &["sh", "-c", &own], &direct, &by_name] {
        let output = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
            .args(["exec", "--"])
            .args(command)
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .output()?;
        assert_eq!(result(&output), Ok("puppet-test".to_owned()), "{command:?}");
    }
    Ok(())
}
