//! Patterns of names and values: text, `*`, and what was proven, such as `{instance_id}`.

use super::Proven;

/// A parsed pattern. `*` stands for any characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Any,
    Proven(Placeholder),
}

/// Something that a proof can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    InstanceId,
    Account,
    Role,
    Region,
}

impl Placeholder {
    pub const ALL: [(&'static str, Self); 4] = [
        ("instance_id", Self::InstanceId),
        ("account", Self::Account),
        ("role", Self::Role),
        ("region", Self::Region),
    ];

    fn id(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("?", |(id, _)| id)
    }

    fn of(self, proven: &Proven) -> Option<&str> {
        match self {
            Self::InstanceId => proven.instance_id.as_deref(),
            Self::Account => proven.account.as_deref(),
            Self::Role => proven.role.as_deref(),
            Self::Region => proven.region.as_deref(),
        }
    }
}

impl Pattern {
    /// Parses a pattern in which these placeholders may occur.
    ///
    /// # Errors
    /// For an empty text, an unmatched brace, and another placeholder; what is allowed, as text.
    pub fn parse(text: &str, allowed: &[Placeholder]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '*']) {
            let (before, after) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            if let Some(after) = after.strip_prefix('*') {
                parts.push(Part::Any);
                rest = after;
                continue;
            }
            let inner = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (word, after) = inner.ok_or("it has an unmatched brace")?;
            let known = Placeholder::ALL.iter().find(|(id, _)| *id == word).map(|(_, it)| *it);
            let placeholder = known.filter(|it| allowed.contains(it)).ok_or_else(|| {
                let ids: Vec<_> = allowed.iter().map(|it| format!("{{{}}}", it.id())).collect();
                match ids.as_slice() {
                    [] => format!("this proof tells nothing, so there is no {{{word}}}"),
                    ids => format!("{{{word}}} is not one of {}", ids.join(", ")),
                }
            })?;
            parts.push(Part::Proven(placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether it names one text: it has neither a star nor what is proven.
    #[must_use]
    pub fn is_named(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Text(_)])
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a text is what the pattern says. What was proven stands for itself, whatever its
    /// characters.
    ///
    /// # Errors
    /// Where the proof does not tell what the pattern needs; the name of it.
    pub fn matches(&self, text: &str, proven: &Proven) -> Result<bool, &'static str> {
        // The texts between the stars.
        let mut pieces = vec![String::new()];
        for part in &self.parts {
            let piece = match part {
                Part::Any => {
                    pieces.push(String::new());
                    continue;
                }
                Part::Text(text) => text,
                Part::Proven(which) => which.of(proven).ok_or(which.id())?,
            };
            if let Some(last) = pieces.last_mut() {
                last.push_str(piece);
            }
        }
        Ok(is_match(&pieces, text))
    }
}

/// Whether a text is these pieces, with any characters between them.
fn is_match(pieces: &[String], text: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let inner = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
    let Some(mut inner) = inner else { return false };
    for piece in middle {
        match inner.split_once(piece.as_str()) {
            Some((_, after)) => inner = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Placeholder};
    use crate::autosign::Proven;

    fn matches(pattern: &str, text: &str) -> Result<bool, &'static str> {
        let proven = Proven { instance_id: Some("i-1*".to_owned()), ..Proven::default() };
        let all = Placeholder::ALL.map(|(_, it)| it);
        Pattern::parse(pattern, &all).unwrap().matches(text, &proven)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, is) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("*", "", true),
            ("*", "x.y", true),
            ("web-*", "web-1", true),
            ("web-*", "a-web-1", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), Ok(is), "{pattern} {text}");
        }
    }

    #[test]
    fn what_was_proven_stands_for_itself() {
        assert_eq!(matches("{instance_id}.example.com", "i-1*.example.com"), Ok(true));
        assert_eq!(matches("{instance_id}.example.com", "i-12.example.com"), Ok(false));
        assert_eq!(matches("{role}", "x"), Err("role"));
    }

    #[test]
    fn a_pattern_that_says_nothing_is_refused() {
        let allowed = [Placeholder::InstanceId, Placeholder::Account];
        for (text, why) in [
            ("", "it is empty"),
            ("{", "it has an unmatched brace"),
            ("}", "it has an unmatched brace"),
            ("{role}", "{role} is not one of {instance_id}, {account}"),
            ("{x}", "{x} is not one of {instance_id}, {account}"),
        ] {
            assert_eq!(Pattern::parse(text, &allowed).unwrap_err(), why, "{text}");
        }
        let why = Pattern::parse("{role}", &[]).unwrap_err();
        assert_eq!(why, "this proof tells nothing, so there is no {role}");
    }
}
