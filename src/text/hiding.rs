//! Hides secrets in text that people read: logins in URLs, and what is named as a secret.

/// A URL with its login replaced by `mark`, if it has one. Any other text as it is.
#[must_use]
pub fn without_login(url: &str, mark: &str) -> String {
    let login = url.split_once("://").and_then(|(scheme, rest)| {
        let host = rest.get(end_of_login(rest)?..)?;
        Some(format!("{scheme}://{mark}{host}"))
    });
    login.unwrap_or_else(|| url.to_owned())
}

/// A text with the login of each URL in it replaced by `mark`.
#[must_use]
pub fn without_logins(text: &str, mark: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("//") {
        let (before, after) = rest.split_at(start + 2);
        shown.push_str(before);
        let is_end = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`".contains(c);
        let url = after.split(is_end).next().unwrap_or_default();
        rest = match end_of_login(url) {
            Some(end) => {
                shown.push_str(mark);
                after.get(end..).unwrap_or_default()
            }
            None => after,
        };
    }
    shown + rest
}

/// Where the login of a URL ends, from what follows its `//`: at the last `@` of the authority. If that
/// has none, and is no host with a port, a password with a `/` in it may have been cut: then at the last
/// `@` of all.
fn end_of_login(rest: &str) -> Option<usize> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    authority.rfind('@').or_else(|| {
        let (_, port) = authority.rsplit_once(':')?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
        rest.rfind('@').filter(|_| !is_port)
    })
}

/// Words that name a secret.
const NAMES: [&str; 7] =
    ["password", "passwd", "passphrase", "secret", "token", "authorization", "access_key"];

/// The text up to what such a word names, as `password: x`, `"Token":"x"`, `--secret x` or `Bearer x` do,
/// and `mark` in place of the rest.
#[must_use]
pub fn without_named_secrets(text: &str, mark: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let ends = NAMES.iter().flat_map(|name| lower.match_indices(name)).filter_map(|(at, name)| {
        let is_option = lower.get(..at).is_some_and(|before| before.ends_with('-'));
        let rest = lower.get(at + name.len()..)?;
        let word = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c));
        let value = word.trim_start_matches(['"', '\'', ' ']);
        let is_named = is_option
            || value.starts_with([':', '='])
            || word.starts_with([' ', ':', '=']) && value.len() < word.trim_start().len();
        is_named.then_some(text.len() - word.len())
    });
    let bearer = lower.find("bearer ").map(|at| at + "bearer".len());
    match ends.chain(bearer).min() {
        Some(end) => format!("{} {mark}", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{without_login, without_logins, without_named_secrets};

    #[test]
    fn the_login_of_a_url_is_hidden() {
        for (url, shown) in [
            ("http://u:pw@h:1/x", "http://(login)@h:1/x"),
            ("https://u@h", "https://(login)@h"),
            ("http://u:s3@cret@h", "http://(login)@h"),
            // A password that is not escaped.
            ("http://u:p/w@h:1", "http://(login)@h:1"),
            ("http://u:p w@h", "http://(login)@h"),
            ("https://h/a@b", "https://h/a@b"),
            ("https://h:1/a@b", "https://h:1/a@b"),
            ("https://[::1]/a@b", "https://[::1]/a@b"),
            ("https://[::1]:8/a@b", "https://[::1]:8/a@b"),
            ("/x/a@b", "/x/a@b"),
        ] {
            assert_eq!(without_login(url, "(login)"), shown);
        }
    }

    #[test]
    fn all_logins_of_a_text_are_hidden() {
        assert_eq!(
            without_logins(
                "\"http://u:s3@cret@p:1/\", http://u:a/b@q, https://h/x a@b //c:d@e",
                "X"
            ),
            "\"http://X@p:1/\", http://X@q, https://h/x a@b //X@e"
        );
        assert_eq!(without_logins("http://a:b@c,http://d:e@f", "X"), "http://X@c,http://X@f");
        assert_eq!(without_logins("// x@y", "X"), "// x@y");
    }

    #[test]
    fn what_is_named_as_a_secret_is_hidden() {
        let cases = [
            ("us-east-1AWS_SECRET_ACCESS_KEY=abc", "us-east-1AWS_SECRET_ACCESS_KEY X"),
            ("{\"SecretAccessKey\":\"abc\"}", "{\"SecretAccessKey X"),
            ("used --token abc", "used --token X"),
            ("the token has expired", "the token has expired"),
        ];
        for (text, shown) in cases {
            assert_eq!(without_named_secrets(text, "X"), shown);
        }
    }
}
