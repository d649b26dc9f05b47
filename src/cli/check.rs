//! `enlist check`: validates the settings, and shows each with where it was set.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{Global, parse, printer};
use crate::config::Input;
use crate::config::input::Entry;
use crate::config::schema::Setting;
use crate::config::{Settings, all_errors};
use crate::daemon;
use crate::facts::{Ec2, Facts};
use crate::fault::Fault;
use crate::host::Environment;
use crate::host::Root;
use crate::host::aws::environment::ShownValue;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist check                          all errors, or the values in force
  enlist check --config new.toml        before it is put in place")]
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
    let (input, settings, environment) = checked(global, &root)?;
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

/// The settings, each with its origin, and what is wrong with them, as JSON.
pub fn report(global: &Global, root: &Root) -> serde_json::Value {
    let collected = match global.collected(root) {
        Ok(collected) => collected,
        Err(error) => return serde_json::json!({ "errors": [Fault::from(error).sentence()] }),
    };
    let errors = all_errors(&collected, &|path| super::read_file(root, path));
    let errors: Vec<String> = errors.into_iter().map(|e| Fault::from(e).sentence()).collect();
    let environment = match parse(&collected, root) {
        Ok(settings) => daemon::environment(&settings).map(|environment| environment.shown),
        Err(_) => Ok(Vec::new()),
    };
    let variables: Vec<Variable> =
        environment.unwrap_or_default().into_iter().map(Variable::from).collect();
    let settings: Vec<Line> = collected.listing().iter().map(line).collect();
    serde_json::json!({
        "files": collected.files,
        "settings": settings,
        "environment": variables,
        "errors": errors,
    })
}

/// The settings, if nothing is wrong with them. All errors are printed; the last one is returned.
fn checked(global: &Global, root: &Root) -> Result<(Input, Settings, Environment), Fault> {
    let collected = global.collected(root)?;
    let errors = all_errors(&collected, &|path| super::read_file(root, path));
    let mut faults: Vec<Fault> = errors.into_iter().map(Fault::from).collect();
    let last = faults.pop();
    for fault in &faults {
        printer::error(fault);
    }
    if let Some(last) = last {
        return Err(last);
    }
    let input = global.input(root)?;
    let settings = parse(&input, root)?;
    let environment = daemon::environment(&settings)?;
    check_name(&settings)?;
    Ok((input, settings, environment))
}

/// Checks the name as far as it does not depend on the node: with an instance id and a host name as they
/// are everywhere.
fn check_name(settings: &Settings) -> Result<(), Fault> {
    let Some(template) = &settings.name else { return Ok(()) };
    let ec2 = Ec2 { instance_id: "i-0123456789abcdef0".to_owned(), ..Ec2::default() };
    let (hostname, fqdn) = ("web1".to_owned(), "web1.example.com".to_owned());
    let name = template.render(&Facts { hostname, fqdn, ec2: Some(ec2), ..Facts::default() })?;
    for target in settings.targets() {
        target.check_name(&name)?;
        settings.engines.get(target.engine()).check_name(&name)?;
    }
    Ok(())
}

fn line((key, entry): &(&'static Setting, Entry)) -> Line {
    let value = entry.value.shown(key).to_json();
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
            let value = entry.value.shown(key);
            (format!("{}.{} = {value}", key.table, key.name), entry.origin.to_string())
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
