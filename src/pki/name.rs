//! Rules for the node's name: the API's, and Puppet's.

/// The longest name, in characters. It becomes a common name (RFC 5280 A.1, `ub-common-name`).
pub const LONGEST: usize = 64;

/// Why a name is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("it has {0} characters, and a certificate's common name has at most 64")]
    TooLong(usize),
    #[error("{0:?} is not allowed: AssociateNode takes letters, digits, and - _ : .")]
    NotInApi(char),
    #[error("{0:?} is not allowed: a Puppet certname has lower-case letters, digits, and - _ .")]
    NotInCertname(char),
    #[error("\"ca\" is the name of Puppet's own CA")]
    IsCa,
    #[error("a Puppet certname does not begin or end with -")]
    Dash,
}

/// Checks a name for AssociateNode: `^[\-\p{Alnum}_:.]+$` (OpsWorks CM API Reference, `NodeName`;
/// Java's Alnum is ASCII).
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_api(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_:.".contains(*c))) {
        Some(c) => Err(NameError::NotInApi(c)),
        None => Ok(()),
    }
}

/// Checks a name for Puppet: it matches `[a-z0-9._-]+`, is not `ca`, does not end with `-`, and is no
/// longer than a common name may be.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_certname(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(*c);
    if let Some(c) = name.chars().find(|c| !allowed(c)) {
        return Err(NameError::NotInCertname(c));
    }
    if name.len() > LONGEST {
        return Err(NameError::TooLong(name.len()));
    }
    if name == "ca" {
        return Err(NameError::IsCa);
    }
    // A name of dots would point to another directory, and a leading dot would hide the file.
    if name.starts_with('.') {
        return Err(NameError::NotInCertname('.'));
    }
    // Puppet Server refuses both (`certificate_authority.clj`, `validate-subject!`).
    if name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Dash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, NameError, check_api, check_certname};

    #[test]
    fn the_api_accepts_letters_digits_and_four_marks() {
        assert_eq!(check_api("A:b_c.d-9"), Ok(()));
        assert_eq!(check_api(""), Err(NameError::Empty));
        for (name, c) in [("a b", ' '), ("a/b", '/'), ("\u{e4}", '\u{e4}')] {
            assert_eq!(check_api(name), Err(NameError::NotInApi(c)), "{name}");
        }
    }

    #[test]
    fn a_certname_is_lower_case_short_and_safe_as_a_file_name() {
        let longest = "x".repeat(LONGEST);
        for good in ["a", "web-1.example_org", &longest] {
            assert_eq!(check_certname(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(LONGEST + 1);
        for (bad, error) in [
            ("", NameError::Empty),
            ("Web", NameError::NotInCertname('W')),
            ("a/b", NameError::NotInCertname('/')),
            ("..", NameError::NotInCertname('.')),
            ("ca", NameError::IsCa),
            ("a-", NameError::Dash),
            ("-a", NameError::Dash),
            (too_long.as_str(), NameError::TooLong(LONGEST + 1)),
        ] {
            assert_eq!(check_certname(bad), Err(error), "{bad}");
        }
    }
}
