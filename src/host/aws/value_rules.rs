//! The forms that values of variables and of profile keys must have. The names and forms are
//! documented in the AWS SDKs and Tools Reference Guide, "Settings reference".

use crate::fault::{Fault, Kind};
use crate::targets::address::{self, Url};
use crate::text;

/// How much of a value a message shows, in characters.
const SHOWN: usize = 120;

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Region,
    /// The URL of an API or of the metadata service.
    Endpoint,
    /// `http://[NAME:PASSWORD@]HOST[:PORT]`; the scheme may be missing.
    Proxy,
    /// The URL of a container's credentials; it may have a query.
    CredentialsUrl,
    /// A path at the fixed address of the ECS credentials service.
    CredentialsPath,
    /// Is put into a header, and never shown.
    Secret,
    /// A path, or several separated by `:`.
    Path,
    /// `true` or `false`.
    Switch,
    /// `IPv4` or `IPv6`.
    Mode,
    /// An Amazon Resource Name.
    Arn,
    /// The name of a role's session: 2 to 64 characters (STS API Reference, AssumeRole).
    Session,
    /// How long a role's credentials are valid, in seconds: 900 to 43200 (the same page).
    Seconds,
    /// Is put into a header.
    Word,
    /// Anything on one line.
    Line,
    /// A command line, which may hold a secret.
    Command,
}

impl Rule {
    fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Command)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it. Never quotes the value.
    fn check(self, text: &str) -> Result<(), String> {
        let require = |is_met: bool, what: &str| if is_met { Ok(()) } else { Err(what.to_owned()) };
        match self {
            Self::Region => address::region(text).map_err(|error| error.to_string()),
            Self::Endpoint => Url::endpoint(text).map(|_| ()).map_err(|error| error.to_string()),
            Self::Proxy => check_proxy(text),
            Self::CredentialsUrl => match Url::parse(text) {
                Ok(url) if url.login.is_some() || url.path.contains('#') => {
                    Err("it has a login or a fragment, which is not allowed".to_owned())
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Self::CredentialsPath => {
                let is_path = text.starts_with('/') && !text.starts_with("//");
                let url = format!("http://169.254.170.2{text}");
                require(
                    is_path && Url::parse(&url).is_ok() && !text.contains('#'),
                    "it must be a path that begins with a single /",
                )
            }
            Self::Secret => require(
                is_graphic(text),
                "it has spaces, line ends or other characters that a header can't hold",
            ),
            Self::Word => require(
                is_graphic(text) && text.len() <= 256,
                "it has spaces, line ends or other characters that a header can't hold",
            ),
            Self::Path | Self::Line | Self::Command => {
                require(!text.contains(char::is_control), "it has line ends or control characters")
            }
            Self::Switch => require(switch(text).is_some(), "it must be true or false"),
            Self::Mode => require(mode(text).is_some(), "it must be IPv4 or IPv6"),
            Self::Arn => require(
                is_graphic(text) && is_arn(text),
                "it must be an ARN such as arn:aws:iam::123456789012:role/NAME",
            ),
            Self::Session => require(
                (2..=64).contains(&text.len()) && text.chars().all(is_session),
                "it must have 2 to 64 letters, digits and _ + = , . @ -",
            ),
            Self::Seconds => {
                require(seconds(text).is_some(), "it must be a number from 900 to 43200")
            }
        }
    }

    /// The value as a message may show it: up to the end of its first line. With a quote that is not
    /// closed in an environment file, a value goes on with the variables that follow, secrets included.
    #[must_use]
    pub fn shown(self, text: &str) -> String {
        if self.is_secret() {
            return "(set)".to_owned();
        }
        let text = match self {
            // Only what begins a URL: a proxy may have no scheme.
            Self::Proxy | Self::Endpoint | Self::CredentialsUrl => {
                let hidden = text::without_login(&with_scheme(text), "(login)");
                let is_whole = text.contains("://");
                if is_whole { hidden } else { hidden.trim_start_matches("http://").to_owned() }
            }
            _ => text.to_owned(),
        };
        // A line that ends with \ goes on with the next variable, secrets included.
        let text = match self {
            Self::Path if !text.contains('=') => text,
            _ => text::without_named_secrets(&text, "(hidden)"),
        };
        let too_long = text.char_indices().nth(SHOWN).map(|(cut, _)| cut);
        match text.find(char::is_control).into_iter().chain(too_long).min() {
            Some(cut) => format!("{}...", text.get(..cut).unwrap_or_default()),
            None => text,
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// `Config`: the name, where it is set, and what is wrong.
    pub fn accept(self, name: &str, on: &str, text: &str) -> Result<(), Fault> {
        self.check(text).map_err(|reason| {
            let reason = if text.ends_with('\r') {
                "it ends with a carriage return: the file that sets it has Windows line ends"
                    .to_owned()
            } else {
                reason
            };
            let what = if self.is_secret() {
                format!("{name} can't be used: {reason}")
            } else {
                format!("{name} can't be {:?}: {reason}", self.shown(text))
            };
            let todo =
                format!("correct {name}, or remove it; `enlist check` shows the values in effect");
            Fault::new(Kind::Config, what, on, todo)
        })
    }
}

/// `true` or `false`, in any case.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Whether it is `IPv6`; none if it is neither `IPv4` nor `IPv6`.
pub fn mode(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "ipv4" => Some(false),
        "ipv6" => Some(true),
        _ => None,
    }
}

pub fn seconds(text: &str) -> Option<i32> {
    text.parse().ok().filter(|seconds| (900..=43_200).contains(seconds))
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_set = |at: usize| parts.get(at).is_some_and(|part| !part.is_empty());
    (20..=2048).contains(&text.len())
        && parts.first() == Some(&"arn")
        && [1, 2, 5].into_iter().all(is_set)
}

fn is_session(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

fn check_proxy(text: &str) -> Result<(), String> {
    let whole = with_scheme(text);
    match Url::parse(&whole) {
        Ok(_) => Ok(()),
        Err(address::UrlError::Scheme(scheme)) => {
            Err(format!("proxies of the kind {scheme} are not supported, only http and https"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The proxy's URL, with `http://` if it has no scheme, as curl does it.
#[must_use]
pub fn with_scheme(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn a_shown_value_has_no_secret_and_is_short() {
        assert_eq!(Rule::Secret.shown("s3cret"), "(set)");
        assert_eq!(Rule::Command.shown("helper --token s3cret"), "(set)");
        assert_eq!(Rule::Proxy.shown("http://u:s3cret@p:3128"), "http://(login)@p:3128");
        assert_eq!(Rule::Proxy.shown("u:s3@cret@p:3128"), "(login)@p:3128");
        assert!(Rule::Line.shown(&"x".repeat(5000)).len() < 200);
    }

    #[test]
    fn each_form_accepts_and_refuses_its_examples() {
        let cases: [(Rule, &[&str], &[&str]); 9] = [
            (
                Rule::Proxy,
                &["http://p:1", "p:3128", "https://u:p@p"],
                &["socks5://p", "p p", "http://"],
            ),
            (Rule::CredentialsPath, &["/v2/x?id=1"], &["v2", "//host/x", "/a b", ""]),
            (Rule::CredentialsUrl, &["http://127.0.0.1/x?y", "https://h"], &["127.0.0.1", "h:1/x"]),
            (Rule::Secret, &["a/b+c=="], &["a b", "a\n", "\u{e9}", ""]),
            (Rule::Switch, &["true", "FALSE"], &["1", "yes", " true"]),
            (Rule::Mode, &["IPv4", "ipv6"], &["4", "IP"]),
            (
                Rule::Arn,
                &["arn:aws:iam::123456789012:role/a"],
                &["role/a", "arn:aws:iam", "arn::::::"],
            ),
            (Rule::Session, &["ab", "a@b"], &["a", "a b", "a/b"]),
            (Rule::Seconds, &["900", "43200"], &["899", "1h", "-1", "99999999999999999999"]),
        ];
        for (rule, good, bad) in cases {
            for text in good {
                assert_eq!(rule.check(text), Ok(()), "{rule:?} {text:?}");
            }
            for text in bad {
                assert!(rule.check(text).is_err(), "{rule:?} {text:?}");
            }
        }
    }
}
