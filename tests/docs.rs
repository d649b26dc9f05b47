//! The documentation says what the program does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::fs;

use enlist::config::schema::{Form, KEYS};

/// `docs/settings.md` is made from the one list of settings; `UPDATE_DOCS=1` writes it.
#[test]
fn every_setting_is_documented() {
    let mut text = String::from(
        "# Settings\n\nMade from the list in `src/config/schema.rs` by `UPDATE_DOCS=1 cargo test --test docs`.\n\
         In the environment, `table.key` is `ENLIST_TABLE_KEY`, with `_` for `-`; a table of texts is\n\
         `name=value,name=value` there and after `--set`, and a list `a,b`.\n",
    );
    let mut table = "";
    for key in KEYS {
        if key.table != table {
            table = key.table;
            let _ = write!(
                text,
                "\n## [{table}]\n\n| key | form | default | what |\n|---|---|---|---|\n"
            );
        }
        let form = match key.form {
            Form::Text => "text",
            Form::Duration => "duration",
            Form::Integer => "number",
            Form::Boolean => "true, false",
            Form::List => "list of texts",
            Form::Map => "table of texts",
        };
        let default =
            if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(text, "| `{}` | {form} | {default} | {} |", key.name, key.help);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write("docs/settings.md", &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string("docs/settings.md").unwrap(),
        text,
        "run UPDATE_DOCS=1 cargo test --test docs"
    );
}

#[test]
fn the_examples_are_valid_settings() {
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_enlist"))
            .args(["check", "--config", path.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&run.stderr)
        );
    }
}

/// The journal's ids are for people to search by.
#[test]
fn every_message_id_is_documented() {
    let page = fs::read_to_string("docs/daemon.md").unwrap();
    let source = fs::read_to_string("src/driver/milestones.rs").unwrap();
    let ids: Vec<&str> = source.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(ids.len() >= 8, "{ids:?}");
    for id in ids {
        assert!(page.contains(&format!("`{id}`")), "{id}");
    }
}
