//! The URL of a Chef server, as `chef_server_url` has it.

use std::fmt;

use crate::targets::address::{self, Url};

const ORGANIZATIONS: &str = "organizations";

/// `https://HOST[:PORT][/PATH]/organizations/ORG`. For goiardi without `/organizations/ORG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    /// What comes before `/organizations`: empty, or `/PATH`.
    prefix: String,
    pub organization: Option<String>,
}

impl ServerUrl {
    /// # Errors
    /// What is wrong with it, as the rest of a sentence about the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::endpoint(text).map_err(|error| error.to_string())?;
        if url.is_plain {
            return Err("it begins with http://, and anybody on the network could change what the server answers".to_owned());
        }
        let mut parts: Vec<&str> = url.path.split('/').filter(|part| !part.is_empty()).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if parts.iter().any(|part| !part.chars().all(plain) || part.trim_matches('.').is_empty()) {
            return Err("its path has other characters than letters, digits and - . _ ~".to_owned());
        }
        let organization = match parts.iter().position(|part| *part == ORGANIZATIONS) {
            None => None,
            Some(at) => match parts.split_off(at).as_slice() {
                [_, name] => Some((*name).to_owned()),
                [_] => return Err("the name of an organization is missing at its end".to_owned()),
                _ => return Err("it does not end with the name of the organization".to_owned()),
            },
        };
        let prefix = parts.iter().map(|part| format!("/{part}")).collect();
        let (host, port) = (url.host.to_owned(), url.port_or_default());
        Ok(Self { host, port, prefix, organization })
    }

    /// The path of something that belongs to the organization.
    #[must_use]
    pub fn below(&self, path: &str) -> String {
        match &self.organization {
            Some(name) => format!("{}/{ORGANIZATIONS}/{name}/{path}", self.prefix),
            None => format!("{}/{path}", self.prefix),
        }
    }

    /// The path of something that belongs to the whole server.
    #[must_use]
    pub fn of_server(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    /// `host`, or `host:port`, as in a URL.
    #[must_use]
    pub fn place(&self) -> String {
        address::endpoint(&self.host, self.port, 443)
    }

    /// The validator that the server made with the organization.
    #[must_use]
    pub fn validator(&self) -> String {
        format!("{}-validator", self.organization.as_deref().unwrap_or("chef"))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.below("");
        write!(f, "https://{}{}", self.place(), path.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::ServerUrl;

    #[test]
    fn urls_are_brought_to_one_form() {
        for (text, shown, clients, versions, validator) in [
            (
                "https://c.example/organizations/acme",
                "https://c.example/organizations/acme",
                "/organizations/acme/clients",
                "/server_api_version",
                "acme-validator",
            ),
            (
                "HTTPS://c.example:8443//x/organizations/acme//",
                "https://c.example:8443/x/organizations/acme",
                "/x/organizations/acme/clients",
                "/x/server_api_version",
                "acme-validator",
            ),
            (
                "https://[::1]:4545/",
                "https://[::1]:4545",
                "/clients",
                "/server_api_version",
                "chef-validator",
            ),
        ] {
            let url = ServerUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.below("clients"), clients);
            assert_eq!(url.of_server("server_api_version"), versions);
            assert_eq!(url.validator(), validator);
        }
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for (text, word) in [
            ("http://c.example/organizations/acme", "http://"),
            ("c.example/organizations/acme", "scheme"),
            ("https://u:p@c.example/organizations/acme", "login"),
            ("https://c.example/organizations/acme?x", "query"),
            ("https://c.example/organizations", "missing"),
            ("https://c.example/organizations/", "missing"),
            ("https://c.example/organizations/acme/clients", "end with"),
            ("https://c.example/organizations/a%20b", "characters"),
            ("https://c.example/../organizations/acme", "characters"),
        ] {
            let error = ServerUrl::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
