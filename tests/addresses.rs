//! Which address a node reports as its own, and how it reaches its metadata service, in a network
//! namespace.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{Node, Run, STACK, bare, expect, fake_ssm_agent, run};
use serde_json::Value;

/// Makes /sys show the interfaces of the new network.
const SYSFS: &str = "mount -t sysfs sysfs /sys";

/// Whether the tests can't make a network namespace here.
fn is_skipped() -> bool {
    let script =
        format!("{SYSFS}; ip link add own7 type veth peer name far7; ip link add in7 type bridge");
    let tried = Command::new("unshare").args(["-nm", "sh", "-ec", &script]).status();
    let may = tried.is_ok_and(|status| status.success());
    assert!(may || std::env::var("CI").as_deref() != Ok("true"), "CI needs unshare -n");
    if !may {
        println!("SKIPPED: no network namespace can be made here");
    }
    !may
}

/// Runs a script in a new network: the first lines set the network up.
fn in_network(node: &Node, lines: &str, script: &str) -> Run {
    let template = bare(&[]);
    let mut command = Command::new("unshare");
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let script = format!("{SYSFS}\nip link set lo up\n{lines}\n{script}");
    command.args(["-nm", "sh", "-ec", &script]);
    command.env("ROOT", node.root.path());
    command.env("ENLIST", env!("CARGO_BIN_EXE_enlist")).env("EMULATOR", emulator());
    run(&mut command)
}

fn emulator() -> PathBuf {
    PathBuf::from(fake_ssm_agent()).with_file_name("enlist-emulator")
}

/// An Ethernet interface: one end of a veth pair, as in a container.
fn interface(name: &str, address: &str) -> String {
    format!(
        "ip link add {name} type veth peer name far-{name}; ip link set far-{name} up; ip addr add {address} dev {name}; ip link set {name} up\n"
    )
}

fn bridge(name: &str, address: &str) -> String {
    format!(
        "ip link add {name} type bridge; ip addr add {address} dev {name}; ip link set {name} up\n"
    )
}

const TUNNEL: &str =
    "ip tuntap add vpn7 mode tun; ip addr add 10.0.0.1/24 dev vpn7; ip link set vpn7 up\n";

/// A card without a cable.
const NO_CARRIER: &str = "ip link add eno1 type veth peer name far-eno1; ip addr add 10.0.0.5/24 dev eno1; ip link set eno1 up\n";

fn addresses(node: &Node, lines: &str) -> (Value, Value) {
    let run = in_network(node, lines, "exec $ENLIST facts --json --root $ROOT");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let facts: Value = serde_json::from_str(&run.stdout).unwrap();
    (facts["private_ip"].clone(), facts["public_ip"].clone())
}

#[test]
fn the_address_is_the_one_of_the_interface_with_the_default_route() {
    if is_skipped() {
        return;
    }
    let docker = bridge("docker0", "172.17.0.1/16");
    let own = interface("eno7", "192.168.7.5/24");
    let other = interface("ens1", "10.5.5.5/24");
    let out =
        |name: &str, gateway: &str| format!("ip route add default via {gateway} dev {name}\n");
    let cases = [
        (format!("{docker}{own}{}", out("eno7", "192.168.7.1")), Some("192.168.7.5"), None),
        (format!("{docker}{own}"), Some("192.168.7.5"), None),
        (docker.clone(), None, None),
        (format!("{own}{NO_CARRIER}"), Some("192.168.7.5"), None),
        (format!("{other}{own}{}", out("eno7", "192.168.7.1")), Some("192.168.7.5"), None),
        // A KVM host, whose interface is a port of the bridge.
        (
            format!(
                "{}{}{}",
                bridge("br0", "192.168.9.5/24"),
                bridge("virbr0", "192.168.122.1/24"),
                out("br0", "192.168.9.1")
            ),
            Some("192.168.9.5"),
            None,
        ),
        (
            format!("{own}{TUNNEL}ip route add default dev vpn7 metric 5\n"),
            Some("192.168.7.5"),
            None,
        ),
        (
            format!("{}{other}{}", interface("eno8", "100.64.3.4/10"), out("eno8", "100.64.0.1")),
            Some("10.5.5.5"),
            None,
        ),
        (
            format!("{}{other}{}", interface("eno8", "9.9.9.5/24"), out("eno8", "9.9.9.1")),
            Some("10.5.5.5"),
            Some("9.9.9.5"),
        ),
        (
            format!("{}{}", interface("eno8", "203.0.113.5/24"), out("eno8", "203.0.113.1")),
            None,
            None,
        ),
        // A virtual address that moves between hosts. It is lower than the host's own.
        (
            format!("{own}ip addr add 192.168.7.2/32 dev eno7\n{}", out("eno7", "192.168.7.1")),
            Some("192.168.7.5"),
            None,
        ),
    ];
    for (lines, private, public) in cases {
        let node = Node::new();
        let found = addresses(&node, &lines);
        assert_eq!((found.0.as_str(), found.1.as_str()), (private, public), "{lines}");
    }
}

#[test]
fn the_kernel_decides_what_a_bridge_is_and_not_its_name() {
    if is_skipped() {
        return;
    }
    let node = Node::new();
    // WireGuard needs a kernel module. Its attribute is written below the root instead.
    node.write("sys/class/net/far7/uevent", "DEVTYPE=wireguard\nINTERFACE=far7\n");
    let lines = format!(
        "{}{}{}",
        interface("far7", "10.1.1.1/24"),
        bridge("inner7", "10.2.2.2/24"),
        interface("own7", "10.3.3.3/24")
    );
    assert_eq!(addresses(&node, &lines).0, "10.3.3.3");
}

/// A case from practice: a Docker host on premises registered the bridge's address.
#[test]
fn a_docker_host_registers_its_own_address() {
    if is_skipped() {
        return;
    }
    let node = Node::new();
    node.write("etc/hostname", "rack7.example.org\n");
    node.settings(&format!(
        "[opsworks]\nstack_id = \"{STACK}\"\ninfrastructure = \"on-premises\"\n"
    ));
    let lines = format!(
        "{}{}ip route add default via 192.168.7.1 dev eno7\n",
        bridge("docker0", "172.17.0.1/16"),
        interface("eno7", "192.168.7.5/24")
    );
    // After a lost reply, the program shows what the authority has.
    let script = "exec $EMULATOR exec --no-imds --fault RegisterInstance=lost-reply -- sh -c 'AWS_EC2_METADATA_DISABLED=true $ENLIST join --root $ROOT --set aws.region=us-east-1'";
    let run = in_network(&node, &lines, script);
    expect(&run, 69, &["private address \"192.168.7.5\"", "public address \"192.168.7.5\""]);
    assert!(!run.stderr.contains("172.17.0.1"), "{}", run.stderr);
}

#[test]
fn in_an_ipv6_only_subnet_metadata_and_credentials_use_ipv6() {
    if is_skipped() {
        return;
    }
    let lines = "ip -6 addr add fd00:ec2::254/128 dev lo nodad\n";
    let serve = "$EMULATOR serve --role node --imds-listen '[fd00:ec2::254]:80' >$ROOT/environment 2>$ROOT/calls &\nuntil grep -q METADATA $ROOT/environment; do :; done\n. $ROOT/environment\nunset AWS_EC2_METADATA_SERVICE_ENDPOINT\n";
    let join = "code=0; $ENLIST join --root $ROOT || code=$?\nkill $!\nexit $code";
    for mode in ["", "export AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6\n"] {
        let node = Node::new();
        node.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        let run = in_network(&node, lines, &format!("{serve}{mode}{join}"));
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.contains("as i-0123456789abcdef0"), "{}", run.stdout);
        let environment = node.read("environment");
        assert!(!environment.contains("AWS_SECRET_ACCESS_KEY"), "{environment}");
    }
}

/// A proxy, or another machine's service, has the document of another instance.
#[test]
fn the_document_of_another_instance_is_refused() {
    if is_skipped() {
        return;
    }
    let lines = "ip addr add 169.254.169.254/32 dev lo\n";
    let serve = "$EMULATOR serve --imds-listen 169.254.169.254:80 >$ROOT/environment 2>$ROOT/calls &\nuntil grep -q METADATA $ROOT/environment; do :; done\n. $ROOT/environment\nunset AWS_EC2_METADATA_SERVICE_ENDPOINT\n";
    let join = "code=0; $ENLIST join --root $ROOT || code=$?\nkill $!\nexit $code";
    for (tag, code) in [("i-0123456789abcdef0", 0), ("i-0fedcba9876543210", 78)] {
        let node = Node::new();
        node.write("sys/class/dmi/id/board_asset_tag", tag);
        let run = in_network(&node, lines, &format!("{serve}{join}"));
        assert_eq!(run.code, code, "{}", run.stderr);
        let said = run.stderr.contains("the identity document of i-0123456789abcdef0");
        assert_eq!(said, code == 78, "{}", run.stderr);
    }
}

#[test]
fn a_message_names_the_endpoints_that_were_tried() {
    if is_skipped() {
        return;
    }
    let node = Node::new();
    node.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    let join = "exec $ENLIST join --root $ROOT --set node.budget=1s";
    let both = in_network(&node, "", join);
    assert_eq!(both.code, 75, "{}", both.stderr);
    for word in ["on: http://169.254.169.254 and http://[fd00:ec2::254]", "to do: wait"] {
        assert!(both.stderr.contains(word), "{}", both.stderr);
    }
    // Over IPv6 the connection is refused: the message names this endpoint.
    let lines = "ip -6 addr add fd00:ec2::254/128 dev lo nodad\n";
    let refused = in_network(&node, lines, join);
    assert_eq!(refused.code, 75, "{}", refused.stderr);
    assert!(refused.stderr.contains("http://[fd00:ec2::254]"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("169.254.169.254"), "{}", refused.stderr);
    let fixed = format!("export AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv4\n{join}");
    let refused = in_network(&node, lines, &fixed);
    assert!(!refused.stderr.contains("fd00:ec2"), "{}", refused.stderr);
}
