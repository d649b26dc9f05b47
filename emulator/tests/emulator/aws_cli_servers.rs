//! Servers and backups by the AWS CLI alone: every command, as a person would use it; and every
//! answer against the CLI's own model of the API.

use std::process::Command;

use enlist_emulator::{Emulator, Options};

use super::aws_cli::{cli, result, run_service};
use super::{Outcome, openssl, shared_ca};

struct Aws<'a> {
    cli: &'static str,
    emulator: &'a Emulator,
}

impl Aws<'_> {
    /// Runs a command that must succeed.
    fn run(&self, command: &str) -> Result<String, Box<dyn std::error::Error>> {
        let words: Vec<_> = command.split_whitespace().collect();
        let output = run_service(self.cli, self.emulator, "opsworks-cm", &words)?;
        result(&output).map_err(|error| format!("{command}: {error}").into())
    }

    fn error(&self, command: &str) -> Result<String, Box<dyn std::error::Error>> {
        let words: Vec<_> = command.split_whitespace().collect();
        let output = run_service(self.cli, self.emulator, "opsworks-cm", &words)?;
        let error = result(&output).err().ok_or_else(|| format!("{command} succeeded"))?;
        Ok(error.split(['(', ')']).nth(1).unwrap_or_default().to_owned())
    }
}

const ARNS: &str = "--instance-profile-arn arn:aws:iam::123456789012:instance-profile/x \
    --service-role-arn arn:aws:iam::123456789012:role/y --instance-type m4.large";

/// Associates `node` with the server `web`.
fn associate(aws: &Aws<'_>) -> Outcome {
    let csr = openssl::request("node", &[])?;
    let attributes = serde_json::json!([{ "Name": "PUPPET_NODE_CSR", "Value": csr }]).to_string();
    let associate = ["associate-node", "--server-name", "web", "--node-name", "node"];
    let more = ["--engine-attributes", &attributes, "--query", "NodeAssociationStatusToken"];
    let words = [&associate[..], &more].concat();
    let token = result(&run_service(aws.cli, aws.emulator, "opsworks-cm", &words)?)?;
    let asked = format!("--server-name web --node-association-status-token {token}");
    aws.run(&format!("wait node-associated {asked}"))?;
    Ok(())
}

/// Create a server, back it up, restore it, update it, associate nodes and delete it.
#[test]
fn a_server_lives_by_the_cli_alone() -> Outcome {
    let Some(cli) = cli() else { return Ok(()) };
    let options = Options { throttle: None, servers: vec!["name=other".parse()?], ..shared_ca() };
    let emulator = Emulator::start(options)?;
    let aws = Aws { cli, emulator: &emulator };
    let create = format!("create-server --server-name web --engine Puppet {ARNS}");
    let tagged = format!("{create} --tags Key=Stage,Value=Test --query Server.Status");
    assert_eq!(aws.run(&tagged)?, "CREATING");
    assert_eq!(aws.error(&create)?, "ResourceAlreadyExistsException");
    let status = "describe-servers --server-name web --query Servers[0].Status";
    assert_eq!(aws.run(status)?, "HEALTHY");

    associate(&aws)?;

    let create = "create-backup --server-name web --description first --query Backup.BackupId";
    let id = aws.run(create)?;
    let query = "--query Backups[].[BackupId,Status,Description]";
    assert_eq!(aws.run(&format!("describe-backups {query}"))?, format!("{id}\tOK\tfirst"));
    aws.run("disassociate-node --server-name web --node-name node")?;
    aws.run(&format!("restore-server --server-name web --backup-id {id}"))?;
    assert_eq!(aws.run(status)?, "HEALTHY");
    assert_eq!(emulator.state()["associations"][0]["node"], "node", "it is back");

    let update = "update-server --server-name web --preferred-backup-window Mon:09:15";
    let query = "--query Server.PreferredBackupWindow";
    assert_eq!(aws.run(&format!("{update} {query}"))?, "Mon:09:15");
    let maintain = "start-maintenance --server-name web --query Server.Status";
    assert_eq!(aws.run(maintain)?, "UNDER_MAINTENANCE");
    let reset = "update-server-engine-attributes --server-name web --query Server.Status";
    let reset = format!("{reset} --attribute-name PUPPET_ADMIN_PASSWORD --attribute-value secret");
    assert_eq!(aws.run(&reset)?, "MODIFYING");

    let events = aws.run("describe-events --server-name web --query ServerEvents[].Message")?;
    assert!(events.contains("Updates successfully installed."), "{events}");
    let paged =
        aws.run("describe-events --server-name web --page-size 2 --query ServerEvents[].Message")?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&paged), words(&events), "in pages of two");
    let limits = aws.run("describe-account-attributes --query Attributes[].[Name,Used,Maximum]")?;
    assert_eq!(limits, "ServerLimit\t2\t10\nManualBackupLimit\t1\t50");
    let export =
        "export-server-engine-attribute --server-name web --export-attribute-name Userdata";
    assert!(aws.run(export)?.contains("Userdata"));

    let arn = aws.run("describe-servers --server-name web --query Servers[0].ServerArn")?;
    aws.run(&format!("tag-resource --resource-arn {arn} --tags Key=Name,Value=web"))?;
    let list = format!("list-tags-for-resource --resource-arn {arn} --query Tags[].Key");
    assert_eq!(aws.run(&list)?, "Name\tStage");
    aws.run(&format!("untag-resource --resource-arn {arn} --tag-keys Stage"))?;
    assert_eq!(aws.run(&list)?, "Name");

    aws.run(&format!("delete-backup --backup-id {id}"))?;
    assert_eq!(aws.error(&format!("delete-backup --backup-id {id}"))?, "ResourceNotFoundException");
    aws.run("delete-server --server-name web")?;
    assert_eq!(aws.error(status)?, "ResourceNotFoundException");
    Ok(())
}

/// Runs a script with the Python and the botocore that come with the distribution's CLI; what it
/// said, or nothing where they are not here.
fn python(script: &str) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let python = "/usr/bin/python3";
    let found = Command::new(python).args(["-c", "import awscli.botocore"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no awscli of the distribution's with botocore here");
        return Ok(None);
    }
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let path = format!("{}/tests/emulator/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(path).envs(emulator.env()).env("AWS_CONFIG_FILE", "/dev/null");
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("NO_PROXY", "*");
    Ok(Some(result(&command.output()?)?))
}

/// Each answer must fit the model's shape, with no member that the model does not know, no enum
/// value beside the model's, and no required member missing.
#[test]
fn every_answer_fits_the_model_of_botocore() -> Outcome {
    let Some(said) = python("botocore_models.py")? else { return Ok(()) };
    assert!(said.ends_with("of 19 actions"), "{said}");
    Ok(())
}

/// The values are made from the model: lengths, patterns, ranges, counts, required members.
#[test]
fn every_constraint_of_the_model_is_judged_as_botocore_has_it() -> Outcome {
    let Some(said) = python("botocore_constraints.py")? else { return Ok(()) };
    assert!(said.ends_with("of 19 actions"), "{said}");
    let requests: usize = said.split(' ').next().unwrap_or_default().parse()?;
    assert!(requests > 800, "{said}");
    Ok(())
}
