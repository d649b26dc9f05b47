//! `ExportServerEngineAttribute`: a user data script that makes a machine a node of the server.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::OpsWorksCm;
use super::engine_attributes::only;
use super::server::spec::{Engine, SERVER_NAME};
use super::server::{Server, status};
use crate::control::Context;
use crate::control::validate::{Attribute, Members, Text};
use crate::error::ApiError;

/// "Currently, the supported export attribute is `Userdata`."
const USERDATA: &str = "Userdata";
const RUN_LIST: &str = "RunList";
const ORGANIZATION: &str = "OrganizationName";
const ENVIRONMENT: &str = "NodeEnvironment";
const CLIENT_VERSION: &str = "NodeClientVersion";
const INPUTS: [&str; 4] = [RUN_LIST, ORGANIZATION, ENVIRONMENT, CLIENT_VERSION];

impl OpsWorksCm {
    /// "Exports a specified server engine attribute as a base64-encoded string."
    pub(super) fn export_server_engine_attribute(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let attribute = members.text("ExportAttributeName", &Text::ANY)?;
        let name = members.text("ServerName", &SERVER_NAME)?;
        let inputs = members.attributes("InputAttributes", false)?;
        members.finish()?;

        if attribute != USERDATA {
            return Err(ApiError::Validation(format!(
                "Invalid ExportAttributeName '{attribute}': it is {USERDATA}."
            )));
        }
        let server = self.server(name)?;
        status::require_exportable(name, server.status)?;
        only(&inputs, &INPUTS)?;
        let aws = json_lines(&[
            ("region", Some(json!(self.settings.place.region))),
            // Whoever asks here reaches the emulator at this address, and so will the node.
            ("endpoint_url", context.host.map(|host| json!(format!("http://{host}")))),
        ]);
        let script = script(server, &aws, &inputs)?;
        let value = BASE64_STANDARD.encode(script);
        let attribute = json!({ "Name": USERDATA, "Value": value });
        Ok(json!({ "EngineAttribute": attribute, "ServerName": name }))
    }
}

fn script(server: &Server, aws: &str, inputs: &[Attribute<'_>]) -> Result<String, ApiError> {
    let name = &server.name;
    let (engine, more, version) = match server.engine {
        // "In Puppet, this parameter is ignored."
        Engine::Puppet => ("puppet", String::new(), String::new()),
        Engine::Chef => {
            let (chef, version) = chef(inputs)?;
            ("chef", chef, version)
        }
    };
    let server = json_lines(&[("server", Some(json!(name))), ("engine", Some(json!(engine)))]);
    Ok(format!(
        "#!/bin/sh\n\
         # User data: makes this machine a node of the {engine} server {name}, with enlist, which the\n\
         # image has. ROOT and ENLIST are for trying it out.\n\
         {version}set -eu\n\
         umask 022\n\
         mkdir -p \"${{ROOT:-}}/etc/enlist\"\n\
         cat >\"${{ROOT:-}}/etc/enlist/enlist.toml\" <<'END'\n\
         [aws]\n{aws}[opsworks-cm]\n{server}{more}END\n\
         exec \"${{ENLIST:-enlist}}\" join --root \"${{ROOT:-/}}\"\n"
    ))
}

/// The table `[chef]`, and a line about the client's version.
fn chef(inputs: &[Attribute<'_>]) -> Result<(String, String), ApiError> {
    let value = |name: &str| {
        let found = inputs.iter().find(|input| input.name == name);
        found.map(|input| input.value.trim()).filter(|value| !value.is_empty())
    };
    let run_list = value(RUN_LIST).map(run_list).transpose()?;
    let word = |name: &str| match value(name) {
        Some(text) if !is_word(text) => {
            Err(invalid(name, "it has other characters than letters, digits, _ and -"))
        }
        found => Ok(found.map(|text| json!(text))),
    };
    let (organization, environment) = (word(ORGANIZATION)?, word(ENVIRONMENT)?);
    let version = match value(CLIENT_VERSION) {
        Some(text) if !is_version(text) => {
            return Err(invalid(CLIENT_VERSION, "it is not three numbers separated by dots"));
        }
        Some(text) => format!("# The image is to have the Chef client {text}.\n"),
        None => String::new(),
    };
    let lines = json_lines(&[
        ("organization", organization),
        ("run_list", run_list),
        ("environment", environment),
    ]);
    Ok((format!("[chef]\n{lines}"), version))
}

/// "A list of roles or recipes that are run in the specified order."
fn run_list(text: &str) -> Result<Value, ApiError> {
    let items: Vec<_> = text.split(',').map(str::trim).collect();
    let is_item = |item: &&str| {
        let inner = ["recipe[", "role["].into_iter().find_map(|kind| item.strip_prefix(kind));
        let name = match inner {
            Some(inner) => inner.strip_suffix(']').unwrap_or_default(),
            None => item,
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.:@".contains(letter);
        !name.is_empty() && name.chars().all(fits)
    };
    if items.iter().all(is_item) {
        return Ok(json!(items));
    }
    Err(invalid(RUN_LIST, "it is not a list such as recipe[base],role[web]"))
}

fn is_word(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}

fn is_version(text: &str) -> bool {
    let number = |part: &str| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split('.').count() == 3 && text.split('.').all(number)
}

/// Settings of those that are there. A JSON string or list of printable ASCII is one of TOML's.
fn json_lines(pairs: &[(&str, Option<Value>)]) -> String {
    let present = pairs.iter().filter_map(|(key, value)| value.as_ref().map(|it| (key, it)));
    present.map(|(key, value)| format!("{key} = {value}\n")).collect()
}

fn invalid(name: &str, reason: &str) -> ApiError {
    ApiError::Validation(format!("Invalid value of input attribute '{name}': {reason}."))
}
