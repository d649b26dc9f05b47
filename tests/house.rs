//! The arrows of the house: which room may import which. Fails when an import runs the wrong way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms whose words it may use. What is not listed is forbidden. `facts`, `fault`,
/// `secret` and `text` are words that every room may use; `facts` uses `secret`, `fault` uses `text`.
#[rustfmt::skip]
const ARROWS: [(&str, &[&str]); 14] = [
    ("main", &["cli"]),
    ("cli", &["bootstrap", "config", "daemon", "driver", "host", "target"]),
    ("daemon", &["bootstrap", "config", "driver", "host", "target"]),
    ("driver", &["bootstrap", "host"]),
    ("host", &["bootstrap", "engine", "pki", "target"]),
    ("config", &["engine", "pki", "target"]),
    ("bootstrap", &["engine", "pki", "target"]),
    ("target", &["engine", "pki"]),
    ("engine", &["pki"]),
    ("pki", &[]),
    ("facts", &["secret"]),
    ("fault", &["text"]),
    ("secret", &[]),
    ("text", &[]),
];
const WORDS: [&str; 4] = ["facts", "fault", "secret", "text"];

#[test]
fn no_import_runs_the_wrong_way() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(room, may)| (*room, may.iter().copied().collect())).collect();
    let mut seen = 0;
    for file in sources(Path::new("src")) {
        let room = room_of(&file);
        if room == "lib" {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{}: a room without arrows", file.display()));
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            assert!(
                used == room || may.contains(used.as_str()) || is_word(&room, &used),
                "{}: {room} must not use {used}",
                file.display()
            );
        }
    }
    assert!(seen > 50, "only {seen} imports were found: is the search broken?");
}

#[test]
fn pure_rooms_open_no_door() {
    for room in ["bootstrap", "target", "engine", "pki"] {
        for file in sources(&Path::new("src").join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            for door in [
                "allow(clippy::disallowed",
                "expect(clippy::disallowed",
                "tokio::",
                "std::fs",
                "std::net::Tcp",
                "std::env",
            ] {
                assert!(!text.contains(door), "{}: {door} in a pure room", file.display());
            }
        }
    }
}

#[test]
fn the_agent_and_the_emulator_share_nothing() {
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

/// The words are everybody's but each other's.
fn is_word(room: &str, used: &str) -> bool {
    WORDS.contains(&used) && !WORDS.contains(&room)
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

fn room_of(file: &Path) -> String {
    let first = file.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Rooms named in `crate::ROOM` or, in main, `enlist::ROOM`.
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
                if ARROWS.iter().any(|(room, _)| *room == word) {
                    found.push(word);
                }
            }
        }
    }
    found
}
