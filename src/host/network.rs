//! This node's addresses, and the routes that decide which one to use.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use sysinfo::Networks;

use super::root::Root;
use crate::facts::network::{self, Address, Link, default_routes, default_routes_v6, link_by_name};

/// The addresses of all interfaces except loopback, sorted by interface.
#[must_use]
pub fn addresses() -> Vec<Address> {
    let networks = match Networks::new_with_refreshed_list() {
        Ok(networks) => networks,
        Err(error) => {
            tracing::warn!(%error, "the network interfaces can't be listed");
            return Vec::new();
        }
    };
    let mut found: Vec<Address> = networks
        .iter()
        .flat_map(|(interface, data)| {
            data.ip_networks().iter().map(|network| Address {
                interface: interface.to_string_lossy().into_owned(),
                address: network.addr,
                prefix: network.prefix,
            })
        })
        .filter(|known| !known.address.is_loopback())
        .collect();
    found.sort_by(|a, b| (&a.interface, a.address).cmp(&(&b.interface, b.address)));
    found
}

/// The private and the public IPv4 address at which others reach this node.
#[must_use]
pub fn choose(root: &Root, addresses: &[Address]) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
    let system = Root::running_system();
    // The running kernel's files. With `--root`, files below it come first.
    let read = |path: &str| root.text(path).or_else(|| system.text(path));
    let mut routes = default_routes(&read("/proc/net/route").unwrap_or_default());
    if routes.is_empty() {
        routes = default_routes_v6(&read("/proc/net/ipv6_route").unwrap_or_default());
    }
    network::choose(addresses, &routes, |interface| link(read, interface), source_address())
}

/// The source address that the kernel uses for outgoing packets. Connecting a UDP socket looks up
/// the route and sends nothing. The address is reserved for documentation (RFC 5737).
fn source_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().map(|address: SocketAddr| address.ip()) {
        Ok(IpAddr::V4(address)) => Some(address),
        _ => None,
    }
}

/// The kind of an interface, by the kernel's attributes, or else by its name.
fn link(read: impl Fn(&str) -> Option<String>, interface: &str) -> Link {
    // The name becomes part of a path. The kernel allows neither of these in a name.
    if interface.contains('/') || interface.starts_with("..") {
        return Link::Tunnel;
    }
    let read = |name: &str| read(&format!("/sys/class/net/{interface}/{name}"));
    if read("tun_flags").is_some() {
        return Link::Tunnel;
    }
    let uevent = read("uevent").unwrap_or_default();
    let kind = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    if let Some("wireguard" | "vxlan" | "geneve" | "gretap" | "bareudp" | "macsec") = kind {
        return Link::Tunnel;
    }
    // ARPHRD_TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE, and PPP of linux/if_arp.h.
    match read("type").as_deref().map(str::trim) {
        Some("768" | "769" | "776" | "778" | "823") => Link::Tunnel,
        Some("512") => Link::Inner,
        _ if kind == Some("bridge") || read("bridge/bridge_id").is_some() => Link::Inner,
        _ => match (link_by_name(interface), read("operstate").as_deref().map(str::trim)) {
            (Link::Plain, Some("down" | "lowerlayerdown" | "notpresent")) => Link::Down,
            (link, _) => link,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Link, link};

    #[test]
    fn the_kernels_attributes_decide_before_the_name() {
        let read = |file: &'static str, text: &'static str| {
            move |path: &str| (path == format!("/sys/class/net/x0/{file}")).then(|| text.to_owned())
        };
        assert_eq!(link(read("tun_flags", "0x1001"), "x0"), Link::Tunnel);
        assert_eq!(link(read("uevent", "DEVTYPE=wireguard\nINTERFACE=x0\n"), "x0"), Link::Tunnel);
        assert_eq!(link(read("uevent", "DEVTYPE=bridge\n"), "x0"), Link::Inner);
        assert_eq!(link(read("type", "778\n"), "x0"), Link::Tunnel);
        assert_eq!(link(read("type", "512\n"), "x0"), Link::Inner);
        assert_eq!(link(read("operstate", "down\n"), "x0"), Link::Down);
        assert_eq!(link(read("operstate", "up\n"), "x0"), Link::Plain);
        assert_eq!(link(|_| None, "../x0"), Link::Tunnel, "it would be another path");
    }
}
