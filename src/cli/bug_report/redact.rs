//! Hides what is secret in a text: the secrets of the settings and of the environment, private keys, access
//! keys, and logins in URLs. Nothing of it should be there; this is the second line.

use super::super::Global;
use crate::host::{Root, variables};
use crate::text;

const HIDDEN: &str = "(secret)";

/// A shorter value is a word that occurs by chance.
const SHORTEST: usize = 6;

pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Collects the secrets that this process can know.
    pub fn new(global: &Global, root: &Root) -> Self {
        let is_secret = |name: &str| {
            ["SECRET", "TOKEN", "PASSWORD", "KEY", "PROXY"]
                .iter()
                .any(|word| name.to_uppercase().contains(word))
        };
        let pairs = variables::all().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            is_secret(&name).then_some(value)
        });
        let mut secrets: Vec<String> = pairs.filter(|value| !value.starts_with('/')).collect();
        if let Ok(settings) = global.settings(root) {
            secrets.extend(settings.engines.secrets().map(str::to_owned));
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longest first: one may contain another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        let text = text::without_logins(&without_private_keys(&text), HIDDEN);
        let words = text.split_inclusive([' ', '\n', '"', '\'', ',', '=', '(', ')']);
        words.map(word).collect()
    }
}

fn without_private_keys(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("PRIVATE KEY-----") {
        let (before, after) = rest.split_at(start);
        let begin = before.rfind("-----BEGIN").unwrap_or(before.len());
        kept.push_str(before.get(..begin).unwrap_or(before));
        kept.push_str(HIDDEN);
        let after = after.get("PRIVATE KEY-----".len()..).unwrap_or_default();
        // Up to its end, or to the end of the text where there is none.
        let end =
            after.find("PRIVATE KEY-----").map_or(after.len(), |at| at + "PRIVATE KEY-----".len());
        rest = after.get(end..).unwrap_or_default();
    }
    kept + rest
}

/// A word, unless it is an AWS access key id.
fn word(word: &str) -> String {
    let key = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_key = (key.starts_with("AKIA") || key.starts_with("ASIA"))
        && (16..=128).contains(&key.len())
        && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_key { word.replace(key, HIDDEN) } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    #[test]
    fn keys_logins_and_known_secrets_are_hidden() {
        let redactor = Redactor { secrets: vec!["psk-123456".to_owned()] };
        let text = "a psk-123456 b\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n\
                    \"AKIAIOSFODNN7EXAMPLE\", http://u:p@w@proxy:3128/ -----BEGIN CERTIFICATE-----\nMIIC";
        assert_eq!(
            redactor.redact(text),
            "a (secret) b\n(secret)\n\"(secret)\", http://(secret)@proxy:3128/ -----BEGIN CERTIFICATE-----\nMIIC"
        );
        assert_eq!(redactor.redact("-----BEGIN PRIVATE KEY-----\nMIIE"), "(secret)");
    }
}
