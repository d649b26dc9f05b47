//! Keys, files, locks and records of this machine that can't be used.

use std::fs;
use std::process::Command;

use crate::common::{self, NAME, Node, openssl};
use crate::expect;

#[test]
fn a_key_that_cannot_be_used_is_not_replaced() {
    let ec = openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    let encrypted = openssl(&["genrsa", "-aes128", "-passout", "pass:x", "2048"]);
    let short = openssl(&["genrsa", "1024"]);
    let good = openssl(&["genrsa", "2048"]);
    let damaged = good.replacen("\nMII", "\nMIJ", 1);
    let cases = [
        ("", "no PEM block"),
        ("not a key", "no PEM block"),
        (&ec, "not an RSA key"),
        (&encrypted, "encrypted"),
        (&short, "1024 bits"),
        (&damaged, "damaged"),
        (&format!("{good}{good}"), "2 PEM blocks"),
    ];
    for (pem, word) in cases {
        let node = Node::new();
        node.write(&format!("etc/puppetlabs/puppet/ssl/private_keys/{NAME}.pem"), pem);
        let run = node.enlist(&["join"]);
        expect(&run, 65, &[word, "private_keys"]);
        assert_eq!(fs::read_to_string(node.key()).unwrap(), pem, "it was not touched");
        assert_eq!(node.asked("AssociateNode"), 0);
        // The message does not quote the key.
        for line in pem.lines().filter(|line| line.len() > 40) {
            assert!(!run.stderr.contains(line), "{}", run.stderr);
        }
        if pem == ec {
            // What an agent with key_type = ec leaves. The command in the message is enough.
            let command = run.stderr.split('`').find(|part| part.starts_with("mv ")).unwrap();
            let paths: Vec<&str> = command.split_whitespace().skip(1).collect();
            fs::rename(paths[0], paths[1]).unwrap();
            node.join();
        }
    }
}

#[test]
fn a_path_that_cannot_be_written_is_named_and_nothing_is_lost() {
    // A file is in the place of a directory, which stops root, too.
    let node = Node::new();
    node.write("etc/puppetlabs/puppet/ssl", "a file\n");
    expect(&node.enlist(&["join"]), 74, &["etc/puppetlabs/puppet/ssl", "not a directory"]);
    assert_eq!(node.read("etc/puppetlabs/puppet/ssl"), "a file\n");
    // A certificate that could not be installed is not requested.
    let node = Node::new();
    node.write("etc/puppetlabs/puppet/ssl/certs", "a file\n");
    expect(
        &node.enlist(&["join"]),
        74,
        &["etc/puppetlabs/puppet/ssl/certs", "the authority was not asked"],
    );
    assert_eq!(node.asked("AssociateNode"), 0);
    fs::remove_file(node.ssl("certs")).unwrap();
    node.join();
    assert_eq!(node.asked("AssociateNode"), 1);
    let node = Node::new();
    node.write("var/lib/enlist", "a file\n");
    expect(&node.enlist(&["join"]), 74, &["var/lib/enlist"]);
    assert!(node.emulator.calls().is_empty());
}

/// What could not be used after it was written is found before the authority is asked.
#[test]
fn a_directory_that_everybody_can_write_to_is_found_before_the_authority_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    for directory in ["etc/puppetlabs/puppet", "etc/puppetlabs/puppet/ssl"] {
        let node = Node::new();
        let path = node.path(directory);
        fs::create_dir_all(&path).unwrap();
        let change = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        change(0o777);
        let words = ["everybody can write", "chmod o-w", "the authority was not asked"];
        expect(&node.enlist(&["join"]), 78, &words);
        assert_eq!(node.asked("AssociateNode"), 0);
        assert!(!node.path(HOLD).exists());
        let doctor = node.enlist(&["doctor"]);
        assert_eq!(doctor.code, 78, "{}", doctor.stdout);
        assert!(doctor.stdout.contains("everybody can write"), "{}", doctor.stdout);
        change(0o755);
        node.join();
    }
}

#[test]
fn a_link_into_a_missing_directory_is_found_before_the_authority_is_asked() {
    let node = Node::new();
    let conf = node.path("etc/puppetlabs/puppet/puppet.conf");
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/srv/none/puppet.conf", &conf).unwrap();
    let words = ["symbolic link to /srv/none/puppet.conf", "rm ", "the authority was not asked"];
    expect(&node.enlist(&["join"]), 78, &words);
    assert_eq!(node.asked("AssociateNode"), 0);
    let doctor = node.enlist(&["doctor"]);
    assert_eq!(doctor.code, 78, "{}", doctor.stdout);
    fs::create_dir_all(node.path("srv/none")).unwrap();
    node.join();
    assert!(node.read("srv/none/puppet.conf").contains("certname"));
}

const HOLD: &str = "opt/puppetlabs/puppet/cache/state/agent_disabled.lock";

#[test]
fn a_leave_that_can_remove_no_file_lets_the_agent_run() {
    use std::os::unix::fs::PermissionsExt;
    let ssl = |node: &Node, mode| {
        fs::set_permissions(node.ssl(""), fs::Permissions::from_mode(mode)).unwrap();
    };
    for how in ["--local", "--force"] {
        let node = Node::new();
        node.join();
        let held = "{\"disabled_message\":\"enlist has not joined this node yet; it removes this file once it has\"}";
        node.write(HOLD, held);
        ssl(&node, 0o777);
        expect(&node.enlist(&["leave", how]), 78, &["everybody can write", "chmod o-w"]);
        assert!(!node.path(HOLD).exists(), "{how}");
        ssl(&node, 0o771);
        let run = node.enlist(&["leave", how]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(!node.key().exists());
    }
}

/// A limit on the size of files (`ulimit -f`) is a write error. Its signal does not end the program.
#[test]
fn a_limit_on_the_size_of_files_is_a_write_error() {
    for blocks in ["0", "1"] {
        let node = Node::new();
        let inner = node.command(&["join"]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        expect(&crate::run(&mut command), 74, &["File too large", "to do: "]);
        let half: Vec<_> = node.files().into_iter().filter(|file| file.contains(".tmp")).collect();
        assert!(half.is_empty(), "{half:?}");
        node.join();
    }
}

#[test]
fn puppets_lock_is_respected_while_its_holder_lives() {
    let node = Node::new();
    // A running process whose command line names puppet.
    let mut holder =
        std::process::Command::new("sh").args(["-c", "sleep 60; : puppet agent"]).spawn().unwrap();
    node.write("etc/puppetlabs/puppet/ssl/ssl.lock", &holder.id().to_string());
    let run = node.enlist(&["join"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    expect(&run, 74, &["ssl.lock", &holder.id().to_string()]);
    assert!(!node.certificate().exists());
    // The holder is gone now, and the same association is completed.
    node.join();
    assert!(!node.ssl("ssl.lock").exists());
    assert_eq!(node.asked("AssociateNode"), 1);
    // Locks without a holder: empty, nonsense, a process id of another program.
    for nobody in ["", "x", "1", "999999999"] {
        let node = Node::new();
        node.write("etc/puppetlabs/puppet/ssl/ssl.lock", nobody);
        node.join();
        assert!(!node.ssl("ssl.lock").exists(), "{nobody:?}");
    }
}

#[test]
fn a_damaged_record_is_an_error() {
    let node = Node::new();
    node.join();
    let path = "var/lib/enlist/opsworks-cm/record.json";
    let good = node.read(path);
    for (bad, word) in [
        ("", "damaged"),
        ("{", "damaged"),
        (&good[..good.len() / 2], "damaged"),
        (&good.replacen("\"schema\": 1", "\"schema\": 9", 1), "schema 9"),
        (&good.replacen("\"phase\": \"joined\"", "\"phase\": \"married\"", 1), "damaged"),
    ] {
        node.write(path, bad);
        expect(&node.enlist(&["join"]), 70, &[word, "record.json"]);
        // A damaged record is a problem of its target, in the result.
        let status = node.enlist(&["status"]);
        assert_eq!(status.code, 70, "{}{}", status.stdout, status.stderr);
        assert!(status.stdout.contains(word), "{word:?} is not in: {}", status.stdout);
        assert!(status.stdout.contains("\n  to do   "), "{}", status.stdout);
    }
}

#[test]
fn a_key_that_others_can_read_is_reported_and_corrected() {
    use std::os::unix::fs::PermissionsExt;
    let loosen = |node: &Node, mode| {
        fs::set_permissions(node.key(), fs::Permissions::from_mode(mode)).unwrap();
    };
    // A key that exists before the join.
    let node = Node::new();
    node.write(
        &format!("etc/puppetlabs/puppet/ssl/private_keys/{NAME}.pem"),
        &openssl(&["genrsa", "2048"]),
    );
    loosen(&node, 0o644);
    let run = node.join();
    assert!(
        run.stderr.contains("other users could read or write this private key"),
        "{}",
        run.stderr
    );
    assert_eq!(common::mode(&node.key()), 0o640);
    // The key of a member.
    for mode in [0o644, 0o660, 0o602] {
        loosen(&node, mode);
        let run = node.enlist(&["status"]);
        let words = format!("the key's mode lets others read or write it ({mode:04o})");
        assert!(run.stdout.contains(&words), "{}", run.stdout);
    }
    // Puppet's group may read it.
    loosen(&node, 0o640);
    assert!(!node.enlist(&["status"]).stdout.contains("mode lets"));
}

/// Output to a full disk: the command does its work. A result that is lost is an error of the host, unless
/// another one comes first; a log that is lost is none.
#[test]
fn output_that_cannot_be_written_stops_no_work() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (settings, code) in [
        ("[opsworks-cm]\nserver = \"puppet-test\"\n", 74),
        ("[opsworks-cm]\nserver = \"none\"\n", 69),
    ] {
        for format in ["text", "json"] {
            let node = Node::new();
            node.settings(&format!("{settings}[puppet]\nkey_bits = 2048\n"));
            let mut join = node.command(&["join", "--log-format", format, "-v"]);
            let status = join.stdout(full()).stderr(full()).status().unwrap();
            assert_eq!(status.code(), Some(code), "{format}: {status}");
            if code == 74 {
                let code = |arguments: &[&str], stdout: fs::File| {
                    let mut command = node.command(arguments);
                    command.stdout(stdout).stderr(full()).status().unwrap().code()
                };
                let heard = || fs::File::create(node.path("heard")).unwrap();
                assert_eq!(code(&["status"], heard()), Some(0), "it has joined");
                assert_eq!(code(&["join", "-v"], heard()), Some(0), "only the log is lost");
                for arguments in [["leave"].as_slice(), &["--version"], &["join", "--help"]] {
                    assert_eq!(code(arguments, full()), Some(74), "{arguments:?}");
                }
                assert_eq!(code(&["leave"], heard()), Some(0), "it has left");
            }
        }
    }
}

/// The command that is printed adds a target where this command looks for one.
#[test]
fn the_command_that_adds_a_target_writes_where_settings_are_read() {
    let node = Node::new();
    let file = node.path("a file.toml");
    fs::write(&file, "").unwrap();
    for arguments in [vec!["check"], vec!["check", "--config", file.to_str().unwrap()]] {
        node.settings("");
        let said = node.enlist(&arguments);
        assert_eq!(said.code, 78, "{}", said.stderr);
        let command = said.stderr.split('`').nth(1).unwrap();
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
        let said = node.enlist(&arguments);
        assert!(said.stderr.contains("puppet-server"), "{}", said.stderr);
    }
}
