//! Finds what keeps `chef-client` from using enlist's settings.
//!
//! `chef-client` reads `client.rb`, then every `client.d/*.rb` in the order of their names (Chef's
//! source, `application/client.rb`). The last value counts. These files are Ruby, and are not run
//! here: each line that sets one of enlist's settings to anything but the plain same value is
//! reported, and so is what Ruby would not read at all.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::block;
use super::ruby::{self, Part, Reading};
use super::statement::{self, Value};

/// Settings that enlist does not set, and that would change which server or key Chef uses.
const OTHERS: [(&str, Value<'static>); 5] = [
    ("client_key_contents", Value::Word("nil")),
    ("local_mode", Value::Word("false")),
    ("solo", Value::Word("false")),
    ("solo_legacy_mode", Value::Word("false")),
    ("target", Value::Word("nil")),
];

/// Settings that name a file. Chef makes no request if it does not exist (its source,
/// `http/ssl_policies.rb`).
const FILES: [&str; 4] = ["ssl_ca_file", "ssl_ca_path", "ssl_client_cert", "ssl_client_key"];

/// Settings that say which directory is read next.
const DIRECTORIES: [&str; 2] = ["client_d_dir", "config_dir"];

/// Methods of Chef's configuration that may set anything.
const SWEEPING: [&str; 12] = [
    "from_file",
    "from_string",
    "from_hash",
    "merge!",
    "restore",
    "reset",
    "configuration",
    "configure",
    "instance_eval",
    "class_eval",
    "eval",
    "load",
];

/// A file of Chef's. The path is without the `--root` prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    text: String,
    is_utf8: bool,
    reading: Reading,
}

impl Source {
    #[must_use]
    pub fn new(path: impl Into<String>, content: &[u8]) -> Self {
        let reading = ruby::read(content);
        let text = std::str::from_utf8(content).ok().map(str::to_owned);
        let is_utf8 = text.is_some();
        // One character for each byte: what decides is ASCII in every encoding that is read.
        let text = text.unwrap_or_else(|| {
            let byte = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
            content.iter().map(byte).collect()
        });
        Self { path: path.into(), text, is_utf8, reading }
    }

    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(&self.text);
        format!("{}, line {}", self.path, before.matches('\n').count() + 1)
    }

    /// What Ruby would not read.
    fn unreadable(&self) -> Option<String> {
        let (at, why) = self.reading.problem.as_ref()?;
        Some(format!("{}: Ruby does not read this file: {why}", self.place(*at)))
    }

    /// The lines of code, each with its offset.
    fn lines(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &str)> {
        let mut at = range.start;
        self.text.get(range).unwrap_or_default().split_inclusive('\n').map(move |line| {
            let begin = at;
            at += line.len();
            (begin, line)
        })
    }

    /// What this range sets `name` to, each with its offset.
    fn assigned<'a>(&'a self, name: &str, range: Range<usize>) -> Vec<(usize, Value<'a>)> {
        let is_code = |at: usize| self.reading.part(at) == Some(Part::Code);
        let is_text = |at: usize| self.reading.part(at) == Some(Part::Text);
        self.lines(range)
            .flat_map(|(begin, line)| {
                statement::assignments(line, name, &|at| is_code(begin + at), &|at| {
                    is_text(begin + at)
                })
                .into_iter()
                .map(move |(at, value)| (begin + at, value))
            })
            .collect()
    }

    fn all(&self) -> Range<usize> {
        0..self.reading.end
    }
}

/// The directory whose files are read after `client.rb`. None: no files are read.
///
/// # Errors
/// The line that names it in a way that only Ruby can compute.
pub fn directory(client_rb: &Source) -> Result<Option<String>, String> {
    let parent = client_rb.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut found = Some(format!("{parent}/client.d"));
    for name in DIRECTORIES.iter().rev() {
        if let Some((at, value)) = client_rb.assigned(name, client_rb.all()).pop() {
            found = match value {
                Value::Text(path) if *name == "config_dir" => {
                    Some(format!("{}/client.d", path.trim_end_matches('/')))
                }
                Value::Text(path) => Some(path.trim_end_matches('/').to_owned()),
                Value::Word("nil" | "false") => None,
                _ => return Err(format!("{}: {name} is set", client_rb.place(at))),
            };
        }
    }
    Ok(found)
}

/// The directory of trusted certificates that the block's `content` names.
#[must_use]
pub fn trusted(content: &str) -> Option<String> {
    let mut settings = content.lines().filter_map(statement::of_line);
    settings.find_map(|(name, value)| match value {
        Value::Text(path) if name == "trusted_certs_dir" => Some(path),
        _ => None,
    })
}

/// The names of the files that Chef reads, in its order.
#[must_use]
pub fn read_in_order(mut names: Vec<String>) -> Vec<String> {
    // As Ruby's `Dir` does: case-sensitive, without hidden files.
    names.retain(|name| name.strip_suffix(".rb").is_some() && !name.starts_with('.'));
    names.sort();
    names
}

/// What keeps Chef from using the block's `content`, each with file and line. `ours` is the present file of
/// enlist's lines, with or without them; `earlier` and `later` are read before and after it. `exists` tells
/// whether a path exists, or will.
#[must_use]
pub fn conflicts(
    earlier: &[Source],
    ours: &Source,
    later: &[Source],
    content: &str,
    exists: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    if !ours.is_utf8 {
        let what = "enlist can't add its lines: this file is not UTF-8";
        return vec![format!("{}: {what}", ours.path)];
    }
    let files: Vec<&Source> = earlier.iter().chain([ours]).chain(later).collect();
    let unreadable: Vec<String> = files.iter().filter_map(|file| file.unreadable()).collect();
    if !unreadable.is_empty() {
        return unreadable;
    }
    // The block overrides the lines before it.
    let whole = ours.reading.end;
    let block = block::range(&ours.text).unwrap_or(whole..whole);
    let lines: Vec<(&str, Value<'_>)> = content.lines().filter_map(statement::of_line).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    let anywhere = |file: &Source| {
        let mut own = overriding(file, file.all(), &OTHERS);
        own.extend(redefined(file, &names));
        own
    };
    let mut found = Vec::new();
    for file in earlier {
        let mut own = anywhere(file);
        own.extend(leaving_all(file));
        found.extend(in_order(file, own));
    }
    found.extend(placed(ours, &block));
    let after = block.end.min(whole)..whole;
    let mut own = anywhere(ours);
    own.extend(overriding(ours, after.clone(), &lines));
    own.extend(swept(ours, after));
    found.extend(in_order(ours, own));
    for file in later {
        let mut own = anywhere(file);
        own.extend(overriding(file, file.all(), &lines));
        own.extend(swept(file, file.all()));
        own.extend(leaving_all(file));
        found.extend(in_order(file, own));
    }
    found.extend(missing(&files, exists));
    found
}

/// Statements of another file that end the reading of all files. `return` ends that file alone.
fn leaving_all(file: &Source) -> Vec<(usize, String)> {
    let leaves = file.reading.leaves.iter().filter(|(_, word)| *word != "return");
    leaves.map(|(at, word)| (*at, leaving(word))).collect()
}

fn in_order(file: &Source, mut found: Vec<(usize, String)>) -> Vec<String> {
    found.sort();
    found.into_iter().map(|(at, what)| format!("{}: {what}", file.place(at))).collect()
}

fn leaving(word: &str) -> String {
    format!("`{word}` ends chef-client's reading of its settings")
}

/// What keeps Ruby from running the block as statements of the program.
fn placed(file: &Source, block: &Range<usize>) -> Vec<String> {
    let (reading, text) = (&file.reading, &file.text);
    let before = reading.leaves.iter().filter(|(at, _)| *at < block.start);
    let left = before.map(|(at, word)| format!("{}: {}", file.place(*at), leaving(word)));
    let mut found: Vec<String> = left.collect();
    if !reading.is_start(block.start) || block.start > reading.end {
        let what =
            "enlist's lines are not where Ruby runs them; remove them, or what is around them";
        found.push(format!("{}: {what}", file.place(block.start)));
    }
    // A line that begins with a dot goes on with the statement before it.
    let code = (block.end..reading.end).find(|at| {
        let is_blank = text.as_bytes().get(*at).is_none_or(u8::is_ascii_whitespace);
        reading.part(*at) == Some(Part::Code) && !is_blank
    });
    let rest = code.and_then(|at| Some((at, text.get(at..)?)));
    if let Some((at, rest)) = rest
        && (rest.starts_with("&.") || (rest.starts_with('.') && !rest.starts_with("..")))
    {
        found.push(format!("{}: this goes on with enlist's last line", file.place(at)));
    }
    found
}

/// The lines that give one of these settings another value.
fn overriding(
    file: &Source,
    range: Range<usize>,
    settings: &[(&str, Value<'_>)],
) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (name, wanted) in settings {
        let is_off = |value: &Value<'_>| matches!(value, Value::Word("false" | "nil"));
        let mut others = file.assigned(name, range.clone());
        others.retain(|(_, value)| value != wanted && !(is_off(value) && is_off(wanted)));
        // One for each line.
        others.dedup_by_key(|(at, _)| file.place(*at));
        for (at, value) in others {
            let shown = match value {
                Value::Text(text) => format!("{name} {text:?}"),
                Value::Word(word) => format!("{name} {word}"),
                Value::Other => format!("{name} is set"),
            };
            all.push((at, shown));
        }
    }
    all
}

/// Methods with the name of a setting: a line of enlist's would call them.
fn redefined(file: &Source, names: &[&str]) -> Vec<(usize, String)> {
    let defined = file.lines(file.all()).filter_map(|(begin, line)| {
        let code = line.trim_start();
        let rest = ["def ", "undef ", "alias "].iter().find_map(|word| code.strip_prefix(word))?;
        let name = rest.trim_start().trim_start_matches("self.").trim_start_matches([':', '$']);
        let at = begin + line.len() - code.len();
        let is_code = file.reading.part(at) == Some(Part::Code);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let known = names.iter().find(|known| {
            name.strip_prefix(**known).is_some_and(|rest| !rest.starts_with(is_part))
        })?;
        is_code.then(|| (at, format!("{known} is defined anew")))
    });
    defined.collect()
}

/// Calls that may set anything, as far as the text shows.
fn swept(file: &Source, range: Range<usize>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (begin, line) in file.lines(range) {
        for word in SWEEPING {
            let at = statement::calls(line, word)
                .into_iter()
                .find(|at| file.reading.part(begin + at) == Some(Part::Code));
            found.extend(at.map(|at| (begin + at, format!("`{word}` may set anything"))));
        }
    }
    found
}

/// Settings that name files which do not exist.
fn missing(files: &[&Source], exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let mut own = Vec::new();
        for name in FILES {
            for (at, value) in file.assigned(name, file.all()) {
                match value {
                    Value::Text(path) if exists(&path) => {}
                    Value::Text(path) => {
                        own.push((at, format!("{name} {path:?} does not exist")));
                    }
                    Value::Word("nil" | "false") => {}
                    _ => own.push((at, format!("{name} is set to what only Ruby can compute"))),
                }
            }
        }
        found.extend(in_order(file, own));
    }
    found
}
