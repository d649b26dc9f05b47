//! `enlist policy`: prints the least IAM policy for the configured targets.

use clap::Args;
use serde_json::{Value, json};

use super::{Global, printer};
use crate::fault::Fault;
use crate::targets::Permissions;

#[derive(Debug, Args)]
pub struct Options {}

/// A statement for joining, one for reconciling after a lost reply, and one for leaving.
pub fn run(global: &Global, _: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let targets = global.settings(&root)?.targets();
    let statements: Vec<Value> =
        targets.iter().flat_map(|target| statements(target.id(), &target.permissions())).collect();
    printer::json(&json!({ "Version": "2012-10-17", "Statement": statements }));
    Ok(0)
}

fn statements(id: &str, actions: &Permissions) -> Vec<Value> {
    // A Sid has letters and digits only.
    let target: String = id.split('-').map(capitalized).collect();
    let purposes =
        [("Join", actions.join), ("Reconcile", actions.reconcile), ("Leave", actions.leave)];
    let asked = purposes.into_iter().filter(|(_, list)| !list.is_empty());
    let statement = |(purpose, list)| json!({ "Sid": format!("{target}{purpose}"), "Effect": "Allow", "Action": list, "Resource": actions.resource });
    let passing = actions.passes_role.iter().map(|role| {
        json!({
            "Sid": format!("{target}PassRole"),
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": format!("arn:aws:iam::*:role/{role}"),
            "Condition": { "StringEquals": { "iam:PassedToService": "ssm.amazonaws.com" } },
        })
    });
    asked.map(statement).chain(passing).collect()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
