//! Environment variables, AWS profile files and answers of the metadata service. The input consists of
//! parts: `> NAME` and a variable's value, `> config` or `> credentials` and the file's text, `> /PATH
//! STATUS` and an answer, `> life` and the lifetime of the token. Either a part is refused by its name,
//! or one call is made with it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use enlist::fault::{Fault, Kind};
use enlist::host::aws::environment::Environment;
use enlist::host::aws::variables;
use enlist::host::transports::Transports;
use enlist::host::{AwsSettings, HttpClients};
use enlist::targets::opsworks_cm::api::Request;

use super::wire::{Part, Wire, machine, parts};

/// A secret that must never be shown.
const SECRET: &str = "s3cret-s3cret";

pub fn run(data: &[u8]) {
    let parts = parts(data);
    let body = |word: &str| parts.iter().find(|part| part.word == word).map(|part| &part.body);
    let value = |name: &str| match name {
        "HOME" => Some("/home".into()),
        name if variables().any(|(known, rule)| known == name && rule.shown("x") != "x") => {
            body(name).map(|value| OsString::from_vec(value.clone()))
        }
        name => body(name).map(|value| OsString::from_vec(only_named(value, 1))),
    };
    let read = |path: &std::path::Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named =
            |text: &Vec<u8>| String::from_utf8_lossy(&only_named(text, usize::MAX)).into_owned();
        Ok(body(name).map(named))
    };
    let settings = AwsSettings::default();
    match Environment::parse(&settings, value, &read) {
        Ok(environment) => used(&environment, &parts),
        Err(fault) => {
            assert_eq!(fault.kind, Kind::Config, "{fault:?}");
            explained(&fault);
            let named = variables().any(|(name, _)| fault.what.contains(name));
            let placed = fault.on.contains("config") || fault.on.contains("credentials");
            assert!(named || placed || fault.on.contains("no file of profiles"), "{fault:?}");
        }
    }
}

/// A text in which the secret stays only where it is named as one. Nobody can know it anywhere else. In an
/// environment file the next variables are on `lines` of their own; there it stays too.
fn only_named(text: &[u8], lines: usize) -> Vec<u8> {
    const NAMED: [&[u8]; 6] = [
        b"SECRET_ACCESS_KEY=",
        b"SESSION_TOKEN=",
        b"secret_access_key=",
        b"secret_access_key = ",
        b"SecretAccessKey\":\"",
        b"Token\":\"",
    ];
    let mut kept = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(SECRET.len()).position(|found| found == SECRET.as_bytes()) {
        let (before, after) = rest.split_at(at);
        kept.extend_from_slice(before);
        let line = kept.split(|byte| *byte == b'\n').skip(1).count();
        let is_named = line >= lines || NAMED.iter().any(|name| kept.ends_with(name));
        kept.extend_from_slice(if is_named { SECRET.as_bytes() } else { b"no-secret" });
        rest = after.split_at(SECRET.len()).1;
    }
    kept.extend_from_slice(rest);
    kept
}

fn used(environment: &Environment, parts: &[Part]) {
    for shown in &environment.shown {
        let all = format!("{} {} {}", shown.name, shown.value, shown.origin);
        assert!(!all.contains(SECRET) && !all.contains(char::is_control), "{all:?}");
    }
    // A fuzzer must not run programs or read files.
    let described = environment.credential_sources.iter().map(|(source, _)| source.describe());
    let is_safe =
        |source: String| !source.contains("credential_process") && !source.contains("web identity");
    if !described.into_iter().all(is_safe)
        || environment
            .credential_sources
            .iter()
            .any(|(source, _)| format!("{source:?}").contains("File("))
    {
        return;
    }
    let (api, local) = (Wire::default(), Wire::default());
    local.serve(parts.iter().map(copy).collect());
    api.answer(200, b"{}".to_vec());
    let net = HttpClients::with_connectors(environment, api.connector(), local.connector());
    let machine = machine();
    let mut transports = Transports::new(machine.root.clone(), net, environment.clone());
    let request = Request::DescribeServers { server: "p".to_owned() };
    if let Err(fault) = machine.runtime.block_on(transports.call(request.into())) {
        assert_ne!(fault.kind, Kind::Invariant, "{fault:?}");
        explained(&fault);
    }
    for asked in api.take_asked() {
        let is_plain = asked.uri.starts_with("http://");
        let host = asked.uri.split("//").nth(1).unwrap_or_default();
        let is_loopback = ["localhost", "127.", "[::1]", "[::ffff:127."]
            .iter()
            .any(|own| host.to_lowercase().starts_with(own))
            || host.to_lowercase().contains(".localhost");
        assert!(!is_plain || is_loopback, "in clear: {}", asked.uri);
    }
}

fn copy(part: &Part) -> Part {
    Part { word: part.word.clone(), status: part.status, body: part.body.clone() }
}

fn explained(fault: &Fault) {
    for part in [&fault.what, &fault.on, &fault.todo] {
        assert!(!part.is_empty() && !part.contains(SECRET), "{fault:?}");
    }
    assert!(!fault.causes.iter().any(|cause| cause.contains(SECRET)), "{fault:?}");
    assert!(!fault.what.contains(char::is_control), "{:?}", fault.what);
}
