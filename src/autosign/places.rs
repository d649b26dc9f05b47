//! Hosts, ports and URLs of the settings.

use std::net::Ipv6Addr;

use super::settings::{SettingsError, invalid, text};

/// The longest name of a host (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 253;

/// `endpoint` in `[sts]`, without a slash at its end.
pub(super) fn endpoint(value: Option<toml::Value>) -> Result<Option<String>, SettingsError> {
    const KEY: &str = "endpoint in [sts]";
    let Some(url) = text(value, KEY)? else { return Ok(None) };
    match url.strip_prefix("https://").map(|place| place.trim_end_matches('/')) {
        Some(place) if is_place(place) => Ok(Some(format!("https://{place}"))),
        _ => invalid(KEY, "https://HOST or https://HOST:PORT"),
    }
}

/// `proxy` in `[sts]`.
pub(super) fn proxy(value: Option<toml::Value>) -> Result<Option<String>, SettingsError> {
    const KEY: &str = "proxy in [sts]";
    match text(value, KEY)? {
        Some(url) if !is_proxy(&url) => invalid(KEY, "http://HOST:PORT or https://HOST:PORT"),
        url => Ok(url),
    }
}

/// Whether a text is `HOST` or `HOST:PORT`. An IPv6 address is in brackets.
fn is_place(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let (host, port, is_host) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or_default();
        (address, port, address.parse::<Ipv6Addr>().is_ok())
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (host, port, host.chars().all(plain))
    };
    is_host && (1..=LONGEST_HOST).contains(&host.len()) && is_port(port)
}

/// `:PORT`, or nothing.
fn is_port(text: &str) -> bool {
    let number = text.strip_prefix(':').filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
    text.is_empty() || number.and_then(|it| it.parse::<u16>().ok()).is_some_and(|it| it > 0)
}

/// Whether a text is the URL of a proxy: `http` or `https`, a login if it needs one, and a place.
fn is_proxy(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else { return false };
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let is_plain = |c: char| c.is_ascii_graphic() && !"/?#\"<>\\^`{|}".contains(c);
    text.len() < 1000 && login.chars().all(is_plain) && is_place(place)
}

#[cfg(test)]
mod tests {
    use super::{is_place, is_proxy};

    #[test]
    fn a_place_has_a_host_and_perhaps_a_port() {
        for good in ["h", "h:1", "sts.example:65535", "[::1]", "[::1]:443", "10.0.0.1:80"] {
            assert!(is_place(good) && is_proxy(&format!("http://u:p@{good}/")), "{good}");
        }
        for bad in
            ["", ":1", "h:", "h:0", "h:99999", "h:+1", "h:x", "::1", "[::1", "[x]", "[::1]x", "h/x"]
        {
            assert!(!is_place(bad) && !is_proxy(&format!("https://{bad}")), "{bad}");
        }
        for bad in ["h:1", "socks5://h:1", "http://", "http://u:p@", "http://u/x@h", "http://é@h"]
        {
            assert!(!is_proxy(bad), "{bad}");
        }
    }
}
