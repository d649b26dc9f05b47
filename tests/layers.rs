//! Which module may import which. Fails when an import goes against the direction of the layers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module, and the modules that it may import. Every module may import
/// `facts`, `fault`, `secret` and `text`; of these, `facts` imports `secret`, and `fault` imports `text`.
#[rustfmt::skip]
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("main", &["cli"]),
    ("cli", &["autosign", "bootstrap", "config", "daemon", "driver", "engines", "host", "targets"]),
    ("daemon", &["bootstrap", "config", "driver", "host", "targets"]),
    ("driver", &["bootstrap", "host"]),
    ("host", &["bootstrap", "engines", "pki", "targets"]),
    ("config", &["engines", "pki", "targets"]),
    ("bootstrap", &["engines", "pki", "targets"]),
    ("targets", &["engines", "pki"]),
    ("engines", &["pki"]),
    ("autosign", &["pki"]),
    ("pki", &[]),
    ("facts", &["secret"]),
    ("fault", &["text"]),
    ("secret", &[]),
    ("text", &[]),
];
const SHARED: [&str; 4] = ["facts", "fault", "secret", "text"];

#[test]
fn every_import_follows_the_layers() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(module, may)| (*module, may.iter().copied().collect())).collect();
    let mut seen = 0;
    for file in sources(Path::new("src")) {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let may = allowed
            .get(module.as_str())
            .unwrap_or_else(|| panic!("{}: a module that the table does not list", file.display()));
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            assert!(
                used == module || may.contains(used.as_str()) || is_shared(&module, &used),
                "{}: {module} must not use {used}",
                file.display()
            );
        }
    }
    assert!(seen > 50, "only {seen} imports were found: is the search broken?");
}

#[test]
fn pure_modules_do_no_io() {
    for module in ["autosign", "bootstrap", "targets", "engines", "pki"] {
        for file in sources(&Path::new("src").join(module)) {
            let text = fs::read_to_string(&file).unwrap();
            for forbidden in [
                "allow(clippy::disallowed",
                "expect(clippy::disallowed",
                "tokio::",
                "std::fs",
                "std::net::Tcp",
                "std::env",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{}: {forbidden} in a pure module",
                    file.display()
                );
            }
        }
    }
}

/// What no other module knows by name. The transports and the host's part of the engines have a
/// module of each name, and a `mod.rs` that leads to them.
const NAMES: [&str; 6] =
    ["puppet", "chef", "opsworks", "ssm", "systems manager", "systems_manager"];

#[test]
fn targets_and_engines_are_named_in_their_own_modules_only() {
    let mut files = Vec::new();
    for module in ["bootstrap", "driver", "daemon", "host"] {
        files.extend(sources(&Path::new("src").join(module)));
    }
    let of_a_name = |file: &PathBuf| {
        file.starts_with("src/host/engines") || file.starts_with("src/host/transports")
    };
    files.retain(|file| !of_a_name(file));
    assert!(files.len() > 60, "only {} files: is the search broken?", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap().to_lowercase();
        // Tests may take any target for an example.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            if NAMES.iter().any(|name| line.contains(name)) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    let directories =
        ["src", "tests", "benches", "fuzz/bodies", "fuzz/fuzz_targets", "emulator", "packaging"];
    let mut files = 0;
    for file in directories.iter().flat_map(|directory| sources(Path::new(directory))) {
        files += 1;
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= 400, "{} has {} lines", file.display(), lines.len());
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = lines[start..].iter().position(|line| *line == format!("{indent}}}"));
            let is_whole = line.trim_end().ends_with([';', '}']);
            let length = end.filter(|_| !is_whole).map_or(1, |end| end + 1);
            assert!(length <= 60, "{}:{}: {length} lines", file.display(), start + 1);
        }
    }
    assert!(files > 200, "only {files} files: is the search broken?");
}

fn begins_function(line: &str) -> bool {
    let words = line.trim_start().trim_start_matches("pub ");
    let words =
        words.strip_prefix("pub(").and_then(|rest| rest.split_once(") ")).map_or(words, |p| p.1);
    let words = words.trim_start_matches("const ").trim_start_matches("async ");
    words.starts_with("fn ")
}

#[test]
fn the_agent_and_the_emulator_share_no_code() {
    for file in sources(Path::new("src")) {
        assert!(
            !fs::read_to_string(&file).unwrap().contains("enlist_emulator"),
            "{}",
            file.display()
        );
    }
    for file in sources(Path::new("emulator/src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("use enlist::"), "{}", file.display());
    }
}

/// The shared modules may not import each other.
fn is_shared(module: &str, used: &str) -> bool {
    SHARED.contains(&used) && !SHARED.contains(&module)
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn module_of(file: &Path) -> String {
    let first = file.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The modules named in `crate::MODULE` or, in main, `enlist::MODULE`.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for marker in ["crate::", "enlist::"] {
        for (at, _) in text.match_indices(marker) {
            let rest = &text[at + marker.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap().split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let word: String = name
                    .trim()
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                if MAY_IMPORT.iter().any(|(module, _)| *module == word) {
                    found.push(word);
                }
            }
        }
    }
    found
}
