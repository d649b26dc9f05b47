use super::*;

const OURS: &str = "chef_server_url 'https://c.example/organizations/default'\nnode_name 'it\\'s'\nclient_key '/etc/chef/client.pem'\ntrusted_certs_dir '/etc/chef/trusted_certs'\nuse_policyfile true\n";

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text.as_bytes())
}

fn later(text: &str) -> Vec<String> {
    let client_rb = source("/etc/chef/client.rb", &block::set("", OURS));
    conflicts(&[], &client_rb, &[source("/etc/chef/client.d/a.rb", text)], OURS, &|_| false)
}

#[test]
fn later_lines_with_another_value_are_reported() {
    for line in [
        "chef_server_url 'https://other.example/organizations/default'",
        "chef_server_url(\"https://other.example\")",
        "  node_name \"web\"",
        "node_name\t'web'",
        "Chef::Config[:node_name] = 'web'",
        "Chef::Config['client_key'] = '/x'",
        "Chef::Config.node_name = 'web'",
        "Chef::Config.node_name 'web'",
        "self.client_key = '/x'",
        "node_name \"#{ENV['HOSTNAME']}\"",
        "node_name `hostname`.strip if true; node_name 'x'",
        "log_level :info; node_name 'web'",
        "if true then node_name 'web' end",
        "trusted_certs_dir '/x' # ours",
        "client_key File.join('/x', 'y')",
        "client_key_contents 'MII'",
        "local_mode true",
        "use_policyfile false",
        "node_name %q(web)",
        "node_name :web",
        "node_name 'it\\'s'.upcase",
        "node_name \\\n  'web'",
        "node_name(\n'web')",
        "node_name *['web']",
        "Chef::Config[ :node_name ] = 'web'",
        "Chef::Config[\"node_name\".to_sym] =\n  'web'",
        "Chef::Config::node_name = 'web'",
        "Chef::Config.send(:node_name, 'web')",
        "Chef::Config.public_send 'node_name=', 'web'",
        "Chef::Config.merge!(node_name: 'web')",
        "Chef::Config.from_file('/etc/other.rb')",
        "eval File.read('/etc/other.rb')",
        "Chef::Config.reset",
        "node_name << 'x'",
        "Chef::Config[:node_name].upcase!",
        "x = node_name 'web'",
        "true and node_name 'web'",
        "def node_name(*) 'web' end",
        "__END__ \nnode_name 'web'\n",
        "x <<A; node_name 'web'\nA",
        "=begin\n=end\nnode_name 'web'",
        "solo_legacy_mode true",
        "ssl_ca_file '/nowhere.pem'",
        "ssl_client_key \"#{x}/key.pem\"",
        "exit if true",
    ] {
        let found = later(&format!("# one\n{line}\n"));
        let [problem] = found.as_slice() else { panic!("{line}: {found:?}") };
        assert!(problem.starts_with("/etc/chef/client.d/a.rb, line "), "{problem}");
        let first = problem.contains("line 2: ");
        assert!(first || line.contains("=end") || line.contains("__END__"), "{problem}");
    }
}

#[test]
fn lines_without_effect_are_not_reported() {
    for line in [
        "# node_name 'web'",
        "node_name 'it\\'s'",
        "node_name(\"it's\") # the same",
        "use_policyfile true",
        "node_name = 'a variable'",
        "log_location \"/var/log/#{node_name}.log\"",
        "node_name_of_old 'web'",
        "old_node_name 'web'",
        "puts 'x' if node_name == 'web'",
        "=begin\nnode_name 'web'\n=end",
        "__END__\nnode_name 'web'",
        "local_mode false",
        "file_cache_path '/var/' + node_name",
        "x = { node_name: 'web' }",
        "x <<A\nnode_name 'web'\nA",
        "x %q(\nnode_name 'web'\n)",
        "y = YAML.load(File.read('/x'))",
        "puts Chef::Config[:node_name]",
        "puts node_name.upcase",
        "x.merge!(node_name: 'web')",
        "return if true",
        "ssl_ca_file nil",
        "local_mode nil",
    ] {
        assert_eq!(later(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn what_keeps_ruby_from_the_block_is_reported() {
    for (text, line) in [
        ("if true\n", 1),
        ("x 1\n=begin\n", 2),
        ("return\n", 1),
        ("exit if true\n", 1),
        ("x 1\n\u{1a}\n", 2),
        ("x <<A\n", 1),
        ("false &&\n", 1),
        ("x.\n", 1),
        ("local_mode true\n", 1),
        ("solo true\nlocal_mode false\n", 1),
        ("\nssl_ca_file '/nowhere.pem'\n", 2),
        ("def node_name(*) 'web' end\n", 1),
        (
            "=begin\n# BEGIN enlist: written anew by each join; put your own lines outside\n# END enlist\n=end\n",
            2,
        ),
    ] {
        let found = conflicts(&[], &source("/etc/chef/client.rb", text), &[], OURS, &|_| false);
        let [problem] = found.as_slice() else { panic!("{text:?}: {found:?}") };
        let place = format!("/etc/chef/client.rb, line {line}: ");
        assert!(problem.starts_with(&place), "{text:?}: {problem}");
    }
    let text = block::set("", OURS) + "\n.upcase\n";
    let found = conflicts(&[], &source("/etc/chef/client.rb", &text), &[], OURS, &|_| false);
    assert_eq!(found.len(), 1, "{found:?}");
    let latin = Source::new("/etc/chef/client.rb", b"# M\xfcller\n");
    let found = conflicts(&[], &latin, &[], OURS, &|_| false);
    assert!(matches!(found.as_slice(), [problem] if problem.contains("not UTF-8")), "{found:?}");
    for text in ["\u{feff}x 1\n", "=begin\n__END__\n=end\n", "ssl_ca_file '/there'\n", "x 1"] {
        let file = source("/etc/chef/client.rb", text);
        let found = conflicts(&[], &file, &[], OURS, &|path| path == "/there");
        assert_eq!(found, Vec::<String>::new(), "{text:?}");
        let with = source("/etc/chef/client.rb", &block::set(text, OURS));
        let found = conflicts(&[], &with, &[], OURS, &|path| path == "/there");
        assert_eq!(found, Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn in_client_rb_only_lines_after_the_block_count() {
    let text = block::set("node_name 'before'\n", OURS) + "\nnode_name 'behind'\n";
    let found = conflicts(&[], &source("/etc/chef/client.rb", &text), &[], OURS, &|_| false);
    assert_eq!(found, ["/etc/chef/client.rb, line 10: node_name \"behind\""]);
    // A new block is put at the end, after these lines.
    let without = source("/etc/chef/client.rb", "node_name 'before'\n");
    assert!(conflicts(&[], &without, &[], OURS, &|_| false).is_empty());
}

#[test]
fn the_directory_and_the_order_of_later_files() {
    let of = |text| directory(&source("/etc/chef/client.rb", text));
    assert_eq!(of("").unwrap().unwrap(), "/etc/chef/client.d");
    assert_eq!(of("client_d_dir '/x'\n").unwrap().unwrap(), "/x");
    assert_eq!(of("config_dir '/y/'\n").unwrap().unwrap(), "/y/client.d");
    assert_eq!(of("client_d_dir nil\nconfig_dir '/y'\n").unwrap(), None);
    assert_eq!(
        of("\nclient_d_dir ENV['D']").unwrap_err(),
        "/etc/chef/client.rb, line 2: client_d_dir is set"
    );
    let names = ["b.rb", "a.rb", ".c.rb", "d.txt"].map(str::to_owned).to_vec();
    assert_eq!(read_in_order(names), ["a.rb", "b.rb"]);
}

/// With a file of its own, what others set before it is overridden, and nothing else may be after it.
#[test]
fn a_file_of_its_own_comes_after_client_rb() {
    let ours = source("/etc/chef/client.d/enlist.rb", &block::set("", OURS));
    let before = |text: &str| {
        conflicts(&[source("/etc/chef/client.rb", text)], &ours, &[], OURS, &|_| false)
    };
    for text in [
        "node_name 'web'\nchef_server_url 'https://other.example'\n",
        "Chef::Config.from_file('/etc/other.rb')",
        "log_level :info\nreturn",
    ] {
        assert!(before(text).is_empty(), "{text}: {:?}", before(text));
    }
    for text in ["local_mode true", "exit", "x = [", "def node_name(*) end", "ssl_ca_file '/no'"] {
        assert!(!before(text).is_empty(), "{text}");
    }
    let after = source("/etc/chef/client.d/z.rb", "node_name 'web'");
    let found = conflicts(&[], &ours, &[after], OURS, &|_| false);
    assert_eq!(found, ["/etc/chef/client.d/z.rb, line 1: node_name \"web\""]);
}
