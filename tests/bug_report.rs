//! `enlist bug-report`: what the archive holds, and what it must not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Node, mode, openssl, run, text};
use serde_json::Value;

const PSK: &str = "psk-never-in-a-report";
const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

#[test]
fn the_archive_is_listed_first_and_has_no_secret() {
    let node = Node::new();
    node.settings(&format!("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\nextension_requests = {{ pp_role = \"web\", pp_preshared_key = \"{PSK}\" }}\n"));
    node.emulator.inject("DescribeNodeAssociationStatus=500*forever".parse().unwrap());
    let settings = node.read("etc/enlist/enlist.toml");
    node.settings(&format!("{settings}[node]\nbudget = \"1s\"\n"));
    assert_eq!(node.enlist(&["join"]).code, 75);
    let ticket = node.record()["ticket"].as_str().unwrap().to_owned();
    let journal = format!("#!/bin/sh\necho 'a line with {SECRET} and http://u:pw-1234@proxy/'\n");
    node.write("usr/bin/journalctl", &journal);
    assert!(
        Command::new("chmod")
            .arg("755")
            .arg(node.path("usr/bin/journalctl"))
            .status()
            .unwrap()
            .success()
    );
    let archive = node.path("report.tar");
    let ask = |more: &[&str]| {
        let arguments = [&["bug-report", "--output", text(&archive)], more].concat();
        run(node.command(&arguments).env("MY_SECRET", SECRET))
    };
    let listed = ask(&["--list"]);
    assert!(listed.code == 0 && !archive.exists(), "{}", listed.stderr);
    let written = ask(&[]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert!(written.stdout.starts_with(listed.stdout.lines().next().unwrap()));
    assert!(written.stdout.ends_with(&format!("written: {}\n", archive.display())));
    assert_eq!(mode(&archive), 0o600);
    unpacked(&node, &archive, &ticket);
}

/// A file or a link that is there already is left as it is.
#[test]
fn nothing_is_overwritten_and_no_link_is_followed() {
    let node = Node::new();
    node.write("kept", "mine");
    std::os::unix::fs::symlink(node.path("kept"), node.path("link.tar")).unwrap();
    std::os::unix::fs::symlink(node.path("nowhere"), node.path("dangling.tar")).unwrap();
    // Nor does the report hold what a link in place of the record leads to.
    node.write("secret", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n");
    fs::create_dir_all(node.path("var/lib/enlist/opsworks-cm")).unwrap();
    let record = node.path("var/lib/enlist/opsworks-cm/record.json");
    std::os::unix::fs::symlink(node.path("secret"), record).unwrap();
    for name in ["kept", "link.tar", "dangling.tar"] {
        let said = node.enlist(&["bug-report", "--output", text(&node.path(name))]);
        common::expect(&said, 74, &["a file of this name is there already", name]);
    }
    assert_eq!(node.read("kept"), "mine");
    assert!(!node.path("nowhere").exists());
    let archive = node.path("new.tar");
    assert_eq!(node.enlist(&["bug-report", "--output", text(&archive)]).code, 0);
    let held = fs::read(&archive).unwrap();
    assert!(!held.windows(4).any(|part| part == b"AAAA"), "the record is a link to a key");
}

/// Unpacks the archive with tar, and looks at what is in it.
fn unpacked(node: &Node, archive: &Path, ticket: &str) {
    let out = node.path("out");
    fs::create_dir(&out).unwrap();
    let unpacked = Command::new("tar").args(["-xf", text(archive), "-C", text(&out)]).status();
    assert!(unpacked.unwrap().success());
    let mut all = String::new();
    for name in [
        "version.txt",
        "settings.json",
        "status.json",
        "doctor.json",
        "record-opsworks-cm.json",
        "journal.txt",
    ] {
        let content = fs::read_to_string(out.join(name)).unwrap();
        if Path::new(name).extension() == Some("json".as_ref()) {
            let json: Value = serde_json::from_str(&content).unwrap();
            assert!(json.is_object(), "{name}");
        }
        all += &content;
    }
    for word in [
        "pp_role",
        "\"watching\"",
        "the last join failed",
        "(secret)",
        "a line with (secret)",
        "http://(secret)@proxy/",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let key = node.read("var/lib/enlist/opsworks-cm/key.pem");
    let line = key.lines().nth(3).unwrap();
    for secret in [PSK, SECRET, "pw-1234", ticket, line] {
        assert!(
            !fs::read(archive).unwrap().windows(secret.len()).any(|part| part == secret.as_bytes()),
            "{secret}"
        );
    }
    openssl(&[
        "rsa",
        "-in",
        text(&node.path("var/lib/enlist/opsworks-cm/key.pem")),
        "-noout",
        "-check",
    ]);
}

/// It is for nodes on which nothing works.
#[test]
fn it_works_with_settings_that_do_not() {
    let node = Node::new();
    node.settings("[opsworks-cm]\nsever = 5\n[broken");
    let archive = node.path("report.tar");
    let said = node.enlist(&["bug-report", "--output", text(&archive)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let out =
        Command::new("tar").args(["-xOf", text(&archive), "settings.json", "doctor.json"]).output();
    let out = String::from_utf8(out.unwrap().stdout).unwrap();
    assert!(out.contains("not TOML") && out.contains("\"failed\""), "{out}");
}

/// A person writes the secret itself where the settings say where it is. It is refused, and shown nowhere.
#[test]
fn a_secret_in_the_place_of_its_source_is_not_shown() {
    let node = Node::new();
    let archive = node.path("report.tar");
    let secret = "hunter2x";
    let written = [
        "{ value = \"hunter2x\" }",
        "{ file = \"hunter2x\" }",
        "{ credential = \"hunter2x/y\" }",
        "{ ssm_parameter = \"hunter2x y\" }",
        "{ hunter2x = \"y\" }",
        "{ file = \"/a\", passphrase = \"hunter2x\" }",
        "{ value = [\"hunter2x\"] }",
        "[\"hunter2x\"]",
        "\"hunter2x\"",
    ];
    for (table, key) in [
        ("[puppet-server]\nserver = \"puppet\"\ntrust_on_first_use = true", "challenge_password"),
        ("[chef-server]\nurl = \"https://chef.example/organizations/a\"", "validator_key"),
    ] {
        for value in written {
            node.settings(&format!("{table}\n{key} = {value}\n"));
            for command in ["check", "join", "doctor", "status"] {
                let said = node.enlist(&[command]);
                assert_eq!(said.code, 78, "{command} {value}: {}", said.stderr);
                let text = format!("{}{}", said.stdout, said.stderr);
                assert!(text.contains(key) && !text.contains(secret), "{command} {value}: {text}");
            }
            let said = node.enlist(&["bug-report", "--output", text(&archive)]);
            assert_eq!(said.code, 0, "{}", said.stderr);
            assert!(!fs::read_to_string(&archive).unwrap().contains(secret), "{value}");
            fs::remove_file(&archive).unwrap();
        }
    }
    node.settings("[puppet-server]\nserver = \"puppet\"\ntrust_on_first_use = true\n");
    let variable = ("ENLIST_PUPPET_SERVER_CHALLENGE_PASSWORD", "password=hunter2x");
    let option = "puppet-server.challenge_password=value=hunter2x";
    for said in [
        run(node.command(&["check"]).env(variable.0, variable.1)),
        run(&mut node.command(&["check", "--set", option])),
        run(&mut node.command(&["check", "--set", "puppet-server.challenge_password=hunter2x=1"])),
    ] {
        assert_eq!(said.code, 78, "{}", said.stderr);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains(secret), "{}", said.stderr);
    }
    node.settings("[puppet-server]\nserver = \"puppet\"\ntrust_on_first_use = true\nchallenge_password = 12345678\n");
    let said = node.enlist(&["check"]);
    assert!(said.code == 78 && !said.stderr.contains("12345678"), "{}", said.stderr);
}
