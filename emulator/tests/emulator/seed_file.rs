//! `--seed-file`: what the account holds at the start.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::openssl::{self, Scratch};
use super::{Outcome, aws_cli};

/// Starts the program with a seed file and has it print its state.
fn start(text: &str, more: &[&str]) -> Result<Output, Box<dyn std::error::Error>> {
    let scratch = Scratch::new()?;
    let file = scratch.write("seed.toml", text)?;
    let output = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
        .args(["exec", "--seed-file", &file])
        .args(more)
        .args(["--", "sh", "-c", "curl -s \"$AWS_ENDPOINT_URL\"/_emulator/v1/state"])
        .output()?;
    Ok(output)
}

fn state(text: &str, more: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
    let said = aws_cli::result(&start(text, more)?)?;
    Ok(serde_json::from_str(&said)?)
}

#[test]
fn servers_stacks_roles_and_nodes_are_there_from_the_start() -> Outcome {
    let csr = openssl::request("web-1", &[])?;
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let text = format!(
        "[[server]]\nname = \"puppet-a\"\nendpoint = \"puppet.example\"\n\
         [[server.node]]\nname = \"web-1\"\ncsr = '''{csr}'''\n\
         [[server]]\nname = \"chef-b\"\nengine = \"Chef\"\norganizations = [\"web\"]\n\
         [[server.node]]\nname = \"db-1\"\npublic-key = '''{key}'''\n\
         [[server.node]]\nname = \"db-2\"\npublic-key = '''{key}'''\norganization = \"web\"\n\
         [[server]]\nname = \"new-c\"\nstatus = \"SETUP\"\nhealthy-after = 1000.5\n\
         [[stack]]\nname = \"web\"\nregion = \"eu-west-1\"\nunique-hostnames = true\n\
         [ssm]\nroles = [\"service-role/node\"]\n"
    );
    // An association takes a day, but not that of a node that is there already.
    let state = state(&text, &["--association-time", "86400"])?;
    let servers = state["servers"].as_array().ok_or("no servers")?;
    let rows: Vec<_> =
        servers.iter().map(|it| json!([it["name"], it["engine"], it["status"]])).collect();
    assert_eq!(
        rows,
        [
            json!(["chef-b", "Chef", "HEALTHY"]),
            json!(["new-c", "Puppet", "SETUP"]),
            json!(["puppet-a", "Puppet", "HEALTHY"]),
        ]
    );
    assert_eq!(servers[2]["endpoint"], "puppet.example");
    assert!(servers[1]["status_ends_at"].is_string());
    let nodes = state["associations"].as_array().ok_or("no nodes")?;
    let rows: Vec<_> =
        nodes.iter().map(|it| json!([it["node"], it["status"], it["organization"]])).collect();
    assert_eq!(
        rows,
        [
            json!(["db-1", "SUCCESS", "default"]),
            json!(["db-2", "SUCCESS", "web"]),
            json!(["web-1", "SUCCESS", null]),
        ]
    );
    assert!(nodes[2]["certificate"].is_string());
    let stack = &state["stacks"][0];
    assert_eq!((&stack["name"], &stack["unique_hostnames"]), (&json!("web"), &json!(true)));
    Ok(())
}

#[test]
fn options_add_to_the_file() -> Outcome {
    let state = state("[[server]]\nname = \"a\"\n", &["--server", "name=b"])?;
    assert_eq!(state["servers"].as_array().map(Vec::len), Some(2));
    let state = self::state("", &[])?;
    assert_eq!(state["servers"][0]["name"], "puppet-test", "an empty file adds nothing");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_used_says_what_is_wrong() -> Outcome {
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let csr = openssl::request("web-1", &[])?;
    let node = |attributes: &str| {
        format!("[[server]]\nname = \"a\"\n[[server.node]]\nname = \"web-2\"\n{attributes}\n")
    };
    for (text, part) in [
        ("server = 1".to_owned(), "invalid type"),
        ("[[server]]\n".to_owned(), "missing field `name`"),
        ("[[server]]\nname = \"a\"\ncolour = \"red\"".to_owned(), "unknown field `colour`"),
        ("[[servers]]\nname = \"a\"".to_owned(), "unknown field `servers`"),
        ("[[server]]\nname = \"a".to_owned(), "line 2"),
        ("[[server]]\nname = \"1\"".to_owned(), "'1' is no server name"),
        ("[[server]]\nname = \"a,engine=Chef\"".to_owned(), "is no server name"),
        ("[[server]]\nname = \"a\"\nengine = \"Ansible\"".to_owned(), "it is Puppet or Chef"),
        ("[[server]]\nname = \"a\"\nstatus = \"FINE\"".to_owned(), "it is one of BACKING_UP"),
        ("[[server]]\nname = \"a\"\nhealthy-after = -1.0".to_owned(), "not a number of seconds"),
        ("[[stack]]\nid = \"x\"".to_owned(), "is no stack ID"),
        ("[[stack]]\nname = \"a,b\"".to_owned(), "has no comma"),
        (node(""), "has to have csr"),
        (node(&format!("csr = '''{csr}'''\npublic-key = '''{key}'''")), "has to have csr"),
        (node("csr = \"x\""), "not PEM"),
        (node(&format!("csr = '''{csr}'''")), "the subject is 'web-1', not CN=web-2"),
        (node(&format!("public-key = '''{key}'''")), "Unknown engine attribute"),
    ] {
        let output = start(&text, &[])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(65), "{text}: {said}");
        assert!(said.contains(part), "{text}: {said}");
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
        .args(["exec", "--seed-file", "/nonexistent", "--", "true"])
        .output()?;
    assert_eq!(missing.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("seed file /nonexistent"));
    Ok(())
}
