//! By which way the agent reaches its server: directly, or through a proxy of the service's environment or
//! of `puppet.conf` (Puppet's source, `http/proxy.rb`).

use super::reading::value_of;
use super::unit::Variables;

/// Puppet's default of `no_proxy`.
const EXCEPTIONS: &str = "localhost, 127.0.0.1";

/// Puppet's default of `http_proxy_port`.
const PORT: &str = "3128";

/// The agent's way to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Host and port of the proxy. None: directly.
    pub proxy: Option<(String, u16)>,
    /// What decides it, for messages: file, line and setting.
    pub place: String,
}

/// The way to this server. `conf` is the path of `puppet.conf` and `text` what it has; `variables` are those of
/// the agent's service. An IPv6 address has brackets.
#[must_use]
pub fn way(conf: &str, text: &str, variables: &Variables, host: &str, port: u16) -> Way {
    let variable = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| Some((*name, variables.get(*name)?)));
        found.map(|(name, (value, place))| (value.clone(), format!("{place}: {name}")))
    };
    let setting = |name: &str| {
        let (line, value) = value_of(text, name)?;
        Some((value.clone(), format!("{conf}, line {line}: {name} = {value}")))
    };
    let of_variable =
        variable(["http_proxy", "HTTP_PROXY"]).and_then(|(url, place)| Some((parts(&url)?, place)));
    let of_setting = || {
        let (host, place) = setting("http_proxy_host")?;
        let port = setting("http_proxy_port").map_or_else(|| PORT.to_owned(), |(port, _)| port);
        let is_set = !host.is_empty() && host != "none";
        Some(((host, port.parse().ok()?), place)).filter(|_| is_set)
    };
    let Some((proxy, place)) = of_variable.or_else(of_setting) else {
        return Way { proxy: None, place: format!("{conf}: http_proxy_host is not set") };
    };
    let exceptions = variable(["no_proxy", "NO_PROXY"]).or_else(|| setting("no_proxy"));
    let (list, by) = exceptions
        .unwrap_or_else(|| (EXCEPTIONS.to_owned(), format!("no_proxy = {EXCEPTIONS}, by default")));
    if list != "none" && list.split(',').any(|entry| is_meant(entry.trim(), host, port)) {
        return Way { proxy: None, place: by };
    }
    Way { proxy: Some(proxy), place }
}

/// Host and port of a proxy's URL. Ruby finds a host only where there is a scheme.
fn parts(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?', '#']).next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (place, default),
    };
    Some((host.to_owned(), port)).filter(|(host, _)| !host.is_empty())
}

/// Puppet compares the end of the name only: `b.example` is also meant by `example` and `xample`. A `*` stands
/// for anything.
fn is_meant(entry: &str, host: &str, port: u16) -> bool {
    let mut parts = entry.split(':');
    let Some(name) = parts.next().filter(|name| !name.is_empty()) else { return false };
    let (pattern, place) = match parts.next() {
        Some(asked) => (format!("{name}:{asked}"), format!("{host}:{port}")),
        None => (name.to_owned(), host.to_owned()),
    };
    let mut pieces: Vec<&str> = pattern.split('*').collect();
    let Some(mut rest) = pieces.pop().and_then(|last| place.strip_suffix(last)) else {
        return false;
    };
    pieces.iter().all(|piece| {
        let found = rest.split_once(piece).map(|(_, after)| after);
        rest = found.unwrap_or(rest);
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Variables, is_meant, way};

    #[test]
    fn the_services_environment_counts_before_the_settings() {
        let conf = "[main]\nhttp_proxy_host = p\n[agent]\nno_proxy = .no.example\n";
        for (variable, text, host, proxy, place) in [
            ("", "[main]\n", "a.example", None, "/c: http_proxy_host is not set"),
            ("", "http_proxy_host = none\n", "a", None, "/c: http_proxy_host is not set"),
            ("", conf, "a.example", Some(("p", 3128)), "/c, line 2: http_proxy_host = p"),
            ("", conf, "a.no.example", None, "/c, line 4: no_proxy = .no.example"),
            ("http://u:w@q:8080/", conf, "a.example", Some(("q", 8080)), "/u, line 1: http_proxy"),
            ("http://q", "", "a.example", Some(("q", 80)), "/u, line 1: http_proxy"),
            ("http://q", "", "localhost", None, "no_proxy = localhost, 127.0.0.1, by default"),
            ("q:8080", conf, "a.example", Some(("p", 3128)), "/c, line 2: http_proxy_host = p"),
        ] {
            let placed = |value: &str| (value.to_owned(), "/u, line 1".to_owned());
            let mut variables: Variables = BTreeMap::new();
            if !variable.is_empty() {
                variables.insert("http_proxy".to_owned(), placed(variable));
            }
            let found = way("/c", text, &variables, host, 8140);
            let wanted = proxy.map(|(host, port)| (host.to_owned(), port));
            assert_eq!((found.proxy, found.place.as_str()), (wanted, place), "{variable} {text}");
        }
    }

    #[test]
    fn an_exception_is_the_end_of_a_name() {
        for (entry, meant) in [
            ("a.example", true),
            (".example", true),
            ("*.example", true),
            ("xample", true),
            ("a.*le", true),
            ("a.example:8140", true),
            ("a.example:443", false),
            ("other", false),
            ("example.", false),
            ("b*", false),
            ("", false),
        ] {
            assert_eq!(is_meant(entry, "a.example", 8140), meant, "{entry}");
        }
    }
}
