//! Puppet's `csr_attributes.yaml`: what an image or an installer has already asked for.
//!
//! Source: Puppet's documentation, "Config files: The csr_attributes.yaml file": a map with the
//! two optional keys `custom_attributes` and `extension_requests`, each a map from an OID or a
//! short name to a value.

use yaml_rust2::{Yaml, YamlLoader};

use crate::secret::Secret;

/// Both maps, as they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrAttributes {
    pub custom_attributes: Vec<(String, Secret)>,
    pub extension_requests: Vec<(String, Secret)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrAttributesError {
    #[error("it is not YAML ({0})")]
    NotYaml(String),
    #[error("it is not a map of custom_attributes and extension_requests")]
    NotAMap,
    #[error("{0} is not a map of names and values")]
    SectionNotAMap(&'static str),
    #[error("{section} has an entry that is not text: {name}")]
    NotText { section: &'static str, name: String },
}

/// Reads the file's text; an empty one asks for nothing. No message shows a value: one of them
/// may be a challenge password.
///
/// # Errors
/// When the text is not such a file.
pub fn parse(text: &str) -> Result<CsrAttributes, CsrAttributesError> {
    let documents = YamlLoader::load_from_str(text)
        .map_err(|error| CsrAttributesError::NotYaml(format!("line {}", error.marker().line())))?;
    let root = match documents.as_slice() {
        [] | [Yaml::Null] => return Ok(CsrAttributes::default()),
        [Yaml::Hash(root)] => root,
        _ => return Err(CsrAttributesError::NotAMap),
    };
    let section = |name: &'static str| match root.get(&Yaml::String(name.to_owned())) {
        None | Some(Yaml::Null) => Ok(Vec::new()),
        Some(Yaml::Hash(map)) => map.iter().map(|(key, value)| entry(name, key, value)).collect(),
        Some(_) => Err(CsrAttributesError::SectionNotAMap(name)),
    };
    Ok(CsrAttributes {
        custom_attributes: section("custom_attributes")?,
        extension_requests: section("extension_requests")?,
    })
}

fn entry(
    section: &'static str,
    key: &Yaml,
    value: &Yaml,
) -> Result<(String, Secret), CsrAttributesError> {
    let name =
        scalar(key).ok_or(CsrAttributesError::NotText { section, name: "a key".to_owned() })?;
    match scalar(value) {
        Some(value) => Ok((name, Secret::new(value))),
        None => Err(CsrAttributesError::NotText { section, name }),
    }
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CsrAttributesError, parse};
    use crate::secret::Secret;

    #[test]
    fn both_sections_with_names_oids_and_numbers() {
        let text = "---\ncustom_attributes:\n  1.2.840.113549.1.9.7: s3cret\nextension_requests:\n  pp_role: web\n  pp_cost_center: 42\n  1.3.6.1.4.1.34380.1.2.1: \"yes\"\n";
        let parsed = parse(text).unwrap();
        assert_eq!(
            parsed.custom_attributes,
            [("1.2.840.113549.1.9.7".to_owned(), Secret::new("s3cret".to_owned()))]
        );
        let expected =
            [("pp_role", "web"), ("pp_cost_center", "42"), ("1.3.6.1.4.1.34380.1.2.1", "yes")];
        let expected: Vec<_> =
            expected.iter().map(|(k, v)| ((*k).to_owned(), Secret::new((*v).to_owned()))).collect();
        assert_eq!(parsed.extension_requests, expected);
    }

    #[test]
    fn empty_is_nothing_and_nonsense_is_an_error() {
        assert_eq!(parse("").unwrap(), parse("---\n").unwrap());
        assert_eq!(parse("- a\n"), Err(CsrAttributesError::NotAMap));
        assert_eq!(
            parse("extension_requests: [pp_role]"),
            Err(CsrAttributesError::SectionNotAMap("extension_requests"))
        );
        assert!(matches!(parse("a: [\n"), Err(CsrAttributesError::NotYaml(_))));
        assert!(matches!(
            parse("extension_requests: {pp_role: [a]}"),
            Err(CsrAttributesError::NotText { .. })
        ));
    }
}
