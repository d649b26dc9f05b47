//! The `Host` of a request. A web page in a browser on this machine can send requests to loopback
//! under a name of its own ("DNS rebinding"), but not under the names that are taken here.

use std::net::{IpAddr, Ipv6Addr};

/// Names that AWS's own clients use, where DNS or a hosts file leads them here.
const AWS: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];
/// The metadata service's own names on EC2.
const METADATA: [&str; 2] = ["instance-data", "instance-data.ec2.internal"];

/// Whether `host` (`NAME` or `NAME:PORT`) is an IP address, localhost, a name of AWS's, or one of
/// `names`.
pub fn is_taken(host: &str, names: &[String]) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    is_address(&name)
        || name == "localhost"
        || below("localhost")
        || AWS.into_iter().any(below)
        || METADATA.contains(&name.as_str())
        || names.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // Within the brackets of an IPv6 address there is no port.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
        None => matches!(name.parse(), Ok(IpAddr::V4(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::is_taken;

    #[test]
    fn addresses_and_known_names_are_taken() {
        let names = ["emulator".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:4566",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:4566",
            "localhost:1",
            "LocalHost.",
            "api.localhost",
            "opsworks-cm.us-east-1.amazonaws.com",
            "ssm.cn-north-1.amazonaws.com.cn:443",
            "instance-data",
            "emulator:4566",
            "Emulator",
        ] {
            assert!(is_taken(host, &names), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:4566",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "amazonaws.com",
            "evilamazonaws.com",
            "amazonaws.com.evil.example",
            "notemulator",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "0x7f000001",
        ] {
            assert!(!is_taken(host, &names), "{host}");
        }
    }
}
