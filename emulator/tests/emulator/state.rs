//! `--state`: what is kept across restarts, in which file, and what becomes of a damaged one.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use enlist_emulator::control::DEFAULT_STACK;
use enlist_emulator::{CaSource, Emulator, Options, StartError, StateError};
use serde_json::{Value, json};

use super::client::{call, call_target, send, variable};
use super::openssl::{self, Scratch};
use super::serving::Serving;
use super::{Outcome, shared_ca};

fn options(path: &Path) -> Options {
    Options { state: Some(path.to_owned()), throttle: None, ca: CaSource::Own, ..shared_ca() }
}

fn stacks(emulator: &Emulator, action: &str, body: &Value) -> std::io::Result<Value> {
    let target = format!("OpsWorks_20130218.{action}");
    Ok(call_target(emulator, ("opsworks", &target), body)?.json())
}

fn ssm(emulator: &Emulator, action: &str, body: &Value) -> std::io::Result<Value> {
    Ok(call_target(emulator, ("ssm", &format!("AmazonSSM.{action}")), body)?.json())
}

/// Something of everything that there can be; a token of an association.
pub fn fill(emulator: &Emulator) -> Result<String, Box<dyn std::error::Error>> {
    let roles = "arn:aws:iam::123456789012";
    let create = json!({
        "ServerName": "chef", "Engine": "Chef", "InstanceType": "m4.large",
        "InstanceProfileArn": format!("{roles}:instance-profile/x"),
        "ServiceRoleArn": format!("{roles}:role/y"), "Tags": [{ "Key": "k", "Value": "v" }],
    });
    assert_eq!(call(emulator, "CreateServer", &create)?.status, 200);
    let csr = openssl::request("web-1", &[])?;
    let attributes = json!([{ "Name": "PUPPET_NODE_CSR", "Value": csr }]);
    let node =
        json!({ "ServerName": "puppet-test", "NodeName": "web-1", "EngineAttributes": attributes });
    let token = call(emulator, "AssociateNode", &node)?.json();
    let backup = call(emulator, "CreateBackup", &json!({ "ServerName": "puppet-test" }))?;
    assert_eq!(backup.status, 200, "{}", backup.body);
    let maintain = call(emulator, "StartMaintenance", &json!({ "ServerName": "chef" }))?;
    assert_eq!(maintain.status, 200, "{}", maintain.body);

    let key = openssl::public_key("rsa", openssl::key(0))?;
    let register = json!({ "StackId": DEFAULT_STACK, "Hostname": "web", "RsaPublicKey": key });
    let instance = stacks(emulator, "RegisterInstance", &register)?;
    let layers = stacks(emulator, "DescribeLayers", &json!({ "StackId": DEFAULT_STACK }))?;
    let layers = [layers["Layers"][0]["LayerId"].clone()];
    let assign = json!({ "InstanceId": instance["InstanceId"], "LayerIds": layers });
    stacks(emulator, "AssignInstance", &assign)?;

    let activation = ssm(emulator, "CreateActivation", &json!({ "IamRole": "r" }))?;
    let second = ssm(emulator, "CreateActivation", &json!({ "IamRole": "r" }))?;
    let delete = json!({ "ActivationId": second["ActivationId"] });
    ssm(emulator, "DeleteActivation", &delete)?;
    let body = json!({
        "ActivationId": activation["ActivationId"], "ActivationCode": activation["ActivationCode"],
        "Fingerprint": "f", "PublicKey": super::activations::public_key(0)?, "PublicKeyType": "Rsa",
    });
    ssm(emulator, "RegisterManagedInstance", &body)?;
    Ok(token["NodeAssociationStatusToken"].as_str().unwrap_or_default().to_owned())
}

/// The account, but for the time.
pub fn account(emulator: &Emulator) -> Value {
    let mut state = emulator.state();
    state["now"] = Value::Null;
    state
}

#[test]
fn everything_is_kept() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let first = Emulator::start(options(&path))?;
    let token = fill(&first)?;
    let (kept, bundle, keys) = (account(&first), first.ca_bundle(), first.env());
    let events = call(&first, "DescribeEvents", &json!({ "ServerName": "chef" }))?.json();
    drop(first);

    for round in 0..2 {
        let again = Emulator::start(options(&path))?;
        assert_eq!(account(&again), kept, "round {round}");
        assert_eq!(again.ca_bundle(), bundle);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            let before = keys.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            assert_eq!(Some(&variable(&again, name)), before);
        }
        assert_eq!(
            call(&again, "DescribeEvents", &json!({ "ServerName": "chef" }))?.json(),
            events
        );
        let ask = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });
        let status = call(&again, "DescribeNodeAssociationStatus", &ask)?.json();
        assert_eq!(status["NodeAssociationStatus"], "SUCCESS");
        let certificate = status["EngineAttributes"][1]["Value"].as_str().unwrap_or_default();
        assert!(openssl::verify(&again.ca_bundle(), certificate)?.contains("OK"));
    }
    Ok(())
}

/// Identifiers go on where they were: a seed does not give the same ones twice.
#[test]
fn a_seeded_run_goes_on_with_its_identifiers() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let emulator = Emulator::start(Options { seed: Some(7), ..options(&path) })?;
        for _ in 0..3 {
            let made = stacks(&emulator, "RegisterInstance", &json!({ "StackId": DEFAULT_STACK }))?;
            assert!(seen.insert(made["InstanceId"].to_string()), "{made}");
        }
    }
    assert_eq!(seen.len(), 9);
    Ok(())
}

#[test]
fn what_is_under_way_ends_after_a_restart() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let slow = || Options {
        times: enlist_emulator::control::Times {
            backup: "3calls".parse().unwrap_or_default(),
            maintenance: "3600".parse().unwrap_or_default(),
            ..Default::default()
        },
        servers: vec![
            enlist_emulator::control::ServerSpec::new("a"),
            enlist_emulator::control::ServerSpec::new("b"),
        ],
        ..options(&path)
    };
    let emulator = Emulator::start(slow())?;
    assert_eq!(call(&emulator, "CreateBackup", &json!({ "ServerName": "a" }))?.status, 200);
    assert_eq!(call(&emulator, "StartMaintenance", &json!({ "ServerName": "b" }))?.status, 200);
    drop(emulator);
    let emulator = Emulator::start(slow())?;
    let status = |emulator: &Emulator, number: usize| {
        let servers = call(emulator, "DescribeServers", &json!({}));
        servers.map(|servers| servers.json()["Servers"][number]["Status"].clone())
    };
    assert_eq!(status(&emulator, 0)?, "BACKING_UP");
    assert_eq!(status(&emulator, 1)?, "UNDER_MAINTENANCE");
    assert_eq!(status(&emulator, 0)?, "HEALTHY", "the calls were counted on");
    let clock = [("content-type".to_owned(), "application/json".to_owned())];
    let body = json!({ "advance_seconds": 3601 }).to_string();
    let moved = send(emulator.api_url(), "PUT", "/_emulator/v1/clock", &clock, &body)?;
    assert_eq!(moved.status, 200);
    drop(emulator);
    let emulator = Emulator::start(slow())?;
    assert_ne!(emulator.state()["servers"][1]["status"], "UNDER_MAINTENANCE");
    let ahead = emulator.now().since(enlist_emulator::machine_now()).as_secs();
    assert!((3590..=3601).contains(&ahead), "the clock is kept: {ahead} s");
    Ok(())
}

#[test]
fn a_reset_and_a_change_by_the_admin_api_are_kept() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let emulator = Emulator::start(options(&path))?;
    fill(&emulator)?;
    emulator.reset();
    let json_type = [("content-type".to_owned(), "application/json".to_owned())];
    let put = "/_emulator/v1/servers/puppet-test/status";
    let body = json!({ "status": "SETUP" }).to_string();
    assert_eq!(send(emulator.api_url(), "PUT", put, &json_type, &body)?.status, 200);
    let kept = account(&emulator);
    assert_eq!(kept["servers"].as_array().map(Vec::len), Some(1));
    drop(emulator);
    let emulator = Emulator::start(options(&path))?;
    assert_eq!(account(&emulator), kept);
    assert_eq!(kept["servers"][0]["status"], "SETUP");
    Ok(())
}

/// Activation codes and the CA's key are in it.
#[test]
fn the_file_is_for_its_owner_alone_and_for_one_emulator() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let mode = || std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o777);
    let emulator = Emulator::start(options(&path))?;
    assert_eq!(mode()?, 0o600);
    let second = Emulator::start(options(&path)).err();
    assert!(matches!(second, Some(StartError::State(StateError::InUse { .. }))), "{second:?}");
    drop(emulator);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    let emulator = Emulator::start(options(&path))?;
    assert_eq!(mode()?, 0o600, "an open one is closed");
    drop(emulator);
    let foreign = scratch.write("foreign", "[puppet]\nserver = \"x\"\n")?;
    let refused = Emulator::start(options(&PathBuf::from(&foreign))).err();
    assert!(matches!(refused, Some(StartError::State(StateError::Foreign { .. }))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&foreign)?, "[puppet]\nserver = \"x\"\n");
    Ok(())
}

/// A crash leaves a part of the last line, at most; it has never been answered for.
#[test]
fn a_torn_last_line_is_left_out_and_a_damaged_one_is_refused() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let emulator = Emulator::start(options(&path))?;
    let register = |emulator: &Emulator| {
        stacks(emulator, "RegisterInstance", &json!({ "StackId": DEFAULT_STACK }))
    };
    register(&emulator)?;
    let before = std::fs::metadata(&path)?.len();
    register(&emulator)?;
    drop(emulator);
    let whole = std::fs::read(&path)?;
    let start = usize::try_from(before)?;
    let middle = start + (whole.len() - start) / 2;
    for cut in [start + 1, middle, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut])?;
        let emulator = Emulator::start(options(&path))?;
        let found = emulator.state()["instances"].as_array().map(Vec::len);
        assert_eq!(found, Some(1), "cut at {cut} of {}", whole.len());
        register(&emulator)?;
        drop(emulator);
        let emulator = Emulator::start(options(&path))?;
        assert_eq!(emulator.state()["instances"].as_array().map(Vec::len), Some(2));
    }
    // The header of a first start, cut.
    std::fs::write(&path, &whole[..9])?;
    assert_eq!(Emulator::start(options(&path))?.state()["instances"], json!([]));

    std::fs::write(&path, &whole)?;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
    file.seek(SeekFrom::Start(before / 2))?;
    file.write_all(b"#")?;
    let message = Emulator::start(options(&path)).err().map(|error| error.to_string());
    let message = message.unwrap_or_default();
    assert!(message.contains("is damaged at byte"), "{message}");
    let state = path.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
        .args(["exec", "--state", &state, "--", "true"])
        .output()?;
    assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What is out of date does not pile up.
#[test]
fn the_file_stays_in_proportion() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let emulator = Emulator::start(options(&path))?;
    let update = json!({ "ServerName": "puppet-test", "BackupRetentionCount": 2 });
    let mut longest = 0;
    for _ in 0..700 {
        assert_eq!(call(&emulator, "UpdateServer", &update)?.status, 200);
        longest = longest.max(std::fs::metadata(&path)?.len());
    }
    let written = longest / 1024;
    assert!((4000..5000).contains(&written), "{written} KiB at most");
    let kept = account(&emulator);
    drop(emulator);
    assert!(std::fs::metadata(&path)?.len() < 4 << 20, "it was written anew");
    assert_eq!(account(&Emulator::start(options(&path))?), kept);
    Ok(())
}

/// A full disk: the change is refused as a failure, what can be read is, and when there is room
/// again the next change takes the earlier one along.
#[test]
fn a_change_that_cannot_be_written_is_told() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state").display().to_string();
    // The shell's limit is in blocks of 512 bytes; the signal that comes with it is ignored.
    let program = env!("CARGO_BIN_EXE_enlist-emulator");
    let line = format!("trap '' XFSZ; ulimit -f 40; exec {program} \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &line, "sh"]);
    let serving = Serving::of(command, &["--state", &path, "--throttle", "off"], Stdio::null())?;
    let signing = serving.signing();
    let mut statuses = Vec::new();
    for _ in 0..80 {
        let body = json!({ "StackId": DEFAULT_STACK, "Hostname": "web" }).to_string();
        let reply =
            serving.call(&signing, "opsworks", "OpsWorks_20130218.RegisterInstance", &body)?;
        statuses.push(reply.status);
        if reply.status != 200 {
            assert!(reply.body.contains("state could not be written"), "{}", reply.body);
        }
    }
    let failed = statuses.iter().position(|status| *status == 500).ok_or("no failure")?;
    assert!(failed > 1 && statuses[failed..].iter().all(|status| *status == 500), "{statuses:?}");
    let read = serving.call(&signing, "opsworks", "OpsWorks_20130218.DescribeStacks", "{}")?;
    assert_eq!(read.status, 200, "{}", read.body);
    drop(serving);
    let mut text = String::new();
    std::fs::File::open(&path)?.read_to_string(&mut text)?;
    assert!(text.ends_with('\n'), "what was begun is not left there");
    let again = Emulator::start(options(Path::new(&path)))?;
    assert_eq!(again.state()["instances"].as_array().map(Vec::len), Some(failed));
    Ok(())
}
