//! Chooses the addresses by which others reach this node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub interface: String,
    pub address: IpAddr,
    /// Length of the network's prefix, in bits.
    pub prefix: u8,
}

/// A default route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    pub interface: String,
    pub gateway: Option<IpAddr>,
    /// The route with the lowest metric is used.
    pub metric: u32,
}

/// The kind of an interface. It decides whether its addresses are the machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An interface to the outside: a card, a bond, a VLAN.
    Plain,
    /// Likewise, and switched off or without a carrier. Its addresses count last, unless the default route uses it.
    Down,
    /// A bridge, or one end of a virtual cable. Its addresses count only where the default route uses
    /// it: br0 of a KVM host, or the interface of a container. Those that container engines make never do.
    Inner,
    /// A tunnel or an overlay network. Its addresses never count.
    Tunnel,
}

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Private,
    Public,
    /// Others can't reach the node by it: only of this host or link, shared by a carrier's customers,
    /// for documentation, or reserved.
    Neither,
}

/// Chooses the private and the public IPv4 address. Order of the interfaces: plain ones with a default
/// route, by its metric; inner ones with a default route; plain ones without; those that are down. Order of the addresses
/// of an interface: the kernel's own choice (`preferred`), then those in the gateway's network.
#[must_use]
pub fn choose(
    addresses: &[Address],
    routes: &[DefaultRoute],
    link: impl Fn(&str) -> Link,
    preferred: Option<Ipv4Addr>,
) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
    let mut ranked: Vec<((u8, u32, u8), Ipv4Addr)> = Vec::new();
    for known in addresses {
        let IpAddr::V4(address) = known.address else { continue };
        let route = routes
            .iter()
            .filter(|route| route.interface == known.interface)
            .min_by_key(|route| route.metric);
        if is_of_containers(&known.interface) {
            continue;
        }
        let (rank, metric) = match (link(&known.interface), route) {
            (Link::Plain | Link::Down, Some(route)) => (0, route.metric),
            (Link::Inner, Some(route)) => (1, route.metric),
            (Link::Plain, None) => (2, 0),
            (Link::Down, None) => (3, 0),
            (Link::Inner, None) | (Link::Tunnel, _) => continue,
        };
        let gateway = route.and_then(|route| route.gateway);
        let order = if preferred == Some(address) {
            0
        } else if gateway.is_some_and(|gateway| known.reaches(gateway)) {
            1
        } else if known.prefix < 32 {
            2
        } else {
            // A prefix of one address is usually a virtual IP, which moves between hosts.
            3
        };
        ranked.push(((rank, metric, order), address));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let first = |wanted| {
        let mut of_scope = ranked.iter().filter(|(_, found)| scope(IpAddr::V4(*found)) == wanted);
        of_scope.next().map(|(_, address)| *address)
    };
    (first(Scope::Private), first(Scope::Public))
}

impl Address {
    /// Whether the other address is in the network of this one.
    fn reaches(&self, other: IpAddr) -> bool {
        let (IpAddr::V4(own), IpAddr::V4(other)) = (self.address, other) else { return false };
        let shift = 32_u32.saturating_sub(u32::from(self.prefix));
        let network = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
        network(own) == network(other)
    }
}

/// The scope of an address. Source: IANA's registries of special-purpose addresses for IPv4 and IPv6.
#[must_use]
pub fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) if address.is_private() => Scope::Private,
        IpAddr::V4(address) if is_special_v4(address) => Scope::Neither,
        // Unique local addresses are IPv6's private ones.
        IpAddr::V6(address) if address.segments()[0] & 0xfe00 == 0xfc00 => Scope::Private,
        IpAddr::V6(address) if is_special_v6(address) => Scope::Neither,
        _ => Scope::Public,
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    match first {
        // This network, loopback; multicast and reserved.
        0 | 127 | 224.. => true,
        // Shared by a carrier's customers (RFC 6598).
        100 => second & 0xc0 == 64,
        // Link-local.
        169 => second == 254,
        // Protocol assignments and documentation; former 6to4 relays.
        192 => (second == 0 && matches!(third, 0 | 2)) || (second == 88 && third == 99),
        // Benchmarks; documentation.
        198 => matches!(second, 18 | 19) || (second == 51 && third == 100),
        203 => second == 0 && third == 113,
        _ => false,
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast is 2000::/3; in it are protocol assignments (2001::/23), documentation
    // (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
    first & 0xe000 != 0x2000
        || (first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000)
}

/// The kind of an interface by its name, for where the kernel does not tell it.
#[must_use]
pub fn link_by_name(name: &str) -> Link {
    const TUNNELS: [&str; 20] = [
        "tun",
        "tap",
        "wg",
        "tailscale",
        "zt",
        "utun",
        "ipsec",
        "vti",
        "ip_vti",
        "ip6_vti",
        "gre",
        "sit",
        "ip6tnl",
        "ip6gre",
        "erspan",
        "vxlan",
        "geneve",
        "flannel",
        "nebula",
        "cilium_",
    ];
    const INNER: [&str; 21] = [
        "docker",
        "br-",
        "virbr",
        "vnet",
        "veth",
        "cni",
        "cali",
        "lxc",
        "lxd",
        "podman",
        "weave",
        "kube-",
        "nodelocaldns",
        "dummy",
        "ifb",
        "cbr",
        "ovs-",
        "incusbr",
        "vmnet",
        "vboxnet",
        "ppp",
    ];
    let begins = |with: &&str| name.starts_with(with);
    let is_numbered_bridge = name
        .strip_prefix("br")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    if TUNNELS.iter().any(begins) {
        Link::Tunnel
    } else if is_numbered_bridge || INNER.iter().any(begins) {
        Link::Inner
    } else {
        Link::Plain
    }
}

/// Whether an interface leads to containers or virtual machines of this host, by the name that their
/// engines give it. Its addresses never count, whatever the routes are: others have the same.
fn is_of_containers(name: &str) -> bool {
    const ENGINES: [&str; 13] = [
        "docker", "virbr", "cni", "cbr", "podman", "lxcbr", "lxdbr", "incusbr", "veth", "vnet",
        "cali", "vmnet", "vboxnet",
    ];
    // Docker's own networks: `br-` and the begin of their id.
    let of_docker = name.strip_prefix("br-");
    of_docker.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || ENGINES.iter().any(|engine| name.starts_with(engine))
}

/// Whether a route is up and does not reject (`RTF_UP`, `RTF_REJECT` of linux/route.h).
fn is_usable(flags: u32) -> bool {
    flags & 0x1 != 0 && flags & 0x200 == 0
}

/// Parses the default routes of `/proc/net/route` (IPv4).
#[must_use]
pub fn default_routes(text: &str) -> Vec<DefaultRoute> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, flags, _, _, metric, mask, ..] = fields.as_slice()
        else {
            return None;
        };
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        if hex(destination)? != 0 || hex(mask)? != 0 || !is_usable(hex(flags)?) {
            return None;
        }
        // The kernel prints the four bytes as one number in its own byte order.
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        Some(DefaultRoute {
            interface: (*interface).to_owned(),
            gateway: (!gateway.is_unspecified()).then_some(IpAddr::V4(gateway)),
            metric: metric.parse().ok()?,
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Parses the default routes of `/proc/net/ipv6_route`.
#[must_use]
pub fn default_routes_v6(text: &str) -> Vec<DefaultRoute> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, interface] =
            fields.as_slice()
        else {
            return None;
        };
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        let is_default = destination.bytes().all(|byte| byte == b'0') && hex(length)? == 0;
        if !is_default || !is_usable(hex(flags)?) || *interface == "lo" {
            return None;
        }
        let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        Some(DefaultRoute {
            interface: (*interface).to_owned(),
            gateway: (!gateway.is_unspecified()).then_some(IpAddr::V6(gateway)),
            metric: hex(metric)?,
        })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests;
