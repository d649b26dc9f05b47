//! Which host names identify a host: names that every host may have, and those of system images, do not.

use std::net::Ipv4Addr;

use super::Address;

/// First labels that identify no host: defaults of the kernel, the resolver and installers.
const NO_NAMES: [&str; 18] = [
    "(none)",
    "none",
    "localhost",
    "localhost4",
    "localhost6",
    "localhost-live",
    "localdomain",
    "localdomain4",
    "localdomain6",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "broadcasthost",
    "unassigned-hostname",
];

/// The names that system images and installers have until somebody, or cloud-init, sets one. Every
/// machine from such an image begins with the same. The `ID` of os-release counts too.
const IMAGE_NAMES: [&str; 19] = [
    "almalinux",
    "alpine",
    "archiso",
    "archlinux",
    "centos",
    "debian",
    "fedora",
    "kali",
    "linux",
    "livecd",
    "nixos",
    "packer",
    "rancher",
    "raspberrypi",
    "rocky",
    "ubuntu",
    "ubuntu-server",
    "unknown",
    "vagrant",
];

/// Whether this name identifies a host. `localhost`, in any domain, and addresses do not.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let name = normal(text);
    // A colon means IPv6, also with a zone or in brackets. An address may have a domain behind it.
    let is_address = begins_with_address(&name) || name.contains(':');
    let is_reverse = name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa");
    let has_letters = first_label(&name).chars().any(char::is_alphanumeric);
    has_letters && !is_address && !is_reverse && !NO_NAMES.contains(&first_label(&name))
}

/// Whether this is the name of a system image, in any domain. `os` is the `ID` of os-release.
#[must_use]
pub fn is_of_image(text: &str, os: &str) -> bool {
    let name = normal(text);
    let first = first_label(&name);
    IMAGE_NAMES.contains(&first) || (!os.is_empty() && first.eq_ignore_ascii_case(os))
}

/// The address in a name that EC2 made (`ip-10-0-0-5.ec2.internal`), if this host does not have it: then
/// the name is that of the machine from which the disk was copied.
#[must_use]
pub fn address_of_another(text: &str, addresses: &[Address]) -> Option<Ipv4Addr> {
    let name = normal(text);
    let address: Ipv4Addr =
        first_label(&name).strip_prefix("ip-")?.replace('-', ".").parse().ok()?;
    addresses.iter().all(|own| own.address != address).then_some(address)
}

fn normal(text: &str) -> String {
    text.trim().trim_end_matches('.').to_ascii_lowercase()
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn begins_with_address(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').take(4).collect();
    labels.join(".").parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{address_of_another, is_host_name, is_of_image};
    use crate::facts::Address;

    #[test]
    fn common_default_names_are_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "(none)",
            "none",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost.localdomain",
            "localhost4.localdomain4",
            "localhost6",
            "localhost.example.org",
            "localdomain",
            "ip6-localhost",
            "ip6-loopback",
            "10.0.0.5",
            "10.0.0.5.example.org",
            "::1",
            "fe80::1%eth0",
            "[fd00::1]",
            "5.0.0.10.in-addr.arpa",
            "1.0.0.ip6.arpa",
            "localhost-live",
            ".example.org",
        ] {
            assert!(!is_host_name(text), "{text:?}");
        }
        for text in [
            "web1",
            "web1.example.org",
            "web1.localdomain",
            "ip-10-0-0-5",
            "10",
            "1and1",
            "localhost1",
            "my-localhost",
            "Web1.",
            "10.example.org",
            "10.0.0.example.org",
        ] {
            assert!(is_host_name(text), "{text:?}");
        }
    }

    #[test]
    fn a_name_of_an_image_is_known_in_any_domain() {
        for (name, os) in [
            ("ubuntu", ""),
            ("Debian", ""),
            ("ubuntu.lan", ""),
            ("raspberrypi.local", "debian"),
            ("flatcar", "flatcar"),
            ("sles.example.org", "sles"),
        ] {
            assert!(is_of_image(name, os), "{name} {os}");
        }
        for (name, os) in
            [("ubuntu1", ""), ("web.ubuntu.com", "ubuntu"), ("web", "debian"), ("", "")]
        {
            assert!(!is_of_image(name, os), "{name} {os}");
        }
    }

    #[test]
    fn a_name_with_the_address_of_another_machine_is_known() {
        let own = Address {
            interface: "ens5".to_owned(),
            address: "10.0.0.5".parse().unwrap(),
            prefix: 24,
        };
        let other = |name| address_of_another(name, std::slice::from_ref(&own));
        for name in ["ip-10-0-0-6", "ip-10-0-0-6.eu-central-1.compute.internal", "IP-10-0-0-6."] {
            assert_eq!(other(name), Some("10.0.0.6".parse().unwrap()), "{name}");
        }
        for name in ["ip-10-0-0-5.ec2.internal", "ip-10-0-0", "ip-10-0-0-6-a", "web-10-0-0-6", "ip"]
        {
            assert_eq!(other(name), None, "{name}");
        }
    }
}
