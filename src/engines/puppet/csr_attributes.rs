//! Puppet's `csr_attributes.yaml`: attributes and extensions that an image or an installer sets.
//!
//! Source: Puppet's documentation, "Config files: The csr_attributes.yaml file", and its source,
//! `ssl/certificate_request_attributes.rb`: a map with the two optional keys `custom_attributes` and
//! `extension_requests`, each a map from an OID or a short name to a value. What Puppet refuses is
//! refused here, and also a value that Puppet would change.

use std::collections::BTreeMap;

use super::psych::Reading;
use super::yaml::{Kind, Node, Tree, YamlError};
use crate::secret::Secret;

const SECTIONS: [&str; 2] = ["custom_attributes", "extension_requests"];

/// A name, its value and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: Secret,
    pub line: usize,
}

/// Both maps, as Puppet reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrAttributes {
    pub custom_attributes: Vec<Entry>,
    pub extension_requests: Vec<Entry>,
}

/// What is wrong, and on which line. Messages never show a value, because it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CsrAttributesError {
    pub line: usize,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it is not YAML ({0})")]
    NotYaml(String),
    #[error("it is not a map of custom_attributes and extension_requests")]
    NotAMap,
    #[error("only custom_attributes and extension_requests are allowed here{0}")]
    OtherSection(String),
    #[error("{0} is not a map of names and values")]
    SectionNotAMap(&'static str),
    #[error("{0} has a name that Puppet reads as a number, a date or nothing: put it in quotes")]
    NameNotText(&'static str),
    #[error("the value of {0} is a list or a map, not a text")]
    ValueNotText(String),
    #[error("Puppet reads the value of {0} as empty: put it in quotes, or remove it")]
    ValueIsNothing(String),
    #[error(
        "Puppet reads the value of {0} as a number, a boolean or a symbol and changes it: put it in quotes"
    )]
    ValueChanged(String),
    #[error("Puppet reads the value of {0} as a date and refuses it: put it in quotes")]
    ValueIsDate(String),
    #[error("{0} is not a map of OIDs, each with shortname and longname")]
    NotAMapping(&'static str),
}

impl Problem {
    fn on(self, line: usize) -> CsrAttributesError {
        CsrAttributesError { line, problem: self }
    }
}

impl From<YamlError> for CsrAttributesError {
    fn from(error: YamlError) -> Self {
        Problem::NotYaml(error.problem).on(error.line)
    }
}

/// Parses the file's text. An empty file has no entries.
///
/// # Errors
/// The problem and its line.
pub fn parse(text: &str) -> Result<CsrAttributes, CsrAttributesError> {
    let tree = Tree::parse(text)?;
    let mut read = CsrAttributes::default();
    let root = tree.root_map().ok_or_else(|| Problem::NotAMap.on(tree.root_line()))?;
    for (key, value) in root {
        let name = key.text().unwrap_or_default();
        let Some(section) = SECTIONS.iter().find(|section| **section == name) else {
            return Err(Problem::OtherSection(hint(name)).on(key.line));
        };
        let entries = section_entries(&tree, section, value)?;
        match *section {
            "custom_attributes" => read.custom_attributes = entries,
            _ => read.extension_requests = entries,
        }
    }
    Ok(read)
}

/// Parses Puppet's file of the site's own names for OIDs (its source, `ssl/oids.rb`). Returns the OID
/// of each name, short and long.
///
/// # Errors
/// The problem and its line.
pub fn parse_mapping(text: &str) -> Result<BTreeMap<String, String>, CsrAttributesError> {
    const KEY: &str = "oid_mapping";
    let tree = Tree::parse(text)?;
    let root = tree.root_map().ok_or_else(|| Problem::NotAMap.on(tree.root_line()))?;
    let wrong = |line| Problem::NotAMapping(KEY).on(line);
    let mapping =
        root.iter().rev().find(|(key, _)| key.text() == Some(KEY)).ok_or_else(|| wrong(1))?;
    let Kind::Map(entries) = &mapping.1.kind else { return Err(wrong(mapping.1.line)) };
    let mut names = BTreeMap::new();
    for (oid, value) in tree.pairs(entries) {
        let (Some(dotted), Kind::Map(parts)) = (oid.text(), &value.kind) else {
            return Err(wrong(oid.line));
        };
        for wanted in ["shortname", "longname"] {
            let parts = tree.pairs(parts);
            let found = parts.into_iter().rev().find(|(key, _)| key.text() == Some(wanted));
            let name = found.and_then(|(_, name)| name.text()).ok_or_else(|| wrong(oid.line))?;
            names.insert(name.to_owned(), dotted.to_owned());
        }
    }
    Ok(names)
}

/// A suggestion where the name resembles a known one. The name itself is not shown, because it may be a
/// secret in the wrong place.
fn hint(name: &str) -> String {
    let alike = |known: &&&str| strsim::jaro_winkler(name, known) > 0.85;
    SECTIONS
        .iter()
        .find(alike)
        .map_or_else(String::new, |known| format!(" (did you mean {known}?)"))
}

fn section_entries(
    tree: &Tree,
    section: &'static str,
    node: &Node,
) -> Result<Vec<Entry>, CsrAttributesError> {
    let pairs = match &node.kind {
        Kind::Map(pairs) => pairs,
        Kind::Scalar { .. } if node.is_nothing() => return Ok(Vec::new()),
        _ => return Err(Problem::SectionNotAMap(section).on(node.line)),
    };
    let mut entries: Vec<Entry> = Vec::new();
    for (key, value) in tree.pairs(pairs) {
        let merged = match (&value.kind, key.is_merge()) {
            (Kind::Map(_), true) => section_entries(tree, section, value)?,
            _ => vec![entry(section, key, value)?],
        };
        for entry in merged {
            // Where a name occurs twice, Ruby uses the last value.
            entries.retain(|known| known.name != entry.name);
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn entry(section: &'static str, key: &Node, value: &Node) -> Result<Entry, CsrAttributesError> {
    let name = key.text().ok_or(Problem::NameNotText(section).on(key.line))?;
    if key.reading() != Reading::Text {
        return Err(Problem::NameNotText(section).on(key.line));
    }
    let Some(text) = value.text() else {
        return Err(Problem::ValueNotText(name.to_owned()).on(value.line));
    };
    let problem = match value.reading() {
        Reading::Text | Reading::Same => {
            let value = Secret::new(text.to_owned());
            return Ok(Entry { name: name.to_owned(), value, line: key.line });
        }
        Reading::Changed => Problem::ValueChanged(name.to_owned()),
        Reading::Nothing => Problem::ValueIsNothing(name.to_owned()),
        Reading::Date => Problem::ValueIsDate(name.to_owned()),
    };
    // An empty value has no line of its own, so the name's line is used.
    Err(problem.on(key.line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: &[Entry]) -> Vec<(&str, &str)> {
        entries.iter().map(|entry| (entry.name.as_str(), entry.value.expose())).collect()
    }

    #[test]
    fn both_sections_are_parsed_with_names_oids_and_numbers() {
        let text = "---\ncustom_attributes:\n  1.2.840.113549.1.9.7: s3cret\nextension_requests:\n  pp_role: web\n  pp_cost_center: 42\n  1.3.6.1.4.1.34380.1.2.1: \"00123\"\n  pp_project: !!str 1_000\n  pp_role: db\n";
        let parsed = parse(text).unwrap();
        assert_eq!(pairs(&parsed.custom_attributes), [("1.2.840.113549.1.9.7", "s3cret")]);
        let expected = [
            ("pp_cost_center", "42"),
            ("1.3.6.1.4.1.34380.1.2.1", "00123"),
            ("pp_project", "1_000"),
            ("pp_role", "db"),
        ];
        assert_eq!(pairs(&parsed.extension_requests), expected);
    }

    #[test]
    fn an_empty_file_has_no_entries() {
        for text in [
            "",
            "---\n",
            "~\n",
            "extension_requests:\n",
            "# x\n",
            "custom_attributes: ~\n",
            "\u{feff}---\n",
        ] {
            assert_eq!(parse(text), Ok(CsrAttributes::default()), "{text:?}");
        }
    }

    #[test]
    fn what_puppet_refuses_or_changes_is_refused_with_its_line() {
        for (text, line) in [
            ("- a\n", 1),
            ("a: [\n", 2),
            ("extension_request:\n  pp_role: web\n", 1),
            ("\nagent:\n  extension_requests:\n    pp_role: web\n", 2),
            ("Extension_requests:\n  pp_role: web\n", 1),
            ("extension_requests: [pp_role]\n", 1),
            ("extension_requests: pp_role\n", 1),
            ("extension_requests:\n  pp_role: web\n  pp_service: [a]\n", 3),
            ("extension_requests:\n  custom_attributes:\n    a: b\n", 3),
            ("extension_requests:\n  pp_role: 00123\n", 2),
            ("extension_requests:\n  pp_a: web\n  pp_role: yes\n", 3),
            ("extension_requests:\n  pp_role: ~\n", 2),
            ("extension_requests:\n  pp_role:\n", 2),
            ("extension_requests:\n  pp_role: 2024-01-01\n", 2),
            ("extension_requests:\n  pp_role: 1:30\n", 2),
            ("extension_requests:\n  1.2: web\n", 2),
            ("extension_requests:\n  pp_role: !ruby/object:Object web\n", 2),
            ("a: &a [*a]\n", 1),
            ("pp_role: web\n", 1),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }

    #[test]
    fn aliases_are_followed_and_alias_bombs_are_refused() {
        let text = "extension_requests: &all\n  pp_role: &r web\n  pp_service: *r\ncustom_attributes:\n  <<: *all\n  1.2.3: x\n";
        let parsed = parse(text).unwrap();
        assert_eq!(pairs(&parsed.extension_requests), [("pp_role", "web"), ("pp_service", "web")]);
        assert_eq!(
            pairs(&parsed.custom_attributes),
            [("pp_role", "web"), ("pp_service", "web"), ("1.2.3", "x")]
        );
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..60 {
            let below = level - 1;
            bomb.extend([format!("a{level}: &a{level} [*a{below}, *a{below}]\n")]);
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&format!("extension_requests: {}", "[".repeat(30_000))).is_err());
        assert!(parse(&format!("extension_requests: {}", "{a: ".repeat(10_000))).is_err());
    }

    #[test]
    fn a_file_of_oid_names_is_parsed() {
        let text = "---\noid_mapping:\n  '1.3.6.1.4.1.34380.1.2.1.1':\n    shortname: 'rack'\n    longname: 'The rack'\n";
        let names = parse_mapping(text).unwrap();
        assert_eq!(names.get("rack").unwrap(), "1.3.6.1.4.1.34380.1.2.1.1");
        assert_eq!(names.get("The rack").unwrap(), "1.3.6.1.4.1.34380.1.2.1.1");
        for text in ["oid_mapping: []\n", "x: y\n", "oid_mapping:\n  1.2.3:\n    shortname: a\n"] {
            assert!(parse_mapping(text).is_err(), "{text:?}");
        }
    }
}
