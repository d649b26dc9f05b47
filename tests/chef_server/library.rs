//! Joining and leaving a server whose judge is Chef's own library.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use enlist::pki::PrivateKey;
use enlist::targets::chef_server::api::Action;
use enlist::targets::chef_server::signature::{self, Signer};
use enlist::targets::chef_server::url::ServerUrl;
use serde_json::json;

use crate::common::chef_node::validator_pem;
use crate::ruby::{
    CHEF, GOIARDI, Kind, RubyServer, expect, has_library, library_signs, ruby_reads,
};

/// The text that is signed, the signature and the headers, byte for byte.
#[test]
fn signatures_are_those_of_chefs_library() {
    if !has_library() {
        return;
    }
    let key = PrivateKey::from_pem(validator_pem().as_bytes()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), validator_pem()).unwrap();
    let time = "2026-11-26T05:06:07Z";
    assert_eq!(signature::time(1_795_669_567).as_deref(), Some(time));
    let name = || "web1.example.org".to_owned();
    let body = "{\"name\":\"web1\",\"text\":\"Grüße\"}".to_owned();
    for url in ["https://chef.example//organizations/acme/", "https://chef.example:4545"] {
        let url = ServerUrl::parse(url).unwrap();
        for action in [
            Action::CreateClient { name: name(), body: body.clone() },
            Action::GetClient { name: name() },
            Action::UpdateNode { name: name(), body: body.clone() },
            Action::DeleteNode { name: name() },
        ] {
            for version in [0, 1, 2] {
                let signer = Signer { user: "acme-validator", version };
                let text = signature::text(&url, &action, signer, time);
                let ours = headers(&key.sign(text.as_bytes()).unwrap(), &action, signer, time);
                let (path, version) = (action.path(&url), version.to_string());
                let file = file.path().to_str().unwrap();
                let arguments = [action.method(), &path, signer.user, time, &version, file];
                let mut theirs = library_signs(&arguments, action.body());
                // The library says the version too, and leaves out the last semicolon.
                theirs.retain(|(name, _)| name != "x-ops-server-api-version");
                for (_, value) in theirs.iter_mut().filter(|(name, _)| name == "x-ops-sign") {
                    *value = format!("{};", value.trim_end_matches(';'));
                }
                assert_eq!(ours, theirs, "{action:?}");
            }
        }
    }
}

/// The headers of a signature, sorted.
fn headers(
    signature: &[u8],
    action: &Action,
    signer: Signer<'_>,
    time: &str,
) -> Vec<(String, String)> {
    let encoded = BASE64_STANDARD.encode(signature);
    let line = |(index, line): (usize, &[u8])| {
        let line = String::from_utf8(line.to_vec()).unwrap();
        (format!("x-ops-authorization-{}", index + 1), line)
    };
    let mut all: Vec<(String, String)> =
        encoded.as_bytes().chunks(60).enumerate().map(line).collect();
    let hash = signature::content_hash(action.body());
    let others = [
        ("x-ops-content-hash", hash.as_str()),
        ("x-ops-sign", signature::PROTOCOL),
        ("x-ops-timestamp", time),
        ("x-ops-userid", signer.user),
    ];
    all.extend(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.sort();
    all
}

#[test]
fn a_node_joins_and_leaves_every_kind_of_server() {
    if !has_library() {
        return;
    }
    let oldest = Kind { versions: ("0", "0"), ..CHEF };
    let newest = Kind { versions: ("2", "5"), ..CHEF };
    for kind in [CHEF, oldest, newest, GOIARDI] {
        let mut server = RubyServer::start(kind);
        let machine = server.machine(&server.settings("run_list = [\"recipe[base]\"]"));
        expect(&machine.enlist(&["join"]), 0, &[]);
        let reach = if kind.organization.is_some() { "200" } else { "400" };
        let joined =
            [&format!("{reach} GET /server_api_version"), "201 POST /clients", "201 POST /nodes"];
        assert_eq!(server.log(), joined);
        let shown = server.show();
        assert_eq!(shown["nodes"]["web1"]["owner"], "web1");
        assert_eq!(shown["nodes"]["web1"]["run_list"], json!(["recipe[base]"]));
        let read = ruby_reads(&[machine.path("etc/chef/client.rb")]).unwrap();
        assert_eq!(read["chef_server_url"], server.url);
        assert_eq!(read["node_name"], "web1");
        assert_eq!(read["client_key"], "/etc/chef/client.pem");
        assert!(read.get("validation_key").is_none() && read.get("ssl_verify_mode").is_none());
        expect(&machine.enlist(&["leave"]), 0, &[]);
        assert_eq!(server.log()[3..], ["200 DELETE /nodes/web1", "200 DELETE /clients/web1"]);
        assert!(server.show()["clients"].get("web1").is_none());
    }
    let mut server = RubyServer::start(Kind { versions: ("3", "5"), ..CHEF });
    let machine = server.machine(&server.settings(""));
    expect(&machine.enlist(&["join"]), 76, &["3 to 5"]);
    assert_eq!(server.log().len(), 1, "nothing is created");
}

#[test]
fn a_taken_name_and_a_stale_node_are_told_apart_by_every_server() {
    if !has_library() {
        return;
    }
    for kind in [CHEF, GOIARDI] {
        let mut server = RubyServer::start(kind);
        let (first, second) =
            (server.machine(&server.settings("")), server.machine(&server.settings("")));
        expect(&first.enlist(&["join"]), 0, &[]);
        let said = second.enlist(&["join"]);
        expect(&said, 69, &["for another key", "knife client delete web1; knife node delete web1"]);
        server.command("delete clients web1");
        expect(&second.enlist(&["join"]), 69, &["may not change", "knife node delete web1"]);
        assert!(!second.path("etc/chef/client.rb").exists());
        server.command("delete nodes web1");
        expect(&second.enlist(&["join"]), 0, &[]);
        // The record of the second machine is lost; its key is not.
        std::fs::remove_dir_all(second.path("var/lib/enlist")).unwrap();
        expect(&second.enlist(&["join"]), 0, &[]);
        assert_eq!(server.show()["nodes"]["web1"]["run_list"], json!([]));
        // Once more, with other settings: the node object that is its own gets them.
        std::fs::remove_dir_all(second.path("var/lib/enlist")).unwrap();
        let with = server.settings("run_list = [\"recipe[base]\"]\nenvironment = \"prod\"");
        std::fs::write(second.path("etc/enlist/enlist.toml"), with).unwrap();
        expect(&second.enlist(&["join"]), 0, &[]);
        let node = &server.show()["nodes"]["web1"];
        assert_eq!(node["run_list"], json!(["recipe[base]"]));
        assert_eq!(node["chef_environment"], "prod");
        // The first one was deleted by the administrator, and leaves all the same.
        let left = first.enlist(&["leave"]);
        expect(&left, 0, &[]);
        let said = format!("{}{}", left.stdout, left.stderr);
        assert!(said.contains("may still have this node"), "{said}");
        assert!(server.show()["clients"].get("web1").is_some(), "the other machine's client");
    }
}

#[test]
fn a_validator_that_the_server_does_not_accept_is_explained() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let good = server.settings("");
    let join = |text: &str| server.machine(text).enlist(&["join"]);
    let of_other =
        good.replace("[chef-server]\n", "[chef-server]\nvalidator_name = \"b-validator\"\n");
    expect(&join(&of_other), 77, &["no client of this name", "validator_name", "'b-validator'"]);
    let elsewhere = good.replace("organizations/acme", "organizations/none");
    expect(&join(&elsewhere), 78, &["organization 'none' does not exist", "url in [chef-server]"]);
    let root = good.replace("/organizations/acme", "");
    expect(&join(&root), 78, &["names no organization", "/organizations/NAME"]);
    let key = server.directory.path().join("other.pub");
    let other = PrivateKey::generate(2048).unwrap();
    std::fs::write(&key, other.public().to_pem()).unwrap();
    let machine = server.machine(&good);
    server.command(&format!("key acme-validator {}", key.display()));
    expect(&machine.enlist(&["join"]), 77, &["another key", "made anew", "Invalid signature"]);
    assert!(server.show()["clients"].get("web1").is_none());
}

/// The server is updated, and does not speak the version of the join any more.
#[test]
fn a_member_speaks_a_version_that_its_server_still_has() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let settings = |role: &str| format!("run_list = [\"role[{role}]\"]");
    let machine = server.machine(&server.settings(&settings("web")));
    expect(&machine.enlist(&["join"]), 0, &[]);
    server.command("versions 2 5");
    let probed = machine.enlist(&["status", "--probe"]);
    expect(&probed, 0, &[]);
    assert!(probed.stdout.contains("with the installed key"), "{}", probed.stdout);
    assert_eq!(server.log()[3..], ["406 GET /clients/web1", "200 GET /clients/web1"]);
    let changed = server.settings(&settings("db"));
    std::fs::write(machine.path("etc/enlist/enlist.toml"), changed).unwrap();
    expect(&machine.enlist(&["join"]), 0, &[]);
    assert_eq!(server.show()["nodes"]["web1"]["run_list"], json!(["role[db]"]));
    // The join has noted the version. None in common is a fault, and nothing is lost.
    server.command("versions 3 5");
    expect(&machine.enlist(&["leave"]), 76, &["3 to 5"]);
    assert!(machine.path("etc/chef/client.pem").exists());
    server.command("versions 1 1");
    expect(&machine.enlist(&["leave"]), 0, &[]);
    assert!(server.show()["clients"].get("web1").is_none());
}
