//! The node's name: what the API and Puppet allow.

/// Longest name: it becomes a common name, which X.520 bounds at 64 characters (RFC 5280 A.1,
/// `ub-common-name`).
pub const LONGEST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("it has {0} characters, and a certificate's common name holds at most 64")]
    TooLong(usize),
    #[error("{0:?} is not allowed: AssociateNode takes letters, digits, and - _ : .")]
    NotInApi(char),
    #[error("{0:?} is not allowed: a Puppet certname has lower-case letters, digits, and - _ .")]
    NotInCertname(char),
    #[error("\"ca\" is the name of Puppet's own authority")]
    IsCa,
    #[error("a Puppet certname does not end in -")]
    EndsInDash,
}

/// AssociateNode, `NodeName`: `^[\-\p{Alnum}_:.]+$` (OpsWorks CM API reference; Java's Alnum is
/// ASCII).
///
/// # Errors
/// Names the first rule that is broken.
pub fn check_api(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_:.".contains(*c))) {
        Some(c) => Err(NameError::NotInApi(c)),
        None => Ok(()),
    }
}

/// Puppet's certname: `[a-z0-9._-]+`, not `ca`, not ending in `-`, and no longer than a common
/// name may be.
///
/// # Errors
/// Names the first rule that is broken.
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
    // A name of dots only would leave its directory; a leading dot hides the file.
    if name.starts_with('.') {
        return Err(NameError::NotInCertname('.'));
    }
    if name.ends_with('-') {
        return Err(NameError::EndsInDash);
    }
    Ok(())
}
