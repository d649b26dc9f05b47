//! The committed corpus of the fuzz targets, replayed through the same bodies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let directory = Path::new("fuzz/corpus").join(target);
    let mut entries: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    assert!(entries.len() >= 8, "{target}: only {} inputs", entries.len());
    for path in entries {
        // The output is shown only if the test fails: it names the input.
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
    }
}

#[test]
fn settings() {
    replay("settings", bodies::settings::run);
}

#[test]
fn record() {
    replay("record", bodies::record::run);
}

#[test]
fn certificate() {
    replay("certificate", bodies::certificate::run);
}

#[test]
fn autosign() {
    replay("autosign", bodies::autosign::run);
}

#[test]
fn chef() {
    replay("chef", bodies::chef::run);
}

#[test]
fn answers() {
    replay("answers", bodies::answers::run);
}

#[test]
fn environment() {
    replay("environment", bodies::environment::run);
}

#[test]
fn imds() {
    replay("imds", bodies::imds::run);
}

#[test]
fn files() {
    replay("files", bodies::files::run);
}
