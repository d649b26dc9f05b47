//! Edits of an admin's files. The first line of the input is a value, the rest is the file.

use enlist::engines::chef::block;
use enlist::engines::chef::{self, Chef};
use enlist::engines::puppet::{conf as puppet_conf, csr_attributes};
use enlist::engines::{
    Action, Authority, Engine, Grant, Installation, NodeContext, RequestAdditions,
};

use super::world::{facts, key_report, observed, settings};

/// Longer files are slow and find nothing more.
const LONGEST: usize = 64 * 1024;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data.get(..LONGEST).unwrap_or(data)) else { return };
    let (value, file) = text.split_once('\n').unwrap_or(("v", text));
    ini(value, file);
    own_block(value, file);
    quoting(text);
    attributes(text);
}

fn ini(value: &str, file: &str) {
    // As the settings check values: one line, without blanks at its ends.
    let value = value.trim();
    let value =
        if value.is_empty() || value.contains(char::is_control) { "p.example" } else { value };
    let values = [("server", value), ("certname", "i-1")];
    let names = ["server", "certname"];
    let once = puppet_conf::set(file, &values);
    assert_eq!(puppet_conf::set(&once, &values), once, "twice is once");
    for (name, value) in values {
        assert_eq!(in_force(&once, name).as_deref(), Some(value), "{once:?}");
    }
    // Every line of the admin's is kept in its order, or as a comment.
    kept(file, &once, |line| names.iter().any(|name| sets(line, name)));
    let back = puppet_conf::unset(&once, &names);
    if !file.contains("enlist") {
        kept(file, &back, |line| names.iter().any(|name| sets(line, name)));
        for name in names {
            assert_eq!(in_force(&back, name), in_force(file, name), "{file:?} became {back:?}");
        }
    }
}

/// Checks that each line of `before` is in `after`, in the same order. Lines that enlist may change may
/// have become comments.
fn kept(before: &str, after: &str, is_ours: impl Fn(&str) -> bool) {
    let mut rest = after.lines();
    for line in before.lines().filter(|line| !is_ours(line)) {
        // A last line without a newline gets one, which may include a carriage return.
        let plain = line.trim_end_matches('\r');
        let is_it = |kept: &str| kept.trim_end_matches('\r') == plain;
        assert!(rest.any(is_it), "{line:?} is lost: {before:?} became {after:?}");
    }
}

fn sets(line: &str, name: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| key.trim() == name)
}

/// The value in force: the last one in [agent], else the last one in [main].
fn in_force(text: &str, name: &str) -> Option<String> {
    let (mut section, mut main, mut agent) = ("main".to_owned(), None, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = header.trim().to_owned();
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim() == name
        {
            match section.as_str() {
                "main" => main = Some(value.trim().to_owned()),
                "agent" => agent = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    agent.or(main)
}

fn own_block(value: &str, file: &str) {
    let content = client_rb(value);
    let once = block::set(file, &content);
    assert_eq!(block::set(&once, &content), once, "twice is once");
    assert!(once.contains(&content));
    let back = block::unset(&once);
    if !file.contains("enlist") {
        kept(file, &once, |_| false);
        assert_eq!(back.trim_end(), file.trim_end(), "what was before is back");
    }
}

/// A quoted text is read back unchanged by Ruby's rules for single quotes.
fn quoting(text: &str) {
    let quoted = chef::quoted(text);
    let inner = quoted.strip_prefix('\'').unwrap();
    let (mut read, mut chars) = (String::new(), inner.chars().peekable());
    loop {
        match chars.next().expect("the text is not closed") {
            '\'' => break,
            '\\' if matches!(chars.peek(), Some('\'' | '\\')) => read.extend(chars.next()),
            c => read.push(c),
        }
    }
    assert_eq!(read, text);
    assert_eq!(chars.next(), None, "it is closed before its end");
}

/// The settings of `client.rb`, with this value as organization and directory if it is valid there.
fn client_rb(value: &str) -> String {
    let chef: Chef = settings("[opsworks-cm]\nserver = \"p\"\n").engines.chef;
    let organization = chef::check_organization(value).is_ok().then(|| value.to_owned());
    let chef = Chef { organization: organization.unwrap_or_else(|| "o".to_owned()), ..chef };
    let (facts, observed, key) = (facts(), observed(), key_report());
    let authority = Authority::Chef { endpoint: "e.example".to_owned(), ca: None };
    let node = NodeContext {
        facts: &facts,
        observed: &observed,
        name: "n",
        authority: &authority,
        additions: &RequestAdditions::NONE,
        key: Some(&key),
        former: None,
        former_key: None,
        will_renew: false,
        state_dir: "/var/lib/enlist/x",
    };
    let Ok(Installation::Bundle(bundle)) = chef.install(&node, &Grant::Client, None) else {
        panic!("no bundle")
    };
    let content = bundle.actions.into_iter().find_map(|action| match action {
        Action::Block { content, .. } => Some(content),
        _ => None,
    });
    content.unwrap()
}

/// The file is parsed or refused. No error shows a value, because it may be a password.
fn attributes(text: &str) {
    if let Err(error) = csr_attributes::parse(text) {
        let shown = error.to_string();
        assert!(shown.len() < 400, "{shown}");
    }
}
