//! The fake SSM agent, end to end.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::call_target;
use super::openssl::{self, Scratch};
use super::plane::SSM;
use super::{Outcome, shared_ca};

type Problem = Box<dyn std::error::Error>;

/// A machine with the fake agent on it.
struct Node {
    emulator: Emulator,
    scratch: Scratch,
}

impl Node {
    fn new() -> Result<Self, Problem> {
        let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
        Ok(Self { emulator, scratch: Scratch::new()? })
    }

    /// Arguments that register by a new activation with this limit.
    fn activation(&self, limit: u32) -> Result<Vec<String>, Problem> {
        let body = json!({ "IamRole": "r", "RegistrationLimit": limit });
        let target = format!("{SSM}.CreateActivation");
        let made = call_target(&self.emulator, ("ssm", &target), &body)?.json();
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let (id, code) = (text("ActivationId"), text("ActivationCode"));
        let words = ["-register", "-id", &id, "-code", &code, "-region", "us-east-1"];
        Ok(words.map(str::to_owned).into())
    }

    /// Runs the fake agent: its exit code, and what it said on standard output and error.
    fn run(&self, arguments: &[String], input: &str) -> Result<(Option<i32>, String), Problem> {
        self.run_against(self.emulator.api_url(), arguments, input)
    }

    fn run_against(
        &self,
        endpoint: &str,
        arguments: &[String],
        input: &str,
    ) -> Result<(Option<i32>, String), Problem> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fake-ssm-agent"))
            .args(arguments)
            .env("FAKE_SSM_AGENT_ROOT", self.scratch.path())
            .env("FAKE_SSM_AGENT_ENDPOINT", endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may have ended without a question.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(text)?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join("var/lib/amazon/ssm").join(name)
    }

    fn read(&self, name: &str) -> Result<Value, Problem> {
        Ok(serde_json::from_slice(&std::fs::read(self.path(name))?)?)
    }

    fn instance_id(&self) -> Result<String, Problem> {
        let registration = self.read("Vault/Store/RegistrationKey")?;
        Ok(registration["instanceID"].as_str().unwrap_or("no text").to_owned())
    }

    fn registered(&self) -> Value {
        self.emulator.state()["managed_instances"].clone()
    }
}

#[test]
fn a_machine_registers_itself() -> Outcome {
    let node = Node::new()?;
    let (code, said) = node.run(&node.activation(1)?, "")?;
    assert_eq!(code, Some(0), "{said}");
    let id = node.instance_id()?;
    assert!(said.contains(&id), "{said}");
    assert_eq!(node.registered()[0]["id"], id);
    let told = node.read("registration")?;
    assert_eq!(told, json!({ "ManagedInstanceID": id, "Region": "us-east-1" }));
    let kept = node.read("Vault/Store/RegistrationKey")?;
    assert_eq!(kept["region"], "us-east-1");
    assert_eq!(kept["privateKeyType"], "Rsa");
    for file in ["registration", "Vault/Store/RegistrationKey", "Vault/Manifest"] {
        let mode = std::fs::metadata(node.path(file))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // The key it keeps is the one it registered.
    let private = kept["privateKey"].as_str().unwrap_or_default();
    let private =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{private}\n-----END RSA PRIVATE KEY-----");
    let private = pem::encode(&pem::parse(private)?);
    assert_eq!(node.registered()[0]["public_key"], openssl::public_key("rsa", &private)?);
    assert_eq!(
        node.read("Vault/Store/InstanceFingerprint")?["fingerprint"],
        node.registered()[0]["fingerprint"]
    );
    Ok(())
}

#[test]
fn it_asks_before_it_replaces_a_registration() -> Outcome {
    let node = Node::new()?;
    let activation = node.activation(10)?;
    node.run(&activation, "")?;
    let first = node.instance_id()?;
    for (answer, code, part) in [
        ("no\n", 1, "cancelled"),
        ("", 1, "could not be read"),
        ("\n", 1, "neither yes nor no"),
        ("perhaps\n", 1, "neither yes nor no"),
    ] {
        let (found, said) = node.run(&activation, answer)?;
        assert_eq!(found, Some(code), "{answer}");
        assert!(said.contains("[Yes/No]") && said.contains(part), "{answer}: {said}");
        assert_eq!(node.instance_id()?, first);
    }
    let (code, _) = node.run(&activation, "Yes\n")?;
    assert_eq!(code, Some(0));
    let second = node.instance_id()?;
    let (code, said) = node.run(&[&activation[..], &["-y".to_owned()]].concat(), "")?;
    assert_eq!(code, Some(0));
    assert!(!said.contains("[Yes/No]"), "{said}");
    let third = node.instance_id()?;
    assert!(first != second && second != third);
    let registered = node.registered();
    let all = registered.as_array().cloned().unwrap_or_default();
    assert_eq!(all.len(), 3, "nobody deregisters the earlier ones");
    assert!(all.iter().all(|one| one["fingerprint"] == all[0]["fingerprint"]), "one machine");
    Ok(())
}

#[test]
fn a_call_that_fails_costs_the_registration() -> Outcome {
    let node = Node::new()?;
    let activation = [&node.activation(10)?[..], &["-y".to_owned()]].concat();
    for (fault, part) in [
        ("RegisterManagedInstance=denied", "AccessDeniedException"),
        ("RegisterManagedInstance=html", "is not the API's"),
        ("RegisterManagedInstance=503*4", "ServiceUnavailable"),
        ("RegisterManagedInstance=lost-before*4", "no answer came"),
    ] {
        assert_eq!(node.run(&activation, "")?.0, Some(0));
        assert!(node.instance_id()?.starts_with("mi-"));
        let told = node.read("registration")?;
        node.emulator.inject(fault.parse()?);
        let (code, said) = node.run(&activation, "")?;
        assert_eq!(code, Some(1), "{fault}");
        assert!(said.contains(part), "{fault}: {said}");
        assert_eq!(node.instance_id()?, "", "{fault}");
        assert_eq!(node.read("registration")?, told, "the other file stays, and is wrong");
    }
    node.run(&activation, "")?;
    let (code, said) = node.run_against("", &activation, "")?;
    assert_eq!(code, Some(1));
    assert!(said.contains("not the address of an API"), "{said}");
    assert_eq!(node.instance_id()?, "");
    Ok(())
}

#[test]
fn the_apis_errors_are_said() -> Outcome {
    let node = Node::new()?;
    let activation = node.activation(1)?;
    let with = |index: usize, value: &str| {
        let mut changed = activation.clone();
        changed[index] = value.to_owned();
        changed
    };
    let (code, said) = node.run(&with(4, "not the code of this one"), "")?;
    assert_eq!(code, Some(1));
    assert!(said.contains("InvalidActivation"), "{said}");
    assert_eq!(node.run(&activation, "")?.0, Some(0));
    let (code, said) = node.run(&activation, "yes\n")?;
    assert_eq!(code, Some(1));
    assert!(said.contains("RegistrationLimitExceeded"), "{said}");
    Ok(())
}

/// It tries again when it hears nothing, and finds that the activation has been used: by itself.
#[test]
fn a_lost_reply_uses_the_activation_up() -> Outcome {
    let node = Node::new()?;
    node.emulator.inject("RegisterManagedInstance=lost-reply".parse()?);
    let (code, said) = node.run(&node.activation(1)?, "")?;
    assert_eq!(code, Some(1));
    assert!(said.contains("RegistrationLimitExceeded"), "{said}");
    assert_eq!(node.registered().as_array().map(Vec::len), Some(1));
    assert_eq!(node.instance_id()?, "");

    let node = Node::new()?;
    node.emulator.inject("RegisterManagedInstance=lost-before".parse()?);
    assert_eq!(node.run(&node.activation(1)?, "")?.0, Some(0), "what passes is waited for");
    Ok(())
}

#[test]
fn clearing_leaves_a_file_behind() -> Outcome {
    let node = Node::new()?;
    let activation = node.activation(2)?;
    node.run(&activation, "")?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(node.run(&words(&["-register", "-clear"]), "")?.0, Some(0));
    assert_eq!(node.instance_id()?, "");
    assert!(node.path("registration").exists());
    assert_eq!(node.registered().as_array().map(Vec::len), Some(1), "the service is not told");
    assert_eq!(node.run(&activation, "")?.0, Some(0), "and nobody is asked");
    for (arguments, code) in [
        (words(&["-register"]), 1),
        (words(&["-register", "-id", "x", "-code", "y"]), 1),
        (words(&["-clear"]), 1),
        (words(&[]), 1),
        (words(&["-version"]), 0),
        (words(&["-frobnicate"]), 2),
        (words(&["-register", "-id"]), 2),
        (words(&["--register", "--id=x", "--code=y", "--region=", "-y=false"]), 1),
    ] {
        assert_eq!(node.run(&arguments, "")?.0, Some(code), "{arguments:?}");
    }
    Ok(())
}
