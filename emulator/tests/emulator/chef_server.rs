//! The API of a Chef server, at its endpoint. The requests are signed by Chef's own library.

use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::chef_library::{As, Server, VALIDATOR, has_library, node};
use super::client;
use super::curl::Curl;
use super::openssl;
use super::{Outcome, shared_ca};

#[test]
fn a_node_is_registered_in_every_protocol() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    for (protocol, version) in
        [("1.0", "0"), ("1.1", "0"), ("1.1", "1"), ("1.3", "0"), ("1.3", "2")]
    {
        let name = format!("node-{protocol}-{version}");
        let validator = As { protocol, version, ..VALIDATOR };
        let key = openssl::public_key("rsa", openssl::key(1))?;
        let body = json!({ "name": name, "public_key": key });
        let made = server.ask(validator, "POST", "/clients", &body)?;
        assert_eq!(made.status, 201, "{name}: {}", made.body);
        let url = server.emulator.chef_url().unwrap_or_default();
        let uri = format!("{url}/organizations/default/clients/{name}");
        assert_eq!(made.body["uri"], uri);
        assert_eq!(made.headers["location"], uri);
        let told = if version == "0" { &made.body } else { &made.body["chef_key"] };
        assert_eq!(told["public_key"], key);
        let me = As { protocol, version, ..node(&name) };
        let own = server.ask(me, "GET", &format!("/clients/{name}?x=1"), &Value::Null)?;
        assert_eq!((own.status, &own.body["clientname"]), (200, &json!(name)));
        assert_eq!(
            own.body["public_key"].is_string(),
            version == "0",
            "from version 1 it is a key"
        );
        let made =
            server.ask(me, "POST", "/nodes", &json!({ "name": name, "run_list": ["base"] }))?;
        assert_eq!(made.status, 201, "{}", made.body);
        let found = server.ask(me, "GET", &format!("/nodes/{name}/"), &Value::Null)?;
        assert_eq!(found.body["run_list"], json!(["recipe[base]"]));
        assert_eq!(found.body["chef_environment"], "_default");
    }
    Ok(())
}

/// After a lost reply, the answer to one's own key says which of the two it is.
#[test]
fn a_lost_reply_can_be_settled() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    let before = server.ask(node("web"), "GET", "/clients/web", &Value::Null)?;
    assert_eq!(before.status, 401);
    assert_eq!(
        before.error(),
        "Failed to authenticate as 'web'. Ensure that your node_name and client key are correct."
    );
    server.emulator.inject("CreateClient=lost-reply".parse()?);
    assert!(server.create("web").is_err());
    let ours = server.ask(node("web"), "GET", "/clients/web", &Value::Null)?;
    assert_eq!(ours.status, 200);
    let other = As { key: 0, ..node("web") };
    let others = server.ask(other, "GET", "/clients/web", &Value::Null)?;
    assert_eq!(others.status, 401);
    assert_eq!(others.error(), "Invalid signature for user or client 'web'");
    let again = server.create("web")?;
    assert_eq!((again.status, again.error()), (409, "Client already exists"));
    Ok(())
}

#[test]
fn signatures_are_refused_in_the_servers_words() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    server.create("web")?;
    let clock = "Failed to authenticate as web. Synchronize the clock on your host.";
    let missing = "missing required authentication header(s) 'X-Ops-Timestamp'";
    let wrong = "Invalid signature for user or client 'web'";
    for (variable, status, text) in [
        (("SKEW", "-890"), 200, ""),
        (("SKEW", "890"), 200, ""),
        (("SKEW", "-1000"), 401, clock),
        (("SKEW", "1000"), 401, clock),
        (("WITHOUT", "X-Ops-Timestamp"), 400, missing),
        (("WITHOUT", "X-Ops-Authorization-2"), 401, wrong),
        (("TAMPER", "another body"), 401, wrong),
    ] {
        for protocol in ["1.0", "1.1", "1.3"] {
            let me = As { protocol, variable, ..node("web") };
            let answer = server.ask(me, "GET", "/clients/web", &Value::Null)?;
            assert_eq!((answer.status, answer.error()), (status, text), "{protocol} {variable:?}");
        }
    }
    for (version, status) in [("3", 406), ("-1", 406), ("x", 406), ("2", 200)] {
        let me = As { version, ..node("web") };
        let answer = server.ask(me, "GET", "/clients/web", &Value::Null)?;
        assert_eq!(answer.status, status, "{version}: {}", answer.body);
        if status == 406 {
            assert_eq!(answer.body["error"], "invalid-x-ops-server-api-version");
            assert_eq!(
                (&answer.body["min_version"], &answer.body["max_version"]),
                (&json!(0), &json!(2))
            );
        }
    }
    let elsewhere =
        server.ask(node("web"), "GET", "/organizations/none/clients/web", &Value::Null)?;
    assert_eq!((elsewhere.status, elsewhere.error()), (404, "organization 'none' does not exist."));
    Ok(())
}

#[test]
fn a_validator_creates_clients_and_nothing_else() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    assert_eq!(server.create("web")?.status, 201);
    assert_eq!(server.create("other")?.status, 201);
    let null = Value::Null;
    let node_body = json!({ "name": "x" });
    let validator = json!({ "name": "second-validator", "validator": true });
    let me = node("web");
    let rows: [(As<'_>, &str, &str, &Value, u16, &str); 12] = [
        (VALIDATOR, "GET", "/clients", &null, 403, "missing read permission"),
        (VALIDATOR, "GET", "/clients/web", &null, 403, "missing read permission"),
        (VALIDATOR, "GET", "/clients/default-validator", &null, 403, "missing read permission"),
        (VALIDATOR, "DELETE", "/clients/web", &null, 403, "missing delete permission"),
        (VALIDATOR, "POST", "/nodes", &node_body, 403, "missing create permission"),
        (VALIDATOR, "POST", "/clients", &validator, 403, "missing create permission"),
        (me, "POST", "/clients", &json!({ "name": "third" }), 403, "missing create permission"),
        (me, "GET", "/clients", &null, 403, "missing read permission"),
        (me, "GET", "/clients/other", &null, 403, "missing read permission"),
        (me, "DELETE", "/clients/other", &null, 403, "missing delete permission"),
        (me, "GET", "/clients/none", &null, 404, "Cannot load client none"),
        (me, "GET", "/nodes/none", &null, 404, "node 'none' not found"),
    ];
    for (who, method, path, body, status, text) in rows {
        let answer = server.ask(who, method, path, body)?;
        assert_eq!((answer.status, answer.error()), (status, text), "{} {method} {path}", who.user);
    }
    Ok(())
}

/// Whoever creates a node owns it: another may read it, and not change or delete it.
#[test]
fn a_node_is_its_creators_and_leaves_with_its_client() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    server.create("web")?;
    server.create("other")?;
    let body = json!({ "name": "web", "run_list": ["role[a]", "b", "b", "recipe[c@1.0]"] });
    assert_eq!(server.ask(node("web"), "POST", "/nodes", &body)?.status, 201);
    let again = server.ask(node("web"), "POST", "/nodes", &body)?;
    assert_eq!((again.status, again.error()), (409, "Node already exists"));
    let seen = server.ask(node("other"), "GET", "/nodes/web", &Value::Null)?;
    assert_eq!(seen.body["run_list"], json!(["role[a]", "recipe[b]", "recipe[c@1.0]"]));
    let stale = server.ask(node("other"), "PUT", "/nodes/web", &seen.body)?;
    assert_eq!((stale.status, stale.error()), (403, "missing update permission"));
    let gone = server.ask(node("other"), "DELETE", "/nodes/web", &Value::Null)?;
    assert_eq!((gone.status, gone.error()), (403, "missing delete permission"));
    assert_eq!(server.ask(node("web"), "PUT", "/nodes/web", &seen.body)?.status, 200);
    for (body, text) in [
        (json!({}), "Field 'name' missing"),
        (json!({ "name": "a b" }), "Field 'name' invalid"),
        (json!({ "name": "a", "run_list": "b" }), "Field 'run_list' is not a valid run list"),
        (
            json!({ "name": "a", "run_list": ["recipe["] }),
            "Field 'run_list' is not a valid run list",
        ),
        (json!({ "name": "a", "normal": [] }), "Field 'normal' is not a hash"),
        (json!({ "name": "a", "color": 1 }), "Invalid key color in request body"),
        (json!({ "name": "a", "json_class": "x" }), "Field 'json_class' invalid"),
        (json!([]), "Incorrect JSON type for request body"),
    ] {
        let answer = server.ask(node("web"), "POST", "/nodes", &body)?;
        assert_eq!((answer.status, answer.error()), (400, text), "{body}");
    }
    // The node first: once the client is gone, nothing can sign.
    assert_eq!(server.ask(node("web"), "DELETE", "/nodes/web", &Value::Null)?.status, 200);
    let gone = server.ask(node("web"), "DELETE", "/clients/web", &Value::Null)?;
    assert_eq!((gone.status, &gone.body["name"]), (200, &json!("web")));
    assert_eq!(server.ask(node("web"), "GET", "/clients/web", &Value::Null)?.status, 401);
    Ok(())
}

#[test]
fn bodies_of_clients_are_judged_and_keys_are_changed() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start("")?;
    let first = As { version: "1", ..VALIDATOR };
    let name = "Malformed client name.  Must be A-Z, a-z, 0-9, _, -, or .";
    let name = format!("Invalid client name 'a b' using regex: '{name}'.");
    let both = "You must specify either create_key or public_key, but not both";
    for (who, body, text) in [
        (VALIDATOR, json!({}), "Field 'name' missing"),
        (VALIDATOR, json!({ "name": "a b" }), name.as_str()),
        (VALIDATOR, json!({ "name": "a", "clientname": "b" }), "name and clientname must match"),
        (first, json!({ "name": "a", "public_key": "x" }), "Public Key must be a valid key."),
        (first, json!({ "name": "a", "public_key": "x", "create_key": true }), both),
    ] {
        let answer = server.ask(who, "POST", "/clients", &body)?;
        assert_eq!((answer.status, answer.error()), (400, text), "{body}");
    }
    let made =
        server.ask(first, "POST", "/clients", &json!({ "name": "a", "create_key": true }))?;
    let private = made.body["chef_key"]["private_key"].as_str().ok_or("no key")?;
    server.scratch.write("7.pem", private)?;
    let me = As { user: "a", key: 7, version: "1", ..VALIDATOR };
    let keys = server.ask(me, "GET", "/clients/a/keys", &Value::Null)?;
    assert_eq!(keys.body[0]["name"], "default");
    let key = json!({ "public_key": openssl::public_key("rsa", openssl::key(1))? });
    let old = server.ask(me, "PUT", "/clients/a", &key)?;
    assert!(old.error().starts_with("Since Server API v1"), "{}", old.body);
    assert_eq!(server.ask(me, "PUT", "/clients/a/keys/default", &key)?.status, 200);
    assert_eq!(server.ask(me, "GET", "/clients/a", &Value::Null)?.status, 401, "the old key");
    assert_eq!(server.ask(node("a"), "GET", "/clients/a", &Value::Null)?.status, 200);
    let calls = format!("{:?}", server.emulator.calls());
    assert!(!calls.contains("PRIVATE KEY"), "keys that were made are not kept in the record");
    Ok(())
}

/// What AWS's API has associated is a client, and the starter kit's key is the administrator's.
#[test]
fn the_accounts_nodes_and_keys_work_there() -> Outcome {
    if !has_library() {
        return Ok(());
    }
    let server = Server::start(",organization=web")?;
    let key = openssl::public_key("rsa", openssl::key(1))?;
    let attributes = json!([
        { "Name": "CHEF_ORGANIZATION", "Value": "web" },
        { "Name": "CHEF_NODE_PUBLIC_KEY", "Value": key },
    ]);
    let mut body =
        json!({ "ServerName": "chef", "NodeName": "app", "EngineAttributes": attributes });
    assert_eq!(client::call(&server.emulator, "AssociateNode", &body)?.status, 200);
    let path = "/organizations/web/clients/app";
    assert_eq!(server.ask(node("app"), "GET", path, &Value::Null)?.status, 200);
    assert_eq!(server.ask(node("app"), "GET", "/clients/app", &Value::Null)?.status, 401);
    body["EngineAttributes"] = json!([attributes[0]]);
    assert_eq!(client::call(&server.emulator, "DisassociateNode", &body)?.status, 200);
    assert_eq!(server.ask(node("app"), "GET", path, &Value::Null)?.status, 401);

    let change = json!({
        "ServerName": "chef", "AttributeName": "CHEF_PIVOTAL_KEY",
        "AttributeValue": openssl::public_key("rsa", openssl::key(1))?,
    });
    let changed = client::call(&server.emulator, "UpdateServerEngineAttributes", &change)?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let all = server.ask(node("pivotal"), "GET", "/clients", &Value::Null)?;
    assert_eq!(all.status, 200, "{}", all.body);
    assert!(all.body["default-validator"].is_string(), "{}", all.body);
    Ok(())
}

#[test]
fn anybody_can_ask_for_versions_and_status_and_the_validator_is_made_on_request() -> Outcome {
    let server = Server::start("")?;
    let curl = Curl::new(&server.emulator, server.emulator.chef_url())?;
    let versions = curl.get("/server_api_version")?;
    assert_eq!(versions.json(), json!({ "min_api_version": 0, "max_api_version": 2 }));
    assert_eq!(curl.get("/_status")?.json()["status"], "pong");
    assert_eq!(curl.get("/organizations/default/clients")?.status, 400);
    assert_eq!(curl.get("/organizations/default/cookbooks")?.status, 404);
    let made = server.admin("POST", "/validator", &json!({}))?.json();
    assert_eq!(made["name"], "default-validator");
    let private = made["private_key"].as_str().unwrap_or_default();
    let public = openssl::public_key("rsa", private)?;
    let shown = server.admin("GET", "", &json!({}))?.json();
    assert_eq!(shown["clients"][0]["public_key"], public);
    let before = shown;
    let Server { emulator, scratch } = server;
    drop(emulator);
    let state = Some(scratch.path().join("state"));
    let emulator = Emulator::start(Options { state, ..shared_ca() })?;
    let again = Server { emulator, scratch };
    assert_eq!(again.admin("GET", "", &json!({}))?.json(), before, "it is kept");
    Ok(())
}
