//! `enlist policy`: the least IAM policy for the configured targets.

use clap::Args;
use serde_json::{Value, json};

use super::{Global, printer};
use crate::fault::Fault;
use crate::target::Target;

#[derive(Debug, Args)]
pub struct Options {}

/// One statement each for joining, for settling what a lost reply left open, and for leaving.
/// The APIs of OpsWorks CM and of activations know no resource-level permissions (IAM's Service
/// Authorization Reference), so `Resource` is `*`; that of PassRole is for you to narrow.
pub fn run(global: &Global, _: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let targets = global.settings(&root)?.targets();
    let of = |select: fn(&dyn Target) -> &'static [&'static str]| {
        let mut actions: Vec<&str> =
            targets.iter().flat_map(|target| select(target.as_ref())).copied().collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    };
    let statements: Vec<Value> = [
        ("EnlistJoin", of(|target| target.actions().join)),
        ("EnlistReconcile", of(|target| target.actions().reconcile)),
        ("EnlistLeave", of(|target| target.actions().leave)),
    ]
    .into_iter()
    .filter(|(_, actions)| !actions.is_empty())
    .map(|(sid, actions)| json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*" }))
    .collect();
    printer::json(&json!({ "Version": "2012-10-17", "Statement": statements }));
    Ok(0)
}
