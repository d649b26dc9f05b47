//! Values in `puppet.conf` that contain other settings: `$ssldir/certs`.

use std::collections::BTreeMap;

use super::conf::{self, BYTE_ORDER_MARK};
use super::reading::value_of;

/// Settings whose default contains other settings (Puppet's source, `defaults.rb`).
const DEFAULTS: [(&str, &[&str]); 26] = [
    ("ssldir", &["confdir"]),
    ("certdir", &["ssldir"]),
    ("publickeydir", &["ssldir"]),
    ("requestdir", &["ssldir"]),
    ("privatedir", &["ssldir"]),
    ("privatekeydir", &["ssldir"]),
    ("hostcert", &["certdir", "certname"]),
    ("hostprivkey", &["privatekeydir", "certname"]),
    ("hostpubkey", &["publickeydir", "certname"]),
    ("hostcsr", &["requestdir", "certname"]),
    ("localcacert", &["certdir"]),
    ("hostcrl", &["ssldir"]),
    ("csr_attributes", &["confdir"]),
    ("trusted_oid_mapping_file", &["confdir"]),
    ("config", &["confdir"]),
    ("statedir", &["vardir"]),
    ("libdir", &["vardir"]),
    ("rundir", &["vardir"]),
    ("agent_disabled_lockfile", &["statedir"]),
    ("agent_catalog_run_lockfile", &["statedir"]),
    ("environmentpath", &["codedir"]),
    ("ca_server", &["server"]),
    ("ca_port", &["serverport"]),
    ("report_server", &["server"]),
    ("report_port", &["serverport"]),
    ("node_name_value", &["certname"]),
];

/// The line of a setting whose value contains itself, through other settings or their defaults. Puppet
/// then ends with an error ("stack level too deep"). `ours` are settings that enlist gives a value.
#[must_use]
pub fn endless(text: &str, ours: &[&str]) -> Option<(usize, String)> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let names = text.lines().filter_map(conf::setting).map(|(name, _)| name);
    let mut settings = BTreeMap::new();
    for name in names.filter(|name| !ours.contains(name)) {
        if let Some((line, value)) = value_of(text, name) {
            settings.entry(name).or_insert((line, value));
        }
    }
    let endless = settings.iter().filter(|(name, _)| leads_to_itself(name, &settings, ours));
    endless
        .min_by_key(|(_, (line, _))| *line)
        .map(|(name, (line, value))| (*line, format!("{name} = {value}: it contains itself")))
}

fn leads_to_itself(name: &str, settings: &BTreeMap<&str, (usize, String)>, ours: &[&str]) -> bool {
    let (mut open, mut seen) = (contained(name, settings), Vec::new());
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if !ours.contains(&next) && !seen.contains(&next) {
            seen.push(next);
            open.extend(contained(next, settings));
        }
    }
    false
}

/// The settings that the value of this one contains.
fn contained<'a>(name: &str, settings: &'a BTreeMap<&str, (usize, String)>) -> Vec<&'a str> {
    let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, of)| of.to_vec());
    match settings.get(name) {
        Some((_, value)) => variables(value).collect(),
        None => default().unwrap_or_default(),
    }
}

/// `$name` and `${name}`.
fn variables(value: &str) -> impl Iterator<Item = &str> {
    value.split('$').skip(1).filter_map(|rest| {
        let (rest, is_closed) = match rest.strip_prefix('{') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        (!name.is_empty() && (!is_closed || rest.starts_with('}'))).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::endless;

    #[test]
    fn a_value_that_contains_itself_is_found_with_its_line() {
        for (text, line) in [
            ("[main]\nssldir = $certdir\n", Some(2)),
            ("[main]\nx = 1\nssldir = ${certdir}/..\ncertdir = $ssldir/certs\n", Some(3)),
            ("[main]\nvardir = /v\n[agent]\nvardir = $vardir/x\n", Some(4)),
            ("[main]\na = $b\nb = $c\nc = $a\n", Some(2)),
            ("[main]\nssldir = \"$hostcrl\"\n", Some(2)),
            ("[main]\nstatedir = $agent_disabled_lockfile/..\n", Some(2)),
            ("[main]\nssldir = $vardir/ssl\ncertdir = $ssldir/certs\n", None),
            // The agent's own section counts.
            ("[main]\nssldir = $certdir\n[agent]\nssldir = /s\n", None),
            ("[user]\nssldir = $certdir\n", None),
            // Enlist sets these.
            ("[main]\nserver = $ca_server\ncertname = $certname\n", None),
            ("[main]\nssldir = $$ ${ ${certdir $\n", None),
            ("# ssldir = $certdir\n", None),
        ] {
            let found = endless(text, &["server", "certname"]);
            assert_eq!(found.map(|(line, _)| line), line, "{text:?}");
        }
    }
}
