//! The name of a role that Systems Manager is to give to nodes.

use std::collections::BTreeSet;

use crate::error::ApiError;

/// The path that the console gives to service roles.
const SERVICE_ROLE: &str = "service-role/";
/// How the names of service-linked roles begin: "You can't specify an IAM service-linked role".
const SERVICE_LINKED: &str = "AWSServiceRoleFor";

/// Checks that `role` is the name of a role there can be: not its ARN, and of the path
/// `service-role/` or none. With `known`, that it is one of those.
///
/// # Errors
/// `ValidationException`, in the service's words.
pub fn check(role: &str, known: Option<&BTreeSet<String>>) -> Result<(), ApiError> {
    let name = role.strip_prefix(SERVICE_ROLE).unwrap_or(role);
    let possible = !name.is_empty() && name.chars().all(is_name_letter);
    let exists = known.is_none_or(|known| known.contains(role));
    if possible && exists && !name.starts_with(SERVICE_LINKED) {
        return Ok(());
    }
    Err(ApiError::Validation(format!(
        "Nonexistent role or missing ssm service principal in trust policy: {role}"
    )))
}

/// The characters of IAM's role names: `[\w+=,.@-]+`.
fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}
