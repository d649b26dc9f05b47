//! The command line: environment, exit codes, signals, messages.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Outcome;
use super::client::send;

fn emulator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enlist-emulator"));
    command.args(arguments);
    command
}

fn shell(options: &[&str], script: &str) -> std::io::Result<Output> {
    let command = [&["exec"], options, &["--", "sh", "-c", script]].concat();
    emulator(&command)
        .env("AWS_PROFILE", "production")
        .env("AWS_SESSION_TOKEN", "left over")
        .env("AWS_CONFIG_FILE", "/elsewhere")
        .output()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn exec_gives_the_environment_and_nothing_misleading() -> Outcome {
    let output = shell(&["--region", "eu-west-1"], "env | grep ^AWS_ | sort")?;
    let text = stdout(&output);
    for line in ["AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIA"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("AWS_ENDPOINT_URL=http://127.0.0.1:"), "{text}");
    assert!(text.contains("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:"), "{text}");
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"] {
        assert!(!text.contains(name), "{text}");
    }
    assert_eq!(stderr(&output).lines().count(), 1, "one line at the start, no more");
    Ok(())
}

#[test]
fn exec_ends_as_its_command_does() -> Outcome {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        assert_eq!(shell(&[], script)?.status.code(), Some(code), "{script}");
    }
    let output = emulator(&["exec", "--", "/nonexistent/command"]).output()?;
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).contains("cannot run '/nonexistent/command'"));
    let output = emulator(&["exec", "--", "/etc/passwd"]).output()?;
    assert_eq!(output.status.code(), Some(126));
    Ok(())
}

#[test]
fn exec_passes_the_end_on() -> Outcome {
    let script = "trap 'exit 9' TERM; kill -TERM $PPID; while :; do sleep 0.05; done";
    assert_eq!(shell(&[], script)?.status.code(), Some(9));
    let script = "kill -INT $PPID; sleep 0.2; exit 3";
    assert_eq!(shell(&[], script)?.status.code(), Some(3), "an interrupt is the command's to heed");
    Ok(())
}

#[test]
fn exec_logs_calls_when_asked() -> Outcome {
    let target = "X-Amz-Target: OpsWorksCM_V2016_11_01.DescribeServers";
    let script = format!("curl -s -X POST \"$AWS_ENDPOINT_URL\" -H '{target}'");
    let script = script.as_str();
    let output = shell(&["-v"], script)?;
    let log = stderr(&output);
    assert!(log.contains(" DescribeServers 400 MissingAuthenticationTokenException"), "{log}");
    assert!(!stderr(&shell(&[], script)?).contains("DescribeServers"));
    Ok(())
}

#[test]
fn serve_prints_the_environment_and_stops_on_a_signal() -> Outcome {
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = emulator(&["serve", "--server", "name=a-server,status=SETUP"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().ok_or("no line")??;
        let url = first.strip_prefix("export AWS_ENDPOINT_URL='").ok_or("no export")?;
        let state = send(url.trim_end_matches('\''), "GET", "/_emulator/state", &[], "")?.json();
        assert_eq!(state["servers"][0]["name"], "a-server");
        assert_eq!(state["servers"][0]["status"], "SETUP");
        let id = i32::try_from(child.id())?;
        kill_process(Pid::from_raw(id).ok_or("no process")?, signal)?;
        assert_eq!(child.wait()?.code(), Some(0));
        assert_eq!(lines.count(), 5);
    }
    Ok(())
}

#[test]
fn stacks_and_roles_are_what_was_asked_for() -> Outcome {
    let stack = "id=11111111-2222-4333-8444-555555555555,name=web,region=eu-west-1,vpc=vpc-1";
    let options = ["--stack", stack, "--stack", "unique-hostnames=true"];
    let output = shell(&options, "curl -s \"$AWS_ENDPOINT_URL\"/_emulator/state")?;
    let state: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let web = &state["stacks"][0];
    assert_eq!(web["id"], "11111111-2222-4333-8444-555555555555");
    assert_eq!((&web["name"], &web["region"]), (&"web".into(), &"eu-west-1".into()));
    assert_eq!((&web["vpc"], &web["unique_hostnames"]), (&"vpc-1".into(), &false.into()));
    let usual = &state["stacks"][1];
    assert_eq!(usual["id"], "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee");
    assert_eq!((&usual["region"], &usual["unique_hostnames"]), (&"us-east-1".into(), &true.into()));
    Ok(())
}

#[test]
fn serve_prints_json() -> Outcome {
    let mut child = emulator(&["serve", "--json"]).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let line = BufReader::new(output).lines().next().ok_or("no line")??;
    child.kill()?;
    child.wait()?;
    let environment: serde_json::Value = serde_json::from_str(&line)?;
    assert_eq!(environment["AWS_REGION"], "us-east-1");
    Ok(())
}

#[test]
fn bad_values_are_refused_by_what_is_allowed() -> Outcome {
    for (option, value, part) in [
        ("--server", "name=1", "'1' is no server name"),
        ("--server", "engine=Chef", "'' is no server name"),
        ("--server", "puppet", "is not KEY=VALUE"),
        ("--server", "name=a,engine=Ansible", "it is Puppet or Chef"),
        ("--server", "name=a,status=FINE", "it is one of BACKING_UP,"),
        ("--server", "name=a,healthy-after=x", "not a number of seconds"),
        ("--server", "name=a,color=red", "'color' is no key of a server"),
        ("--stack", "2f18b4cb", "is not KEY=VALUE"),
        ("--stack", "id=2f18b4cb", "'2f18b4cb' is no stack ID: a UUID in lower case"),
        ("--stack", "id=2F18B4CB-4DE5-4429-A149-FF7DA9F0D8EE", "is no stack ID"),
        ("--stack", "color=red", "'color' is no key of a stack"),
        ("--stack", "layer=Web", "is no layer's short name"),
        ("--stack", "layer=web:x", "is no layer type; it is one of aws-flow-ruby,"),
        ("--stack", "unique-hostnames=yes", "'yes' is neither true nor false"),
        ("--registration-time", "soon", "write a number of seconds"),
        ("--association-time", "soon", "write a number of seconds"),
        ("--throttle", "5", "write RATE/BURST"),
        ("--account", "123", "twelve digits"),
        ("--public-ip", "somewhere", "write an IPv4 address, or none"),
        ("--tag", "=x", "write KEY=VALUE"),
        ("--fault", "AssociateNode=flood", "not a kind of fault"),
        (
            "--fault",
            "AssociateNodes=500",
            "'AssociateNodes' is not an action; it is of opsworks-cm:",
        ),
        ("--fault", "DescribeServers=cert:two", "cannot strike DescribeServers; it strikes Associ"),
        ("--deny", "AssociateNodes", "'AssociateNodes' is not an action; it is of opsworks-cm:"),
        ("--deny", "chef:*", "chef:* is not an action that IAM knows"),
        ("--autosign", "maybe", "write on, off or challenge=PASSWORD"),
        ("--puppet-listen", "8140", "invalid socket address"),
        ("--fault", "puppet-ca:GetCertificate=cert:two", "cannot strike"),
        ("--fault", "GetStatus=500", "'GetStatus' is not an action"),
        ("--deny", "IMDS", "metadata is not given out by permission"),
        ("--deny", "", "'' is not an action"),
        ("--seed", "x", "invalid digit"),
        ("--ca-key", "file", "--ca-cert"),
        ("--frobnicate", "x", "unexpected argument"),
    ] {
        let output = emulator(&["exec", option, value, "--", "true"]).output()?;
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{option} {value}: {message}");
        assert!(message.contains(part), "{option} {value}: {message}");
    }
    assert_eq!(emulator(&["exec"]).output()?.status.code(), Some(64));
    assert_eq!(emulator(&["--help"]).output()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_cannot_start_says_why() -> Outcome {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let output = emulator(&["serve", "--listen", &address]).output()?;
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains(&format!("cannot listen on {address}")));

    let files = ["exec", "--ca-cert", "/nonexistent", "--ca-key", "/nonexistent", "true"];
    let output = emulator(&files).output()?;
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains("cannot read the CA file /nonexistent"));

    let files = ["exec", "--ca-cert", "/etc/passwd", "--ca-key", "/etc/passwd", "true"];
    let output = emulator(&files).output()?;
    assert_eq!(output.status.code(), Some(65));
    assert!(stderr(&output).contains("not a bundle of PEM certificates"));
    Ok(())
}
