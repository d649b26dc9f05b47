//! Checks regions and URLs from the settings and the environment. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls_pki_types::ServerName;

/// The longest region. It becomes a label of a host name (RFC 1035, 2.3.4).
const LONGEST_REGION: usize = 63;
/// The longest host name (RFC 1035, 2.3.4), and the longest URL that is accepted.
const LONGEST_HOST: usize = 253;
const LONGEST_URL: usize = 2048;

/// Why a text is not a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    #[error("it is an availability zone; its region is {0}")]
    Zone(String),
    #[error("it is the id of an availability zone, not a region such as eu-central-1")]
    ZoneId,
    #[error("it is the name of an endpoint; the region is {0}, with AWS_USE_FIPS_ENDPOINT=true")]
    Fips(String),
    #[error("it stands for all regions, and a single one is needed, such as eu-central-1")]
    Global,
    #[error("a region is 1 to 63 lower-case letters, digits and -, such as eu-central-1")]
    Form,
}

/// Checks a region's name. It becomes part of the name of the host that signed requests are sent
/// to. A zone (`eu-central-1a`, `us-west-2-lax-1a`) or its id (`euc1-az2`) is a common mistake.
///
/// # Errors
/// Why it is not a region, and the region of a zone.
pub fn region(text: &str) -> Result<(), RegionError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = !text.starts_with('-') && !text.ends_with('-');
    if !(1..=LONGEST_REGION).contains(&text.len()) || !text.chars().all(plain) || !is_label {
        return Err(RegionError::Form);
    }
    // Names that older SDKs and other services take in place of a region.
    if let Some(of) = text.strip_prefix("fips-").or_else(|| text.strip_suffix("-fips")) {
        return Err(RegionError::Fips(of.to_owned()));
    }
    if text.starts_with("aws-") && text.ends_with("-global") {
        return Err(RegionError::Global);
    }
    let parts: Vec<&str> = text.split('-').collect();
    if let [id, zone] = parts.as_slice()
        && zone.strip_prefix("az").is_some_and(is_number)
        && id.ends_with(|c: char| c.is_ascii_digit())
    {
        return Err(RegionError::ZoneId);
    }
    // An AWS region is a place of two to four letters, words, and a number. Other providers of the APIs
    // may use other names.
    let Some(at) = parts.iter().position(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Ok(());
    };
    let is_aws = at >= 2 && parts.first().is_some_and(|place| (2..=4).contains(&place.len()));
    let number = parts.get(at).copied().unwrap_or_default();
    let digits = number.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let is_zone = number.len() == digits.len() + 1 || parts.len() > at + 1;
    if is_aws && is_number(digits) && is_zone {
        let words = parts.get(..at).unwrap_or_default().join("-");
        return Err(RegionError::Zone(format!("{words}-{digits}")));
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Why a URL is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it has no scheme: it must begin with https:// or http://")]
    NoScheme,
    #[error("its scheme is {0}, not https or http")]
    Scheme(String),
    #[error("it has no host")]
    NoHost,
    #[error("{0:?} is not the name or address of a host")]
    Host(String),
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("it contains a login; remove it")]
    Login,
    #[error("it contains a query or a fragment; remove it")]
    Query,
    #[error("it contains blanks, line ends or other characters that are not allowed in a URL")]
    Character,
    #[error("it is longer than {LONGEST_URL} characters")]
    TooLong,
}

/// The parts of a URL that are checked before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Whether it is `http`, which anyone on the network path can read.
    pub is_plain: bool,
    /// Without the brackets of an IPv6 address.
    pub host: &'a str,
    pub port: Option<u16>,
    /// `NAME:PASSWORD` before an `@`.
    pub login: Option<&'a str>,
    pub path: &'a str,
}

impl<'a> Url<'a> {
    /// Parses an endpoint's URL: scheme, host, port, path.
    ///
    /// # Errors
    /// The first problem that is found.
    pub fn endpoint(text: &'a str) -> Result<Self, UrlError> {
        let url = Self::parse(text)?;
        if url.login.is_some() {
            return Err(UrlError::Login);
        }
        if url.path.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        Ok(url)
    }

    /// Parses a URL that may have a login and a query.
    ///
    /// # Errors
    /// The first problem that is found.
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        if text.len() > LONGEST_URL {
            return Err(UrlError::TooLong);
        }
        if text.chars().any(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c)) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let is_plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            "" => return Err(UrlError::NoScheme),
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        Ok(Self { is_plain, host, port, login, path })
    }

    /// The port, or else that of the scheme.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.is_plain { 80 } else { 443 })
    }

    /// Whether it leads to this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host)
    }

    /// The address, where the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Whether a host is this machine itself: `localhost` (RFC 6761, 6.3) or a loopback address.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let is_v4 = |address: Ipv4Addr| address.is_loopback();
    let is_v6 =
        |address: Ipv6Addr| address.is_loopback() || address.to_ipv4_mapped().is_some_and(is_v4);
    host.parse().is_ok_and(is_v4) || host.parse().is_ok_and(is_v6)
}

fn host_and_port(text: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        in_brackets(text, rest)?
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        (check_host(host)?, port)
    };
    let port = port.map(|port| {
        let number = port.parse::<u16>().ok().filter(|_| is_number(port));
        number.filter(|number| *number > 0).ok_or(UrlError::Port)
    });
    Ok((host, port.transpose()?))
}

/// Parses an IPv6 address in brackets, and the port after it.
fn in_brackets<'a>(whole: &str, rest: &'a str) -> Result<(&'a str, Option<&'a str>), UrlError> {
    let (host, rest) = rest.split_once(']').ok_or(UrlError::NoHost)?;
    host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host(host.to_owned()))?;
    let port = rest.strip_prefix(':');
    if port.is_none() && !rest.is_empty() {
        return Err(UrlError::Host(whole.to_owned()));
    }
    Ok((host, port))
}

/// Checks the name of a host, or its IPv4 address.
///
/// # Errors
/// What is wrong with it.
pub fn check_host(host: &str) -> Result<&str, UrlError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let is_dotted = host.starts_with('.') || host.contains("..");
    if host.len() > LONGEST_HOST || !host.chars().all(plain) || is_dotted {
        return Err(UrlError::Host(host.to_owned()));
    }
    Ok(host)
}

/// A host of the settings: a name, an IPv4 address, or an IPv6 address with or without brackets, which are
/// removed.
///
/// # Errors
/// What is wrong with it.
pub fn host(text: &str) -> Result<&str, UrlError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Ok(bare);
    }
    // TLS verifies no other name: `127.1` is one to a resolver.
    let is_verified = ServerName::try_from(text).is_ok();
    check_host(text)
        .and_then(|host| is_verified.then_some(host).ok_or(UrlError::Host(text.to_owned())))
}

/// A host as it is in a URL, and before a port: an IPv6 address has brackets.
#[must_use]
pub fn bracketed(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

/// `host`, or `host:port` where the port is not the default one. An IPv6 address has brackets.
#[must_use]
pub fn endpoint(host: &str, port: u16, default: u16) -> String {
    let host = bracketed(host);
    if port == default { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::{RegionError, Url, UrlError, bracketed, host, is_loopback, region};

    #[test]
    fn a_host_is_a_name_or_an_address_of_either_kind() {
        for (text, wanted) in
            [("a.example", "a.example"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(host(text), Ok(wanted));
        }
        for text in [
            "",
            "[a]",
            "[::1",
            "::1]",
            "::1:8140x",
            "[10.0.0.1]",
            "a:8140",
            "fe80::1%eth0",
            "127.1",
            "2130706433",
            "-a.b",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
        assert_eq!((bracketed("::1").as_str(), bracketed("a").as_str()), ("[::1]", "a"));
    }

    #[test]
    fn a_zone_is_refused_and_its_region_is_named() {
        for name in [
            "eu-central-1",
            "us-gov-west-1",
            "us-iso-east-1",
            "eusc-de-east-1",
            "local",
            "moon-1",
            "rack-2b",
            "us-east-10",
            "region-one",
        ] {
            assert_eq!(region(name), Ok(()), "{name}");
        }
        for name in ["fips-us-east-1", "us-east-1-fips"] {
            assert_eq!(region(name), Err(RegionError::Fips("us-east-1".to_owned())), "{name}");
        }
        assert_eq!(region("aws-global"), Err(RegionError::Global));
        for (zone, of) in [
            ("eu-central-1a", "eu-central-1"),
            ("us-gov-west-1b", "us-gov-west-1"),
            ("us-west-2-lax-1a", "us-west-2"),
            ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
            ("ap-southeast-10c", "ap-southeast-10"),
        ] {
            assert_eq!(region(zone), Err(RegionError::Zone(of.to_owned())), "{zone}");
        }
        assert_eq!(region("euc1-az2"), Err(RegionError::ZoneId));
        for other in ["", "EU-CENTRAL-1", "eu central 1", "eu-central-1\n", "-a", "a-", "a.b", "é"]
        {
            assert_eq!(region(other), Err(RegionError::Form), "{other:?}");
        }
    }

    #[test]
    fn urls_are_parsed_or_refused_with_the_reason() {
        let url = Url::parse("http://u:p@[::1]:8080/a?b").unwrap();
        assert_eq!((url.is_plain, url.host, url.port), (true, "::1", Some(8080)));
        assert_eq!((url.login, url.path), (Some("u:p"), "/a?b"));
        assert!(Url::endpoint("https://ssm.eu-central-1.amazonaws.com").is_ok());
        for (text, error) in [
            ("", UrlError::NoScheme),
            ("localhost:4566", UrlError::NoScheme),
            ("//host", UrlError::NoScheme),
            ("ftp://host", UrlError::Scheme("ftp".to_owned())),
            ("https://", UrlError::NoHost),
            ("https:///path", UrlError::NoHost),
            ("https://:443", UrlError::NoHost),
            ("https://a..b", UrlError::Host("a..b".to_owned())),
            ("https://[::g]", UrlError::Host("::g".to_owned())),
            ("https://host:", UrlError::Port),
            ("https://host:0", UrlError::Port),
            ("https://host:65536", UrlError::Port),
            ("https://host:+1", UrlError::Port),
            ("https://u:p@host", UrlError::Login),
            ("https://host/?a", UrlError::Query),
            ("https://ho st", UrlError::Character),
            ("https://host\n", UrlError::Character),
            ("https://h\u{f6}st", UrlError::Character),
        ] {
            assert_eq!(Url::endpoint(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "127.0.0.1.example", "0.0.0.0", "10.0.0.1", "2130706433", "127.1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
