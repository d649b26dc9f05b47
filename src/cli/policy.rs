//! `enlist policy`: prints the least IAM policy for the configured targets.

use clap::Args;
use serde_json::{Value, json};

use super::{Global, printer};
use crate::autosign::regions::partition_of;
use crate::daemon::InForce;
use crate::fault::Fault;
use crate::secret::SecretSource;
use crate::targets::Permissions;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist policy >policy.json
  aws iam put-role-policy --role-name ROLE --policy-name enlist --policy-document file://policy.json")]
pub struct Options {}

/// A statement for joining, one for reconciling after a lost reply, and one for leaving.
pub fn run(global: &Global, _: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = InForce::from(global.settings(&root)?);
    // The environment of whoever prints the policy may be another one, or need a person.
    let known = settings.access().ok().and_then(|access| access.environment.region.clone());
    let partition =
        settings.aws.region.clone().or(known).map_or("aws", |region| partition_of(&region));
    let mut all: Vec<Value> = Vec::new();
    for target in settings.targets() {
        all.extend(statements(target.id(), &target.permissions(), partition));
        all.extend(parameters(target.id(), &target.secrets(), partition));
    }
    printer::json(&json!({ "Version": "2012-10-17", "Statement": all }))?;
    Ok(0)
}

fn statements(id: &str, actions: &Permissions, partition: &str) -> Vec<Value> {
    let target = sid(id);
    let purposes =
        [("Join", actions.join), ("Reconcile", actions.reconcile), ("Leave", actions.leave)];
    let asked = purposes.into_iter().filter(|(_, list)| !list.is_empty());
    let statement = |(purpose, list)| json!({ "Sid": format!("{target}{purpose}"), "Effect": "Allow", "Action": list, "Resource": actions.resource });
    let passing = actions.passes_role.iter().map(|role| {
        json!({
            "Sid": format!("{target}PassRole"),
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": format!("arn:{partition}:iam::*:role/{role}"),
            "Condition": { "StringEquals": { "iam:PassedToService": "ssm.amazonaws.com" } },
        })
    });
    asked.map(statement).chain(passing).collect()
}

/// Reading the secrets that are parameters, and decrypting them. The second is needed only with a key of
/// one's own: everybody in the account may use AWS's own key.
fn parameters(id: &str, secrets: &[&SecretSource], partition: &str) -> Vec<Value> {
    let arns = secrets.iter().filter_map(|source| match source {
        SecretSource::Parameter(name) => Some(arn(name, partition)),
        _ => None,
    });
    let arns: Vec<String> = arns.collect();
    if arns.is_empty() {
        return Vec::new();
    }
    let target = sid(id);
    let condition = json!({
        "kms:EncryptionContext:PARAMETER_ARN": arns,
        // Other partitions have other domains.
        "kms:ViaService": if partition == "aws" { "ssm.*.amazonaws.com" } else { "ssm.*" },
    });
    vec![
        json!({
            "Sid": format!("{target}Secrets"),
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": arns,
        }),
        json!({
            "Sid": format!("{target}DecryptSecrets"),
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": "*",
            "Condition": { "StringLike": condition },
        }),
    ]
}

/// The ARN of a parameter, without a version or label.
fn arn(name: &str, partition: &str) -> String {
    let is_arn = name.starts_with("arn:");
    let parts: Vec<&str> = name.split(':').take(if is_arn { 6 } else { 1 }).collect();
    let name = parts.join(":");
    if is_arn {
        name
    } else {
        format!("arn:{partition}:ssm:*:*:parameter/{}", name.trim_start_matches('/'))
    }
}

/// A target's name in a Sid, which has letters and digits only.
fn sid(id: &str) -> String {
    id.split('-').map(capitalized).collect()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::{Permissions, SecretSource, parameters, statements};

    #[test]
    fn arns_are_of_the_partition() {
        let source = SecretSource::Parameter("/enlist/x".to_owned());
        for (partition, via) in [("aws", "ssm.*.amazonaws.com"), ("aws-cn", "ssm.*")] {
            let passing = Permissions { passes_role: Some("r".to_owned()), ..Permissions::none() };
            let shown = format!(
                "{:?}{:?}",
                statements("ssm", &passing, partition),
                parameters("ssm", &[&source], partition)
            );
            for word in [
                format!("arn:{partition}:iam::*:role/r"),
                format!("arn:{partition}:ssm:*:*:parameter/enlist/x"),
                format!("\"{via}\""),
            ] {
                assert!(shown.contains(&word), "{word}: {shown}");
            }
        }
    }
}
