//! The AWS CLI against OpsWorks Stacks and Systems Manager.

use enlist_emulator::control::DEFAULT_STACK;
use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::aws_cli::{cli, result, run_service};
use super::openssl;
use super::{Outcome, shared_ca};

/// What a command prints, or its error.
fn ask(cli: &str, emulator: &Emulator, command: &str, more: &[&str]) -> Result<String, String> {
    let (service, action) = command.split_once(' ').unwrap_or((command, ""));
    let arguments = [&action.split(' ').collect::<Vec<_>>(), more].concat();
    let output = run_service(cli, emulator, service, &arguments);
    result(&output.map_err(|error| error.to_string())?)
}

fn emulator() -> Result<Emulator, enlist_emulator::StartError> {
    Emulator::start(Options { throttle: None, ..shared_ca() })
}

#[test]
fn an_instance_is_registered_and_deregistered() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = emulator()?;
    let aws = |command: &str, more: &[&str]| ask(cli, &emulator, command, more);
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let query = ["--query", "Stacks[].[StackId,Name,Region]"];
    let expected = format!("{DEFAULT_STACK}\tstack-test\tus-east-1");
    assert_eq!(aws("opsworks describe-stacks", &query)?, expected);
    let register = [
        "--stack-id",
        DEFAULT_STACK,
        "--hostname",
        "web",
        "--private-ip",
        "10.0.0.5",
        "--public-ip",
        "192.0.2.5",
        "--rsa-public-key",
        &key,
        "--query",
        "InstanceId",
    ];
    let id = aws("opsworks register-instance", &register)?;
    aws("opsworks wait instance-registered", &["--instance-ids", &id])?;
    let query = "Instances[].[InstanceId,Hostname,Status,PrivateIp,PublicIp]";
    let stack = ["--stack-id", DEFAULT_STACK, "--query", query];
    let expected = format!("{id}\tweb\tregistered\t10.0.0.5\t192.0.2.5");
    assert_eq!(aws("opsworks describe-instances", &stack)?, expected);
    assert_eq!(emulator.state()["instances"][0]["public_key"], key);
    assert_eq!(aws("opsworks deregister-instance", &["--instance-id", &id])?, "");
    assert_eq!(emulator.state()["instances"], json!([]));
    Ok(())
}

#[test]
fn an_activation_is_made_listed_and_deleted() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = emulator()?;
    let aws = |command: &str, more: &[&str]| ask(cli, &emulator, command, more);
    let expires = emulator.now().shifted(3600).rfc3339();
    let create = [
        "--iam-role",
        "service-role/node",
        "--default-instance-name",
        "web",
        "--expiration-date",
        &expires,
        "--registration-limit",
        "2",
        "--tags",
        "Key=OS,Value=Linux",
        "--query",
        "[ActivationId,ActivationCode]",
    ];
    let made = aws("ssm create-activation", &create)?;
    let (id, code) = made.split_once('\t').ok_or("no code")?;
    assert_eq!(code.len(), 20);
    let query =
        "ActivationList[].[ActivationId,IamRole,RegistrationLimit,RegistrationsCount,Expired]";
    let filter = ["--filters", "FilterKey=IamRole,FilterValues=service-role/node"];
    let found = aws("ssm describe-activations", &[&filter[..], &["--query", query]].concat())?;
    assert_eq!(found, format!("{id}\tservice-role/node\t2\t0\tFalse"));
    let dates = ["--query", "ActivationList[0].ExpirationDate"];
    let date = aws("ssm describe-activations", &dates)?;
    assert_eq!(date.get(..19), expires.get(..19), "the CLI reads the date as it sent it");

    for _ in 0..4 {
        aws("ssm create-activation", &["--iam-role", "other"])?;
    }
    let all = ["--page-size", "2", "--query", "ActivationList[].IamRole"];
    let all = aws("ssm describe-activations", &all)?;
    assert_eq!(all.split_whitespace().count(), 5, "the CLI follows the pages: {all}");
    let pages = emulator.calls();
    let pages = pages.iter().filter(|call| call.request["MaxResults"] == 2).count();
    assert_eq!(pages, 3);

    aws("ssm delete-activation", &["--activation-id", id])?;
    assert_eq!(emulator.state()["activations"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[test]
fn a_managed_instance_is_listed_and_deregistered() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = emulator()?;
    let aws = |command: &str, more: &[&str]| ask(cli, &emulator, command, more);
    let query = ["--query", "[ActivationId,ActivationCode]"];
    let made = aws("ssm create-activation", &[&["--iam-role", "r"], &query[..]].concat())?;
    let (activation, code) = made.split_once('\t').ok_or("no code")?;
    let body = json!({
        "ActivationId": activation, "ActivationCode": code, "Fingerprint": "f",
        "PublicKey": super::activations::public_key(0)?, "PublicKeyType": "Rsa",
    });
    let headers = [("x-amz-target".to_owned(), "AmazonSSM.RegisterManagedInstance".to_owned())];
    let url = emulator.api_url();
    let reply = super::client::send(url, "POST", "/", &headers, &body.to_string())?.json();
    let id = reply["InstanceId"].as_str().ok_or("no ID")?;
    let query = "InstanceInformationList[].[InstanceId,ActivationId,ResourceType,PingStatus]";
    let filter = format!("Key=ActivationIds,Values={activation}");
    let list = ["--filters", &filter, "--query", query];
    let expected = format!("{id}\t{activation}\tManagedInstance\tOnline");
    assert_eq!(aws("ssm describe-instance-information", &list)?, expected);
    aws("ssm deregister-managed-instance", &["--instance-id", id])?;
    assert_eq!(emulator.state()["managed_instances"], json!([]));
    Ok(())
}

#[test]
fn bad_input_gets_the_documented_errors() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let emulator = emulator()?;
    let none = "00000000-0000-4000-8000-000000000000";
    let name = "h".repeat(64);
    let past = ["--iam-role", "r", "--expiration-date", "2020-01-01T00:00:00Z"];
    let rows: [(&str, &[&str], &str); 14] = [
        ("opsworks register-instance", &["--stack-id", none], "ResourceNotFoundException"),
        (
            "opsworks register-instance",
            &["--stack-id", DEFAULT_STACK, "--hostname", &name],
            "ValidationException",
        ),
        (
            "opsworks register-instance",
            &["--stack-id", DEFAULT_STACK, "--public-ip", "::1"],
            "ValidationException",
        ),
        ("opsworks describe-instances", &[], "ValidationException"),
        ("opsworks describe-instances", &["--layer-id", none], "ResourceNotFoundException"),
        ("opsworks describe-instances", &["--instance-ids", none], "ResourceNotFoundException"),
        ("opsworks deregister-instance", &["--instance-id", none], "ResourceNotFoundException"),
        ("opsworks describe-stacks", &["--stack-ids", none], "ResourceNotFoundException"),
        ("ssm create-activation", &["--iam-role", "arn:aws:iam::1:role/r"], "ValidationException"),
        ("ssm create-activation", &past, "InvalidParameters"),
        ("ssm delete-activation", &["--activation-id", none], "InvalidActivationId"),
        (
            "ssm describe-activations",
            &["--starting-token", "eyJOZXh0VG9rZW4iOiAieCJ9"],
            "InvalidNextToken",
        ),
        (
            "ssm describe-instance-information",
            &["--filters", "Key=Color,Values=red"],
            "InvalidFilterKey",
        ),
        (
            "ssm deregister-managed-instance",
            &["--instance-id", "mi-00000000000000000"],
            "InvalidInstanceId",
        ),
    ];
    for (command, more, error) in rows {
        let refused = ask(cli, &emulator, command, more);
        let wanted = format!("An error occurred ({error})");
        let said = refused.as_ref().is_err_and(|text| text.contains(&wanted));
        assert!(said, "{command} {more:?}: {refused:?}");
        // A message that the CLI can read follows the operation's name.
        let text = refused.err().unwrap_or_default();
        assert!(text.split("operation: ").nth(1).is_some_and(|text| !text.is_empty()), "{text}");
    }
    assert_eq!(emulator.state()["instances"], json!([]));
    assert_eq!(emulator.state()["activations"], Value::Array(Vec::new()));
    Ok(())
}
