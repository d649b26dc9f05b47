//! `NO_PROXY`: the hosts that are reached without a proxy.
//!
//! There is no standard. Every form is accepted that curl, Go, Python and the AWS tools know: `*`, a
//! name and everything below it (`x.example`, `.x.example`, `*.x.example`), an address, a network
//! (`10.0.0.0/8`), each address and name with or without a port.

use std::net::IpAddr;

/// Whether the list has this host. The host is without brackets.
pub fn has(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    let mut entries = list.split([',', ' ', '\t', ';']).filter(|entry| !entry.is_empty());
    entries.any(|entry| is_meant(&entry.to_ascii_lowercase(), &host, address, port))
}

fn is_meant(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, length)) = entry.split_once('/') {
        let network = unbracketed(network).parse::<IpAddr>();
        return match (network, length.parse(), address) {
            (Ok(network), Ok(length), Some(address)) => contains(network, length, address),
            _ => false,
        };
    }
    let (name, asked) = split(entry);
    if asked.is_some_and(|asked| asked.parse() != Ok(port)) {
        return false;
    }
    if let Some(address) = address {
        return unbracketed(name).parse() == Ok(address);
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.');
    let below = host.strip_suffix(name).filter(|_| !name.is_empty());
    below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// The host, and the port where there is one. An IPv6 address has brackets, or no port.
fn split(entry: &str) -> (&str, Option<&str>) {
    if entry.parse::<IpAddr>().is_ok() {
        return (entry, None);
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn contains(network: IpAddr, length: u32, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((network, size), (address, other)) = (bits(network), bits(address));
    if size != other || length > size {
        return false;
    }
    // A shift by all bits leaves nothing.
    (network ^ address).checked_shr(size - length).unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn every_form_of_an_exception_is_known() {
        for (list, host, port, is_exempt) in [
            ("x.example", "x.example", 443, true),
            ("x.example", "a.x.example", 443, true),
            ("x.example", "ax.example", 443, false),
            (".x.example", "a.x.example", 443, true),
            (".x.example", "ax.example", 443, false),
            ("*.x.example", "a.b.x.example", 443, true),
            ("*.x.example", "y.example", 443, false),
            ("X.Example.", "x.example.", 443, true),
            ("x.example:8140", "x.example", 8140, true),
            ("x.example:8140", "x.example", 443, false),
            (".x.example:443", "a.x.example", 443, true),
            ("a.example, b.example", "b.example", 443, true),
            ("a.example b.example", "b.example", 443, true),
            ("*", "x.example", 443, true),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("10.0.0.0/33", "10.1.2.3", 443, false),
            ("0.0.0.0/0", "10.1.2.3", 443, true),
            ("10.1.2.3/32", "10.1.2.3", 443, true),
            ("10.1.2.3:80", "10.1.2.3", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("2.3", "10.1.2.3", 443, false),
            ("fd00::/8", "fd12::1", 443, true),
            ("::/0", "fd12::1", 443, true),
            ("::/0", "10.1.2.3", 443, false),
            ("fd12:0::1", "fd12::1", 443, true),
            ("[fd12::1]", "fd12::1", 443, true),
            ("[fd12::1]:8140", "fd12::1", 8140, true),
            ("[fd12::1]:8140", "fd12::1", 443, false),
            ("", "x.example", 443, false),
            (".,*.,/,:,[]", "x.example", 443, false),
        ] {
            assert_eq!(has(list, host, port), is_exempt, "{list}: {host}:{port}");
        }
    }
}
