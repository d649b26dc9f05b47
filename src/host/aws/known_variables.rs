//! The environment variables that are read, checked before they are used.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::value_rules::Rule;
use crate::fault::{Fault, Kind};
use crate::host::transports::AWS_SERVICES;

/// Every variable that is read, and its form. `AWS_...` are from the AWS SDKs and Tools Reference
/// Guide, "Environment variables".
#[rustfmt::skip]
const KNOWN: &[(&str, Rule)] = &[
    ("AWS_PROFILE", Rule::Line),
    ("AWS_CONFIG_FILE", Rule::Path),
    ("AWS_SHARED_CREDENTIALS_FILE", Rule::Path),
    ("AWS_REGION", Rule::Region),
    ("AWS_DEFAULT_REGION", Rule::Region),
    ("AWS_ENDPOINT_URL", Rule::Endpoint),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", Rule::Switch),
    ("AWS_USE_FIPS_ENDPOINT", Rule::Switch),
    ("AWS_USE_DUALSTACK_ENDPOINT", Rule::Switch),
    ("AWS_ACCESS_KEY_ID", Rule::Secret),
    ("AWS_SECRET_ACCESS_KEY", Rule::Secret),
    ("AWS_SESSION_TOKEN", Rule::Secret),
    ("AWS_ROLE_ARN", Rule::Arn),
    ("AWS_ROLE_SESSION_NAME", Rule::Session),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Rule::Path),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Rule::CredentialsPath),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Rule::CredentialsUrl),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Rule::Path),
    // "Bearer TOKEN" has a space in it. It is checked again when it is put into a header.
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Rule::Command),
    ("AWS_EC2_METADATA_DISABLED", Rule::Switch),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Rule::Endpoint),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", Rule::Mode),
    ("AWS_CA_BUNDLE", Rule::Path),
    ("SSL_CERT_FILE", Rule::Path),
    ("SSL_CERT_DIR", Rule::Path),
    ("HTTPS_PROXY", Rule::Proxy),
    ("https_proxy", Rule::Proxy),
    ("HTTP_PROXY", Rule::Proxy),
    ("http_proxy", Rule::Proxy),
    ("ALL_PROXY", Rule::Proxy),
    ("all_proxy", Rule::Proxy),
    ("NO_PROXY", Rule::Line),
    ("no_proxy", Rule::Line),
    // The SDK sends it in a header.
    ("AWS_EXECUTION_ENV", Rule::Word),
    ("HOME", Rule::Path),
];

/// Every variable that counts, those of the services' endpoints included.
pub fn known() -> impl Iterator<Item = (&'static str, Rule)> {
    let endpoints = AWS_SERVICES.iter().map(|service| (service.variable, Rule::Endpoint));
    endpoints.chain(KNOWN.iter().copied())
}

/// The values of the variables that are set. An empty value counts as unset, as in the AWS tools.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// Reads all known variables.
    ///
    /// # Errors
    /// `Config` for the first value that is malformed, with its name.
    pub fn read(value_of: impl Fn(&str) -> Option<OsString>) -> Result<Self, Fault> {
        let mut set = BTreeMap::new();
        for (name, rule) in known() {
            let Some(value) = value_of(name).filter(|value| !value.is_empty()) else { continue };
            let on = format!("environment, {name}");
            let Ok(text) = value.into_string() else {
                let todo = format!("correct {name}, or remove it");
                let what = format!("{name} can't be used: it is not UTF-8");
                return Err(Fault::new(Kind::Config, what, on, todo));
            };
            rule.accept(name, &on, &text)?;
            set.insert(name, text);
        }
        Ok(Self(set))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The name and the value of the first of these variables that is set.
    #[must_use]
    pub fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }
}

/// The form of a variable's value. An unknown variable's counts as secret.
#[must_use]
pub fn rule_of(name: &str) -> Rule {
    known().find(|(known, _)| *known == name).map_or(Rule::Secret, |(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::{Rule, Variables, rule_of};
    use std::ffi::OsString;

    #[test]
    fn an_empty_variable_is_unset_and_the_first_one_wins() {
        let read = |name: &str| match name {
            "AWS_REGION" => Some(OsString::new()),
            "AWS_DEFAULT_REGION" => Some("eu-west-1".into()),
            _ => None,
        };
        let variables = Variables::read(read).unwrap();
        assert_eq!(variables.get("AWS_REGION"), None);
        let first = variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        assert_eq!(first, Some(("AWS_DEFAULT_REGION", "eu-west-1")));
    }

    #[test]
    fn an_unknown_variable_counts_as_secret() {
        assert_eq!(rule_of("AWS_REGION"), Rule::Region);
        assert_eq!(rule_of("AWS_NO_SUCH_VARIABLE"), Rule::Secret);
    }
}
