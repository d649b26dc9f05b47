//! Which of this node's addresses others reach it by.

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
    /// The lowest one is used.
    pub metric: u32,
}

/// What kind of interface it is, as far as that decides whose its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The machine's own, or what stands for it: a card, a bond, a VLAN.
    Plain,
    /// A bridge, or an end of a virtual cable. It is the machine's own only where the default route
    /// goes over it: a KVM host's br0, or the interface of a container.
    Inner,
    /// A tunnel or an overlay: its addresses are another network's.
    Tunnel,
}

/// How far an address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Private,
    Public,
    /// Of this host or link alone, shared by carriers, for documentation, reserved: others do not
    /// reach the node by it.
    Neither,
}

/// The private and the public IPv4 address. Interfaces come in this order: plain ones with a default
/// route by its metric, inner ones with one, plain ones without. Of one interface's addresses the
/// kernel's own choice (`preferred`) comes first, then those in the gateway's network.
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
        let (rank, metric) = match (link(&known.interface), route) {
            (Link::Plain, Some(route)) => (0, route.metric),
            (Link::Inner, Some(route)) => (1, route.metric),
            (Link::Plain, None) => (2, 0),
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
            // One address alone is one that moves from host to host (a virtual IP).
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
    /// Whether that other address is in the network of this one.
    fn reaches(&self, other: IpAddr) -> bool {
        let (IpAddr::V4(own), IpAddr::V4(other)) = (self.address, other) else { return false };
        let shift = 32_u32.saturating_sub(u32::from(self.prefix));
        let network = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
        network(own) == network(other)
    }
}

/// Source: IANA's registries of special-purpose addresses for IPv4 and IPv6.
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

/// What an interface's name says of it, where the kernel says no more.
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

/// A route that is up, and not one that refuses (`RTF_UP`, `RTF_REJECT` of linux/route.h).
fn is_usable(flags: u32) -> bool {
    flags & 0x1 != 0 && flags & 0x200 == 0
}

/// The default routes of `/proc/net/route` (IPv4).
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
        // The kernel writes the address's four bytes as one number of its own byte order.
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        Some(DefaultRoute {
            interface: (*interface).to_owned(),
            gateway: (!gateway.is_unspecified()).then_some(IpAddr::V4(gateway)),
            metric: metric.parse().ok()?,
        })
    };
    text.lines().filter_map(parse).collect()
}

/// The default routes of `/proc/net/ipv6_route`.
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
