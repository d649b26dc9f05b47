//! Finds the text of every fault in the sources, for docs/troubleshooting.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/troubleshooting.md";
const MARK: &str = "<!-- The rest is generated: UPDATE_DOCS=1 cargo test --test docs -->\n";

/// The kinds of faults with their exit codes, in the order of the page.
const KINDS: [(&str, &str); 10] = [
    ("Usage", "64"),
    ("Data", "65"),
    ("Rejected", "69"),
    ("Invariant", "70"),
    ("Host", "74"),
    ("Transient", "75"),
    ("Protocol", "76"),
    ("Denied", "77"),
    ("Config", "78"),
    (VARIES, "any"),
];

/// The kind of a fault that has the kind of its cause.
const VARIES: &str = "of the cause";

/// Where the text of a fault comes from a member of another value. Their texts are found where those are made.
const MEMBERS: [(&str, &str, &str); 2] =
    [("Undecided {", "Transient", "waiting.rs"), ("Absent {", "Rejected", "network.rs")];

/// Where a fault repeats the text of another fault, or the problem of a file that `status` names.
const REPEATED: [&str; 2] = ["bootstrap/clock_skew.rs", "bootstrap/health.rs"];

/// How often the text of a fault may be passed on from function to function.
const DEPTH: usize = 3;

struct Source {
    path: String,
    text: String,
}

/// Each text, with the exit code and the advice of its fault.
type Messages = BTreeMap<String, (String, Option<String>)>;

/// Every fault's text is an anchor of the page.
#[test]
fn every_message_is_explained() {
    let (found, unknown) = messages();
    assert!(unknown.is_empty(), "no text was found for the faults made in {unknown:#?}");
    assert!(found.len() > 200, "{}", found.len());
    let page = fs::read_to_string(PAGE).unwrap();
    let (by_hand, generated) = page.split_once(MARK).expect("the page has the mark");
    let wanted = section(&found);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, format!("{by_hand}{MARK}{wanted}")).unwrap();
        return;
    }
    assert_eq!(generated, wanted, "run UPDATE_DOCS=1 cargo test --test docs");
}

fn section(found: &Messages) -> String {
    let mut text = String::from(
        "\n## Every message\n\nBy exit code. `...` stands for what is filled in. Below the message, `on:` says on what, and `because:` why.\n",
    );
    let mut anchors = BTreeSet::new();
    for (kind, code) in KINDS {
        let rows = found.iter().filter(|(_, (of, _))| of == kind);
        let _ = writeln!(text, "\n### {code}: {}\n", kind.to_lowercase());
        text.push_str("| message | to do |\n|---|---|\n");
        for (what, (_, todo)) in rows {
            let todo = todo.as_deref().unwrap_or("what the message says");
            let cell = |text: &str| text.replace('|', "\\|");
            let anchor = slug(what);
            let is_new = anchors.insert(anchor.clone());
            let anchor = if is_new { format!("<a id=\"{anchor}\"></a>") } else { String::new() };
            let _ = writeln!(text, "| {anchor}{} | {} |", cell(what), cell(todo));
        }
    }
    text
}

fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = text.chars().map(plain).collect();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}

/// The messages, and the places whose text was not found.
fn messages() -> (Messages, Vec<String>) {
    let sources = sources(Path::new("src"));
    let (mut found, mut unknown) = (Messages::new(), Vec::new());
    for source in &sources {
        for at in calls(&source.text, "Fault::new") {
            let (before, arguments) = (&source.text[..at], arguments(&source.text, at));
            let [kind, what, _, todo] = arguments.as_slice() else { continue };
            let is_member = MEMBERS.iter().any(|(.., file)| source.path.ends_with(file));
            let is_repeated = REPEATED.iter().any(|file| source.path.ends_with(file));
            if what.contains(".what") || what.contains("what.clone()") || *what == "\"\"" {
                continue;
            }
            let whats = texts(what, before, source, &sources, DEPTH);
            if whats.is_empty() && !is_member && !is_repeated {
                let line = before.matches('\n').count() + 1;
                unknown.push(format!("{}, near line {line}: {what}", source.path));
            }
            let kind = kind.trim_start_matches("Kind::");
            let kind =
                KINDS.iter().find(|(name, _)| *name == kind).map_or(VARIES, |(name, _)| name);
            // Where there are several, the message has the one that applies.
            let todos = texts(todo, before, source, &sources, 1);
            let todo = todos.first().filter(|_| todos.len() == 1).cloned();
            for what in whats.into_iter().filter(|what| !slug(what).is_empty()) {
                let row = found.entry(what).or_insert((kind.to_owned(), None));
                row.1 = row.1.take().or_else(|| todo.clone());
            }
        }
    }
    for source in &sources {
        members(source, &sources, &mut found);
    }
    settings(&sources, &mut found);
    (found, unknown)
}

/// Adds the texts of members.
fn members(source: &Source, all: &[Source], found: &mut Messages) {
    for (name, kind, _) in MEMBERS {
        for (at, _) in source.text.match_indices(name) {
            let (before, begin) = (&source.text[..at], at + name.len());
            let fields = arguments(&source.text, begin);
            let of = |field: &str| {
                let value = fields.iter().find_map(|one| {
                    one.strip_prefix(field)?
                        .strip_prefix(':')
                        .or(Some(field).filter(|it| it == one))
                });
                value.map(|value| texts(value.trim(), before, source, all, DEPTH))
            };
            for what in of("what").unwrap_or_default() {
                let todo = of("todo").unwrap_or_default().into_iter().next();
                found.entry(what).or_insert((kind.to_owned(), todo));
            }
        }
    }
}

/// Adds the texts of errors in settings.
fn settings(sources: &[Source], found: &mut Messages) {
    let source = sources.iter().find(|source| source.path == "src/config/mod.rs").unwrap();
    for at in calls(&source.text, "error") {
        let text = arguments(&source.text, at);
        let text = text.first().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        if let Some(text) = text.filter(|_| source.text[..at].ends_with("#[error(")) {
            found.insert(readable(text), ("Config".to_owned(), None));
        }
    }
}

/// The sources without comments and unit tests.
fn sources(directory: &Path) -> Vec<Source> {
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let text = lines.fold(String::new(), |text, line| text + line + "\n");
            all.push(Source { path: path.display().to_string(), text });
        }
    }
    all
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The places behind the opening parenthesis of each call of this function. A definition is no call.
fn calls(text: &str, name: &str) -> Vec<usize> {
    let opened = format!("{name}(");
    let found = text.match_indices(&opened);
    let is_call = |at: usize| {
        let before = &text[..at];
        !before.ends_with(is_word) && !before.ends_with("fn ") && !before.ends_with('"')
    };
    found.filter(|(at, _)| is_call(*at)).map(|(at, _)| at + opened.len()).collect()
}

/// The arguments from there to the closing parenthesis.
fn arguments(text: &str, at: usize) -> Vec<&str> {
    let (mut all, mut depth, mut begin, mut rest) = (Vec::new(), 0, at, at);
    while let Some(c) = text[rest..].chars().next() {
        match c {
            '"' => rest += string_length(&text[rest..]) - 1,
            '\'' if text[rest + 1..].chars().nth(1) == Some('\'') => rest += 2,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                all.push(text[begin..rest].trim());
                break;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(text[begin..rest].trim());
                begin = rest + 1;
            }
            _ => {}
        }
        rest += text[rest..].chars().next().map_or(1, char::len_utf8);
    }
    all.retain(|argument| !argument.is_empty());
    all
}

/// The length of the string literal at the beginning of this text.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The string literals of an expression that are sentences, as people see them.
fn literals(expression: &str) -> Vec<String> {
    let (mut all, mut rest) = (Vec::new(), expression);
    while let Some(at) = rest.find('"') {
        let length = string_length(&rest[at..]);
        let literal = &rest[at + 1..at + length - 1];
        rest = &rest[at + length..];
        if literal.contains(' ') && literal.len() >= 10 {
            all.push(readable(literal));
        }
    }
    all
}

/// Without escapes, with `...` in place of what is filled in.
fn readable(literal: &str) -> String {
    let (mut text, mut characters) = (String::new(), literal.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('\n') => while characters.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => text.push(' '),
                other => text.extend(other),
            },
            '{' if characters.next_if_eq(&'{').is_some() => text.push('{'),
            '}' => {
                characters.next_if_eq(&'}');
                text.push('}');
            }
            '{' => {
                let _ = characters.by_ref().find(|c| *c == '}');
                text.push_str("...");
            }
            c => text.push(c),
        }
    }
    text
}

/// The texts that an expression can be: its literals, those of the variable, or of the calls of the function whose
/// parameter it is.
fn texts(
    expression: &str,
    before: &str,
    source: &Source,
    all: &[Source],
    depth: usize,
) -> Vec<String> {
    let own = literals(expression);
    let name: String =
        expression.trim_start_matches(['&', '*']).chars().take_while(|c| is_word(*c)).collect();
    if !own.is_empty() || name.is_empty() || depth == 0 {
        return own;
    }
    let begin = [" fn ", "\nfn "].iter().filter_map(|mark| before.rfind(mark)).max().unwrap_or(0);
    let function = &before[begin..];
    if let Some(value) = bound(function, &name) {
        return value;
    }
    if let Some((closure, index)) = closure_with(function, &name) {
        return of_calls(&source.text[begin..], &closure, index, source, all, depth);
    }
    let Some((name, index)) = parameter(function, &name) else { return Vec::new() };
    let module = Path::new(&source.path).with_extension("");
    let module = module.to_string_lossy().replace("/mod", "");
    let module = module.rsplit('/').next().unwrap().to_owned();
    let mut found = of_calls(&source.text, &name, index, source, all, depth);
    for other in all.iter().filter(|other| other.path != source.path) {
        let called = [format!("{module}::{name}"), format!(".{name}"), name.clone()];
        // A bare name is this function only if it was imported from there.
        let is_imported = other.text.contains(&format!("{module}::{{"))
            || other.text.contains(&format!("{module}::{name};"));
        let called = if is_imported { &called[..] } else { &called[..1] };
        for called in called {
            found.extend(of_calls(&other.text, called, index, other, all, depth));
        }
    }
    found
}

fn of_calls(
    text: &str,
    name: &str,
    index: usize,
    source: &Source,
    all: &[Source],
    depth: usize,
) -> Vec<String> {
    let begin = source.text.find(text).unwrap_or(0);
    let places = calls(text, name).into_iter().map(|at| begin + at);
    let of = |at: usize| {
        let arguments = arguments(&source.text, at);
        let argument = arguments.get(index).copied().unwrap_or_default();
        texts(argument, &source.text[..at], source, all, depth - 1)
    };
    places.flat_map(of).collect()
}

/// What a variable is bound to, alone or in a tuple.
fn bound(function: &str, name: &str) -> Option<Vec<String>> {
    let alone = [format!("let {name} ="), format!("let {name}: &str =")];
    let at =
        alone.iter().filter_map(|binding| Some(function.rfind(binding)? + binding.len())).max();
    let of_tuple = function.rmatch_indices("let (").find_map(|(at, _)| {
        let names = arguments(function, at + 5);
        let index = names.iter().position(|one| one.trim_start_matches("mut ") == name)?;
        Some((at, names.len(), index))
    });
    if let Some((at, count, index)) = of_tuple.filter(|(tuple, ..)| at.is_none_or(|at| at < *tuple))
    {
        let value = &function[at..];
        let value = &value[value.find('=')?..value.find(";\n").unwrap_or(value.len())];
        let groups = value.match_indices('(').map(|(at, _)| arguments(value, at + 1));
        let groups = groups.filter(|group| group.len() == count);
        return Some(groups.flat_map(|group| literals(group[index])).collect());
    }
    let value = &function[at?..];
    Some(literals(&value[..value.find(";\n").unwrap_or(value.len())]))
}

/// The closure of this function that has such a parameter, and which it is.
fn closure_with(function: &str, name: &str) -> Option<(String, usize)> {
    let (at, _) = function.match_indices("= |").last()?;
    let (parameters, _) = function[at + 3..].split_once('|')?;
    let index = parameters.split(',').position(|one| one.trim().split(':').next() == Some(name))?;
    let closure = function[..at].trim_end().rsplit(' ').next()?;
    Some((closure.to_owned(), index))
}

/// The name of this function, and which of its parameters it is; `self` is not counted.
fn parameter(function: &str, name: &str) -> Option<(String, usize)> {
    let header = function.trim_start().strip_prefix("fn ")?;
    let (own, _) = header.split_once(['(', '<'])?;
    let open = header.find('(')? + 1;
    let parameters = arguments(header, open);
    let parameters = parameters.iter().filter(|one| !one.ends_with("self"));
    let mut names = parameters.map(|one| one.split(':').next().unwrap_or_default());
    Some((own.to_owned(), names.position(|one| one == name)?))
}
