//! Every setting, commented out, with its default: what an admin copies to `/etc/enlist`.

use std::fmt::Write as _;

use enlist::config::schema::{Form, SETTINGS, Setting};
use enlist::config::settings::target_ids;

const HEAD: &str = "\
# Settings of enlist: all there are, each with its default or a form to fill in.
# Copy to /etc/enlist/enlist.toml what you need; enlist is idle until a target's table is there.
# Then: enlist check && systemctl restart enlist
";

/// The file.
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

/// The default, or, where there is none, a value that says its form.
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

/// The word for a form in the documentation.
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
