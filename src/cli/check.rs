//! `enlist check`: validates the settings, and shows each with where it was set.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{Global, parse, printer};
use crate::config::Input;
use crate::config::input::Entry;
use crate::config::schema::Setting;
use crate::daemon;
use crate::fault::Fault;
use crate::host::Environment;
use crate::host::aws::environment::ShownValue;

#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    files: Vec<String>,
    targets: Vec<&'static str>,
    settings: Vec<Line>,
    environment: Vec<Variable>,
}

/// A value from the environment or the AWS profile that is used.
#[derive(Serialize)]
struct Variable {
    name: String,
    value: String,
    origin: String,
}

#[derive(Serialize)]
struct Line {
    key: String,
    value: serde_json::Value,
    origin: String,
}

pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let input = global.input(&root)?;
    let settings = parse(&input, &root)?;
    let environment = daemon::environment(&settings)?;
    if options.json {
        printer::json(&Listing {
            files: input.files.clone(),
            targets: settings.target_ids(),
            settings: input.listing().iter().map(line).collect(),
            environment: environment.shown.into_iter().map(Variable::from).collect(),
        })?;
    } else {
        printer::out(&text(&input, &environment, &settings.target_ids()))?;
    }
    Ok(0)
}

fn line((key, entry): &(&'static Setting, Entry)) -> Line {
    let value = entry.value.shown().to_json();
    Line { key: format!("{}.{}", key.table, key.name), value, origin: entry.origin.to_string() }
}

impl From<ShownValue> for Variable {
    fn from(shown: ShownValue) -> Self {
        Self { name: shown.name, value: shown.value, origin: shown.origin }
    }
}

fn text(input: &Input, environment: &Environment, targets: &[&str]) -> String {
    let mut text = String::from("read:\n");
    for file in &input.files {
        let _ = writeln!(text, "  {}", crate::text::line(file));
    }
    if input.files.is_empty() {
        let _ = writeln!(text, "  no file");
    }
    let _ = writeln!(text, "settings:");
    let rows: Vec<(String, String)> = input
        .listing()
        .iter()
        .map(|(key, entry)| {
            (format!("{}.{} = {}", key.table, key.name, entry.value), entry.origin.to_string())
        })
        .collect();
    text.push_str(&printer::columns(&rows));
    if !environment.shown.is_empty() {
        let _ = writeln!(text, "environment and AWS profile:");
        let rows: Vec<(String, String)> = environment
            .shown
            .iter()
            .map(|shown| (format!("{} = {}", shown.name, shown.value), shown.origin.clone()))
            .collect();
        text.push_str(&printer::columns(&rows));
    }
    let _ = writeln!(text, "valid; targets: {}", targets.join(", "));
    text
}
