//! What Chef would do with the files that it reads.

use std::fs;

use super::common::{Node, target_node};
use super::{chef, expect};

#[test]
fn a_file_in_client_d_that_overrides_our_settings_is_named() {
    for (file, text, line) in [
        ("client.d/a.rb", "chef_server_url 'https://other.example/organizations/x'\n", 1),
        ("client.d/z.rb", "# one\nnode_name \"other\"\n", 2),
        ("client.d/10-key.rb", "log_level :info\n\nclient_key '/elsewhere.pem'\n", 3),
        ("client.d/x.rb", "Chef::Config[:trusted_certs_dir] = '/elsewhere'\n", 1),
        ("client.d/x.rb", "node_name \"#{`hostname`}\"\n", 1),
        ("client.d/x.rb", "local_mode true\n", 1),
    ] {
        let node = chef();
        let path = format!("etc/chef/{file}");
        node.write(&path, text);
        let place = format!("/{path}, line {line}: ");
        expect(&node, &["join"], 74, &[&place, "the authority was not asked"]);
        assert_eq!(node.asked("AssociateNode"), 0);
        fs::remove_file(node.path(&path)).unwrap();
        node.join();
        // And when it comes later.
        node.write(&path, text);
        expect(&node, &["status"], 74, &["problem", &place]);
        expect(&node, &["join"], 74, &[&place]);
    }
    let node = chef();
    for (file, text) in [
        ("a.rb", "# node_name 'other'\nlog_level :info\n"),
        ("b.txt", "node_name 'other'\n"),
        (".c.rb", "node_name 'other'\n"),
        ("d.rb", "file_cache_path \"/var/#{node_name}\"\n"),
    ] {
        node.write(&format!("etc/chef/client.d/{file}"), text);
    }
    node.join();
    expect(&node, &["join"], 0, &["already joined"]);
}

#[test]
fn what_ruby_would_not_read_of_chefs_files_is_named_before_any_request() {
    let (client, later) = ("etc/chef/client.rb", "etc/chef/client.d/a.rb");
    for (path, text, words) in [
        (client, &b"log_level :info\n=begin\n"[..], "line 2: "),
        (client, b"if true\n", "line 1: "),
        (client, b"x <<A\n", "line 1: "),
        (client, b"return\n", "line 1: "),
        (client, b"\nlocal_mode true\n", "line 2: local_mode true"),
        (client, b"ssl_ca_file '/etc/nowhere.pem'\n", "line 1: ssl_ca_file"),
        (client, b"x 1\n\x1a\n", "line 2: "),
        (client, b"# encoding: shift_jis\n", "line 1: "),
        (client, b"# M\xfcller\n", "not UTF-8"),
        (client, b"\xff\xfex\x00 \x001\x00\n\x00", "not UTF-8"),
        (client, b"client_d_dir ENV['D']\n", "line 1: client_d_dir"),
        (later, b"x 'M\xfcller'\n", "line 1: "),
        (later, b"\nx 'it's'\n", "line 2: "),
        (later, b"# encoding: iso-8859-1\n# M\xfcller\nnode_name 'x'\n", "line 3: node_name"),
        (later, b"__END__ \nnode_name 'x'\n", "line 2: node_name"),
        (later, b"raise 'x'\n", "line 1: `raise`"),
        (later, b"Chef::Config.from_file('/etc/x.rb')\n", "line 1: `from_file`"),
        ("etc/chef/trusted_certs/x.pem", b"no certificate\n", "x.pem: "),
        ("etc/chef/trusted_certs/x.crt", b"-----BEGIN CERTIFICATE-----\n", "x.crt: "),
    ] {
        let node = chef();
        node.write(path, "");
        fs::write(node.path(path), text).unwrap();
        expect(&node, &["join"], 74, &[path, words, "the authority was not asked"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{words}");
        assert_eq!(fs::read(node.path(path)).unwrap(), text);
        fs::remove_file(node.path(path)).unwrap();
        node.join();
        // And when it comes later, where it matters there too.
        let joined = fs::read(node.path(client)).unwrap();
        let with = if path == client { [&joined, text].concat() } else { text.to_vec() };
        node.write(path, "");
        fs::write(node.path(path), &with).unwrap();
        let only_before = text.starts_with(b"return") || text.starts_with(b"# enc");
        if path != client || !(only_before || words == "not UTF-8") {
            expect(&node, &["status"], 74, &["problem"]);
            expect(&node, &["join"], 74, &[path]);
        }
    }
}

#[test]
fn what_ruby_reads_of_chefs_files_is_kept() {
    let (client, later) = ("etc/chef/client.rb", "etc/chef/client.d/a.rb");
    for (path, text) in [
        (client, &b"\xef\xbb\xbf# by an editor\r\nlog_level :info\r\n"[..]),
        (client, b"log_level :info\n__END__\nif (\n"),
        (client, b"=begin\n__END__\n=end\nlog_level :info"),
        (client, b"# encoding: utf-8\nlog_location \"/var/#{'log'}\"\n"),
        (client, b"begin\n  require 'x'\nrescue LoadError => e\n  warn e\nend\n"),
        (client, b"ssl_ca_file '/etc/chef/client.rb'\n"),
        (client, b"ssl_ca_file '/etc/chef/trusted_certs/enlist-ca.pem'\n"),
        (later, b"\xef\xbb\xbflog_level :info\n"),
        (later, b"# M\xfcller\nlog_level :info\n"),
        (later, b"# encoding: iso-8859-1\nlog_location 'M\xfcller'\n"),
        (later, b"x = <<-A\nnode_name 'x'\n  A\n"),
        (later, b"return unless ENV['X']\n"),
    ] {
        let node = chef();
        node.write(path, "");
        fs::write(node.path(path), text).unwrap();
        node.join();
        let block = node.read(client);
        let (before, rest) = block.split_once("# BEGIN enlist").unwrap();
        let (_, after) = rest.split_once("# END enlist\n").unwrap();
        let kept = format!("{before}{after}").into_bytes();
        if path == client {
            let text = [text, if text.ends_with(b"\n") { b"" } else { b"\n" }].concat();
            assert_eq!(kept, text);
            assert!(!before.contains("__END__\nif"), "{before}");
        } else {
            assert_eq!(fs::read(node.path(path)).unwrap(), text);
        }
        expect(&node, &["status"], 0, &[]);
        expect(&node, &["join"], 0, &["already joined"]);
    }
}

#[test]
fn each_certificate_for_chef_has_a_file_of_its_own() {
    // The emulator's own CA is a chain: its root and the one that signs.
    let puppet = Node::new();
    puppet.join();
    let bundle = fs::read_to_string(puppet.ssl("certs/ca.pem")).unwrap();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
    let node = target_node(
        "[opsworks-cm]\nserver = \"chef-test\"\nca_file = \"/etc/chain.pem\"\n[chef]\n",
        &[],
    );
    node.write("etc/chain.pem", &bundle);
    node.join();
    let mut found = String::new();
    for name in ["enlist-ca.pem", "enlist-ca-2.pem"] {
        let text = node.read(&format!("etc/chef/trusted_certs/{name}"));
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1, "{name}");
        found += &text;
    }
    assert_eq!(found, bundle);
    expect(&node, &["status"], 0, &[]);
    assert!(!node.enlist(&["status"]).stdout.contains("problem"));
    fs::write(node.path("etc/chef/trusted_certs/enlist-ca-2.pem"), "x").unwrap();
    expect(&node, &["status"], 65, &["problem", "enlist-ca-2.pem"]);
    expect(&node, &["leave"], 0, &[]);
    assert!(!node.path("etc/chef/trusted_certs/enlist-ca.pem").exists());
    assert!(!node.path("etc/chef/trusted_certs/enlist-ca-2.pem").exists());
}
