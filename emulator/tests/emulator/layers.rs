//! Layers, and assigning registered instances to them; and the AWS CLI's `register`, which asks for a
//! stack's provisioning parameters.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use enlist_emulator::control::{
    ControlPlane, ControlSettings, DEFAULT_STACK, OpsWorksSettings, StackSpec,
};
use enlist_emulator::{Emulator, MISLEADING_ENV, Options};
use serde_json::{Value, json};

use super::aws_cli::{cli, result, run_service};
use super::openssl::Scratch;
use super::plane::{STACKS, START, ask, json, paper, verdict};
use super::stacks::{after, describe, papers, register};
use super::{Outcome, shared_ca};

const OTHER: &str = "11111111-2222-4333-8444-555555555555";

fn plane() -> Result<ControlPlane, Box<dyn std::error::Error>> {
    let other = format!("id={OTHER},name=other,layer=web,layer=db:db-master");
    let opsworks = OpsWorksSettings {
        stacks: vec![StackSpec::default(), other.parse()?],
        setup_time: Duration::from_secs(30),
        ..OpsWorksSettings::default()
    };
    Ok(paper(ControlSettings { throttle: None, opsworks, ..ControlSettings::default() }))
}

fn layers(plane: &mut ControlPlane, stack: &str) -> Vec<Value> {
    let response = ask(plane, START, STACKS, "DescribeLayers", &json!({ "StackId": stack }));
    json(&response)["Layers"].as_array().cloned().unwrap_or_default()
}

fn id(layer: &Value) -> String {
    layer["LayerId"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn layers_are_those_of_the_stack() -> Outcome {
    let mut plane = plane()?;
    let named = |layer: &Value| format!("{}:{}", layer["Shortname"], layer["Type"]);
    let default: Vec<_> = layers(&mut plane, DEFAULT_STACK).iter().map(named).collect();
    assert_eq!(default, [r#""custom":"custom""#], "a stack that names none has one");
    let other = layers(&mut plane, OTHER);
    let both: Vec<_> = other.iter().map(named).collect();
    assert_eq!(both, [r#""web":"custom""#, r#""db":"db-master""#]);
    let both = json!({ "LayerIds": [id(&other[1]), id(&other[0])] });
    let found = json(&ask(&mut plane, START, STACKS, "DescribeLayers", &both));
    assert_eq!(found["Layers"], json!([other[1], other[0]]));
    for (body, error) in [
        (json!({}), "ValidationException"),
        (json!({ "StackId": OTHER, "LayerIds": [id(&other[0])] }), "ValidationException"),
        (json!({ "StackId": "none" }), "ResourceNotFoundException"),
        (json!({ "LayerIds": ["none"] }), "ResourceNotFoundException"),
    ] {
        let refused = ask(&mut plane, START, STACKS, "DescribeLayers", &body);
        assert_eq!(verdict(&refused).0, error, "{body}");
    }
    Ok(())
}

#[test]
fn an_assigned_instance_comes_online_and_an_unassigned_one_stays() -> Outcome {
    let mut plane = plane()?;
    let instance = register(&mut plane, START, OTHER, "web");
    let layer = id(&layers(&mut plane, OTHER)[0]);
    let assign = json!({ "InstanceId": instance, "LayerIds": [layer] });
    let done = ask(&mut plane, START, STACKS, "AssignInstance", &assign);
    assert_eq!((done.status, done.body.len()), (200, 0), "the action has no output");
    let of_layer = json!({ "LayerId": layer });
    for (seconds, status) in [(0, "running_setup"), (29, "running_setup"), (30, "online")] {
        let found = describe(&mut plane, after(seconds), &of_layer);
        assert_eq!(found[0]["Status"], status);
        assert_eq!(found[0]["LayerIds"], json!([layer]));
    }
    let again = ask(&mut plane, after(31), STACKS, "AssignInstance", &assign);
    assert_eq!(verdict(&again).0, "ValidationException", "it is assigned already");

    let unassign = json!({ "InstanceId": instance });
    let done = ask(&mut plane, after(40), STACKS, "UnassignInstance", &unassign);
    assert_eq!((done.status, done.body.len()), (200, 0), "the action has no output");
    assert_eq!(describe(&mut plane, after(40), &of_layer), Vec::<Value>::new());
    let of_stack = json!({ "StackId": OTHER });
    for (seconds, status) in [(40, "unassigning"), (69, "unassigning"), (70, "registered")] {
        let found = describe(&mut plane, after(seconds), &of_stack);
        assert_eq!((&found[0]["Status"], &found[0]["LayerIds"]), (&json!(status), &json!([])));
    }
    let again = ask(&mut plane, after(71), STACKS, "UnassignInstance", &unassign);
    assert_eq!(verdict(&again).0, "ValidationException", "it is in no layer");
    let done = ask(&mut plane, after(72), STACKS, "AssignInstance", &assign);
    assert_eq!(verdict(&done).0, "ok", "it can be assigned to another layer as needed");
    Ok(())
}

#[test]
fn what_cannot_be_assigned_is_refused() -> Outcome {
    let mut plane = plane()?;
    let instance = register(&mut plane, START, OTHER, "web");
    let own = id(&layers(&mut plane, OTHER)[0]);
    let foreign = id(&layers(&mut plane, DEFAULT_STACK)[0]);
    for (body, error, part) in [
        (json!({ "InstanceId": instance }), "ValidationException", "'layerIds' failed"),
        (json!({ "InstanceId": instance, "LayerIds": [] }), "ValidationException", "at least one"),
        (json!({ "InstanceId": "none", "LayerIds": [own] }), "ResourceNotFoundException", "none"),
        (json!({ "InstanceId": instance, "LayerIds": ["x"] }), "ResourceNotFoundException", "x"),
        (
            json!({ "InstanceId": instance, "LayerIds": [own, foreign] }),
            "ValidationException",
            "is not of the instance's stack",
        ),
    ] {
        let found = verdict(&ask(&mut plane, START, STACKS, "AssignInstance", &body));
        assert_eq!(found.0, error, "{body}: {}", found.1);
        assert!(found.1.contains(part), "{}", found.1);
    }
    plane.inject("AssignInstance=failed*1".parse()?);
    let assign = json!({ "InstanceId": instance, "LayerIds": [own] });
    assert_eq!(verdict(&ask(&mut plane, START, STACKS, "AssignInstance", &assign)).0, "ok");
    let of_layer = json!({ "LayerId": own });
    assert_eq!(describe(&mut plane, after(30), &of_layer)[0]["Status"], "setup_failed");
    let again = ask(&mut plane, after(31), STACKS, "AssignInstance", &assign);
    assert_eq!(verdict(&again).0, "ok", "a failed setup is tried again");
    Ok(())
}

#[test]
fn an_ec2_instance_is_assigned_only_to_custom_layers() -> Outcome {
    let stacks = vec!["layer=web,layer=app:rails-app".parse()?];
    let emulator = Emulator::start(Options { throttle: None, stacks, ..shared_ca() })?;
    let (document, signature) = papers(&emulator)?;
    let call = |action: &str, body: &Value| {
        let target = format!("{STACKS}.{action}");
        super::client::call_target(&emulator, ("opsworks", &target), body)
    };
    let identity = json!({ "Document": document, "Signature": signature });
    let body = json!({ "StackId": DEFAULT_STACK, "InstanceIdentity": identity });
    let instance = call("RegisterInstance", &body)?.json()["InstanceId"].clone();
    let layers = call("DescribeLayers", &json!({ "StackId": DEFAULT_STACK }))?.json();
    let assign = |number: usize| {
        let layer = &layers["Layers"][number]["LayerId"];
        call("AssignInstance", &json!({ "InstanceId": instance, "LayerIds": [layer] }))
    };
    let refused = assign(1)?;
    assert_eq!(refused.error(), "ValidationException");
    assert!(refused.body.contains("only to custom layers"), "{}", refused.body);
    assert_eq!(assign(0)?.status, 200);
    Ok(())
}

#[test]
fn the_cli_assigns_waits_and_unassigns() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let aws = |arguments: &[&str]| -> Result<String, Box<dyn std::error::Error>> {
        Ok(result(&run_service(cli, &emulator, "opsworks", arguments)?)?)
    };
    let stack = ["--stack-id", DEFAULT_STACK];
    let query = ["--query", "InstanceId"];
    let register = ["register-instance", "--hostname", "web"];
    let instance = aws(&[&register[..], &stack, &query].concat())?;
    let query = ["--query", "Layers[0].LayerId"];
    let layer = aws(&[&["describe-layers"], &stack[..], &query].concat())?;
    aws(&["wait", "instance-registered", "--instance-ids", &instance])?;
    let id = ["--instance-id", &instance];
    aws(&[&["assign-instance", "--layer-ids", &layer], &id[..]].concat())?;
    aws(&["wait", "instance-online", "--layer-id", &layer])?;
    let query = ["--query", "Instances[0].LayerIds[0]"];
    let listed = aws(&[&["describe-instances", "--instance-ids", &instance], &query[..]].concat())?;
    assert_eq!(listed, layer);
    aws(&[&["unassign-instance"], &id[..]].concat())?;
    aws(&["wait", "instance-registered", "--instance-ids", &instance])?;
    let errors: Vec<_> = emulator.calls().into_iter().filter_map(|call| call.error).collect();
    assert_eq!(errors, Vec::<String>::new());
    Ok(())
}

/// A proxy for the CLI's own question at 169.254.169.254: it answers everything with `document`.
fn metadata_proxy(document: String) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // One packet has the whole request.
            let _ = stream.read(&mut [0; 4096]);
            let length = document.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all(format!("{head}{document}").as_bytes());
        }
    });
    Ok(format!("http://{address}"))
}

/// The command that people typed on an instance: it checks the stack, fetches the installer, and
/// runs it as root. Here root is whoever runs the test, and `enlist` shows its settings.
#[test]
fn the_clis_register_runs_the_installer_with_the_stacks_parameters() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let (document, _) = papers(&emulator)?;
    let scratch = Scratch::new()?;
    scratch.write("sudo", "#!/bin/sh\nexec \"$@\"\n")?;
    scratch.write("enlist", "#!/bin/sh\necho \"$@\"; cat \"$ROOT/etc/enlist/enlist.toml\"\n")?;
    for program in ["sudo", "enlist"] {
        let path = scratch.path().join(program);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let root = scratch.path().join("root");
    let mut command = Command::new(cli);
    for name in MISLEADING_ENV {
        command.env_remove(name);
    }
    command.args(["opsworks", "register", "--endpoint-url", emulator.api_url()]);
    command.args(["--infrastructure-class", "ec2", "--local", "--use-instance-profile"]);
    command.args(["--stack-id", DEFAULT_STACK, "--override-hostname", "web-1"]);
    command.envs(emulator.env()).env("ROOT", &root).env("ENLIST", scratch.path().join("enlist"));
    command.env("PATH", format!("{}:/usr/bin:/bin", scratch.path().display()));
    command.env("http_proxy", metadata_proxy(document)?).env("no_proxy", "127.0.0.1");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let printed = result(&command.output()?)?;
    let expected = format!(
        "join --root {}\n[aws]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\n[opsworks]\n\
         stack_id = \"{DEFAULT_STACK}\"\ninfrastructure = \"ec2\"\nhostname = \"web-1\"",
        root.display(),
        emulator.api_url()
    );
    assert_eq!(printed, expected);
    let actions: Vec<_> = emulator.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(
        actions,
        ["DescribeStacks", "DescribeStackProvisioningParameters", "DescribeInstances"]
    );
    Ok(())
}
