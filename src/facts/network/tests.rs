use std::net::IpAddr;

use super::{
    Address, DefaultRoute, Link, Scope, choose, default_routes, default_routes_v6, link_by_name,
    scope,
};

/// The chosen private and public address. Addresses are written `eth0 10.1.2.3/24`, default routes `eth0
/// GATEWAY METRIC`, both separated by commas.
fn chosen(addresses: &str, routes: &str) -> (String, String) {
    let addresses: Vec<Address> = addresses
        .split(", ")
        .map(|one| {
            let (interface, rest) = one.split_once(' ').unwrap();
            let (address, prefix) = rest.split_once('/').unwrap();
            Address {
                interface: interface.to_owned(),
                address: address.parse().unwrap(),
                prefix: prefix.parse().unwrap(),
            }
        })
        .collect();
    let routes: Vec<DefaultRoute> = routes
        .split(", ")
        .filter(|one| !one.is_empty())
        .map(|one| {
            let words: Vec<&str> = one.split(' ').collect();
            DefaultRoute {
                interface: words[0].to_owned(),
                gateway: words[1].parse().ok(),
                metric: words[2].parse().unwrap(),
            }
        })
        .collect();
    let (private, public) = choose(&addresses, &routes, link_by_name, None);
    let text = |address: Option<std::net::Ipv4Addr>| {
        address.map_or("-".to_owned(), |address| address.to_string())
    };
    (text(private), text(public))
}

fn private(addresses: &str, routes: &str) -> String {
    chosen(addresses, routes).0
}

#[test]
fn the_interface_with_the_default_route_comes_first() {
    let docker = "docker0 172.17.0.1/16, eth0 192.168.1.5/24";
    assert_eq!(private(docker, "eth0 192.168.1.1 0"), "192.168.1.5");
    // Also without a default route.
    assert_eq!(private(docker, ""), "192.168.1.5");
    assert_eq!(private("docker0 172.17.0.1/16", ""), "-");
    // Nor where it is the only one with a default route.
    for name in
        ["docker0", "docker_gwbridge", "br-0123456789ab", "virbr0", "cni0", "podman0", "lxdbr0"]
    {
        let addresses = format!("{name} 172.17.0.1/16");
        assert_eq!(private(&addresses, &format!("{name} 172.17.0.254 0")), "-", "{name}");
        let with = format!("{addresses}, eth0 192.168.1.5/24");
        assert_eq!(private(&with, &format!("{name} 172.17.0.254 0")), "192.168.1.5", "{name}");
    }
    assert_eq!(private("br-ex 10.0.0.5/24", "br-ex 10.0.0.1 0"), "10.0.0.5");
    let two = "ens1 10.0.0.5/24, ens2 192.168.7.7/24";
    assert_eq!(private(two, "ens2 192.168.7.1 0"), "192.168.7.7");
    assert_eq!(private(two, "ens1 10.0.0.1 200, ens2 192.168.7.1 100"), "192.168.7.7");
}

#[test]
fn a_bridge_is_chosen_only_with_the_default_route() {
    let kvm = "br0 192.168.1.5/24, virbr0 192.168.122.1/24";
    assert_eq!(private(kvm, "br0 192.168.1.1 0"), "192.168.1.5");
    let storage = "br0 192.168.1.5/24, eth1 10.9.9.9/24";
    assert_eq!(private(storage, "br0 192.168.1.1 0"), "192.168.1.5");
    let both = "br0 192.168.1.5/24, eth1 10.9.9.9/24";
    assert_eq!(private(both, "br0 192.168.1.1 0, eth1 10.9.9.1 100"), "10.9.9.9");
}

#[test]
fn a_tunnel_is_never_chosen() {
    let vpn = "eth0 192.168.1.5/24, tun0 10.8.0.2/24, wg0 10.7.0.2/32";
    assert_eq!(private(vpn, "tun0 10.8.0.1 0, eth0 192.168.1.1 100"), "192.168.1.5");
    assert_eq!(private(vpn, "tun0 10.8.0.1 0"), "192.168.1.5");
    assert_eq!(private("tun0 10.8.0.2/24", "tun0 10.8.0.1 0"), "-");
}

#[test]
fn an_address_in_the_gateways_network_comes_before_a_virtual_one() {
    let addresses = "eth0 10.0.0.2/32, eth0 10.0.0.9/24, eth0 172.16.0.4/16";
    assert_eq!(private(addresses, "eth0 10.0.0.1 0"), "10.0.0.9");
    assert_eq!(private(addresses, "eth0 172.16.0.1 0"), "172.16.0.4");
    assert_eq!(private("eth0 10.0.0.2/32", "eth0 10.0.0.1 0"), "10.0.0.2");
}

#[test]
fn the_kernels_own_choice_comes_first() {
    let address = |text: &str| Address {
        interface: "eth0".to_owned(),
        address: text.parse().unwrap(),
        prefix: 24,
    };
    let addresses = [address("10.0.0.2"), address("10.0.0.9")];
    let preferred = "10.0.0.9".parse().ok();
    let (private, _) = choose(&addresses, &[], |_| Link::Plain, preferred);
    assert_eq!(private, preferred);
}

#[test]
fn private_and_public_may_come_from_two_interfaces() {
    let addresses = "eth0 8.8.4.4/24, eth1 10.0.0.5/24, docker0 172.17.0.1/16";
    let routes = "eth0 8.8.4.1 0";
    assert_eq!(chosen(addresses, routes), ("10.0.0.5".to_owned(), "8.8.4.4".to_owned()));
    let shared = "eth0 100.64.3.4/10, eth1 10.0.0.5/24";
    assert_eq!(chosen(shared, "eth0 100.64.0.1 0"), ("10.0.0.5".to_owned(), "-".to_owned()));
}

#[test]
fn scopes_follow_the_iana_registries() {
    let all = |texts: &[&str], wanted| {
        for text in texts {
            assert_eq!(scope(text.parse::<IpAddr>().unwrap()), wanted, "{text}");
        }
    };
    all(
        &["10.0.0.1", "172.16.0.1", "172.31.255.1", "192.168.0.1", "fd00::1", "fc00::1"],
        Scope::Private,
    );
    all(
        &["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "192.0.1.1"],
        Scope::Public,
    );
    all(&["2600:1f18::1", "2a00::1", "2001:4860::8888", "3ffe::1"], Scope::Public);
    all(
        &[
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.254",
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.1.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
        ],
        Scope::Neither,
    );
    all(
        &[
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002::1",
            "64:ff9b::1",
            "::ffff:10.0.0.1",
            "100::1",
            "3fff:fff::1",
        ],
        Scope::Neither,
    );
}

#[test]
fn interface_names_tell_the_kind() {
    for name in ["eth0", "ens5", "enp0s3", "wlan0", "bond0", "eth0.12", "wwan0", "brocade0", "eno1"]
    {
        assert_eq!(link_by_name(name), Link::Plain, "{name}");
    }
    for name in ["docker0", "br-1a2b3c", "br0", "virbr0", "cni0", "veth12ab", "cali123", "podman0"]
    {
        assert_eq!(link_by_name(name), Link::Inner, "{name}");
    }
    for name in ["tun0", "tap0", "wg0", "tailscale0", "flannel.1", "tunl0", "sit0", "vxlan.calico"]
    {
        assert_eq!(link_by_name(name), Link::Tunnel, "{name}");
    }
}

#[test]
fn default_routes_of_the_kernel_are_parsed() {
    let number = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let gateway = number([192, 168, 1, 1]);
    let text = format!(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t{gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
         ppp0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n\
         tun0\t00000000\t{gateway}\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
         lo\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n\
         eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
         cut short\n"
    );
    let route = |interface: &str, gateway: Option<&str>, metric| DefaultRoute {
        interface: interface.to_owned(),
        gateway: gateway.map(|text| text.parse().unwrap()),
        metric,
    };
    assert_eq!(
        default_routes(&text),
        [route("eth0", Some("192.168.1.1"), 100), route("ppp0", None, 50)]
    );
    let zeros = "0".repeat(32);
    let text = format!(
        "{zeros} 00 {zeros} 00 fe80000000000000000000000000dead 00000400 00000001 00000000 00000003     eth0\n\
         {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n\
         fe800000000000000000000000000000 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001     eth0\n"
    );
    assert_eq!(default_routes_v6(&text), [route("eth0", Some("fe80::dead"), 1024)]);
}
