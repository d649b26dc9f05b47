//! A file with every setting, commented out, with its default. An admin copies from it.

use std::fmt::Write as _;

use enlist::config::schema::{Form, SETTINGS, Setting};
use enlist::config::settings::target_ids;

const HEAD: &str = "\
# All settings of enlist, each with its default or an empty value.
# Copy what you need to /etc/enlist/enlist.toml. enlist is idle until the table of a target is there.
# Then run: enlist check && systemctl restart enlist
";

/// The text of the file.
#[must_use]
pub fn commented() -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for key in SETTINGS {
        if key.table != table {
            table = key.table;
            let note = if target_ids().any(|id| id == table) {
                "  # this line turns the target on"
            } else {
                ""
            };
            let _ = write!(text, "\n#[{table}]{note}\n");
        }
        let _ = write!(text, "\n{}#{} = {}\n", wrapped(key.help), key.name, value(key));
    }
    text
}

/// The default as TOML; without one, an empty value of the setting's form.
#[must_use]
pub fn value(key: &Setting) -> String {
    match (key.form, key.default) {
        (Form::Integer | Form::Boolean, default) if !default.is_empty() => default.to_owned(),
        (Form::Integer, _) => "0".to_owned(),
        (Form::Boolean, _) => "false".to_owned(),
        (Form::List, _) => "[]".to_owned(),
        (Form::Map, _) => "{}".to_owned(),
        (Form::Text | Form::Duration, default) => format!("{default:?}"),
    }
}

/// The name of a form in the documentation.
#[must_use]
pub fn form(key: &Setting) -> &'static str {
    match key.form {
        Form::Text => "text",
        Form::Duration => "duration",
        Form::Integer => "number",
        Form::Boolean => "true or false",
        Form::List => "list of texts",
        Form::Map => "table of texts",
    }
}

fn wrapped(help: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in help.split(' ') {
        if line.len() + 1 + word.len() > 90 {
            lines.push_str(&line);
            lines.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}
