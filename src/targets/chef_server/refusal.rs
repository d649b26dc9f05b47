//! What a Chef server has refused, and what to do. Its words are shown, and decide nothing here.

use super::api::words;
use super::url::ServerUrl;
use super::{ChefServer, ID, api};
use crate::fault::{Fault, Kind};
use crate::targets::{Target, mismatch};

/// The node's name is not allowed for a client.
pub fn name(name: &str, authority: &str) -> Fault {
    let todo = "set node.name to 1 to 255 letters, digits and . _ -, for example \"{instance_id}\" or \"{fqdn}\"";
    let on = format!("{name:?}, for {authority}");
    Fault::new(Kind::Config, "the node's name can't be the name of a Chef client", on, todo)
}

/// Another client or user has this name for good.
pub fn reserved_name(name: &str, authority: &str) -> Fault {
    let todo = "set node.name to a name that only this node has, for example \"{instance_id}\" or \"{fqdn}\"";
    let on = format!("{name:?}, for {authority}");
    let what = "the node's name is that of the validator, or of the server's administrator";
    Fault::new(Kind::Config, what, on, todo)
}

/// The URL of a server that has organizations names none.
pub fn no_organization(url: &ServerUrl) -> Fault {
    let todo = format!(
        "set url in [chef-server] to {url}/organizations/NAME, as chef_server_url in a client.rb of this server"
    );
    let what = "the URL names no organization, and this server has organizations";
    Fault::new(Kind::Config, what, url.to_string(), todo)
}

pub fn versions(oldest: i64, newest: i64, authority: &str) -> Fault {
    let todo = "update enlist, or the server";
    let what = "the server speaks no version of the API that enlist speaks";
    Fault::new(Kind::Protocol, what, authority, todo)
        .cause(format!("it speaks versions {oldest} to {newest}, and enlist 0 to 2"))
}

/// This node's clock shows a year that a signature can't have.
pub fn clock(unix: i64) -> Fault {
    let what = "this node's clock can't be right, so nothing can be signed";
    let todo = "set the clock (`timedatectl set-ntp true`)";
    Fault::new(Kind::Transient, what, format!("{unix} seconds since 1970"), todo).about_time()
}

/// The name was free, and is taken now: an earlier call of ours may have arrived. The client is looked
/// at next.
pub fn taken_meanwhile(authority: &str) -> Fault {
    let what = "the organization has a client of this name already";
    let todo = "nothing to do: enlist asks the server whether that client is this node";
    Fault::new(Kind::Transient, what, authority, todo).in_doubt().ends_as(Kind::Rejected)
}

/// What removes a node of this name and its client.
pub fn clean(name: &str) -> String {
    format!("run `{}` as an administrator", commands_to_clean(name))
}

fn commands_to_clean(name: &str) -> String {
    format!("knife node delete {name}; knife client delete {name}")
}

/// The client of this name has another key.
pub fn other_machine(name: &str, authority: &str, said: &str) -> Fault {
    let what = "the organization has a client of this name for another key";
    let todo = format!(
        "if this machine was rebuilt, or the other one is gone, run `knife client delete {name}; knife node delete {name}`, then `enlist join`; if both are there, set node.name to another name, for example \"{{instance_id}}\", then `enlist join`"
    );
    let on = format!("node {name}, {authority}");
    let fault = Fault::new(Kind::Rejected, what, on, todo).without_effect();
    if said.is_empty() { fault } else { fault.cause(words(said)) }
}

/// The server showed a client that is not this node's.
pub fn strange_client(name: &str, shown: Option<&str>, target: &ChefServer) -> Fault {
    let what = "the server showed another client than this node's";
    let on = on(name, target);
    let todo = "check that url in [chef-server] is a Chef server, and no proxy answers for it";
    let fault = Fault::new(Kind::Data, what, on, todo);
    fault.cause(format!("asked for {name:?}, shown {shown:?}, or another public key"))
}

/// A node object of this name belongs to somebody else.
pub fn stale_node(name: &str, target: &ChefServer, said: &str) -> Fault {
    let what = "the organization has a node of this name that this client may not change; chef-client would do its work and then fail to save the node";
    let todo = format!(
        "if it is left from an earlier machine, run `knife node delete {name}`, then `enlist join`; else run `enlist leave --target {ID}`, set node.name to another name, then `enlist join`"
    );
    Fault::new(Kind::Rejected, what, on(name, target), todo).cause(words(said))
}

/// The node object of a member is somebody else's to change.
pub fn unchangeable_node(name: &str, target: &ChefServer, commands: &str, said: &str) -> Fault {
    let what = "this client may not change its node object";
    let todo = if commands.is_empty() {
        "let it (`knife acl add client NAME nodes NAME update`), then `enlist join`".to_owned()
    } else {
        format!(
            "run `{commands}` as an administrator, and let the client change its node (`knife acl add client {name} nodes {name} update`), then `enlist join`"
        )
    };
    Fault::new(Kind::Denied, what, on(name, target), todo).cause(words(said)).finally()
}

/// The server does not accept the key of a member.
pub fn not_accepted(
    name: &str,
    target: &ChefServer,
    reason: api::Unauthenticated,
    said: &str,
) -> Fault {
    let what = "the server does not accept this node's key";
    let todo = format!(
        "run `enlist leave --target {ID} && enlist join --target {ID}`, after `{}` if the client has another key",
        commands_to_clean(name)
    );
    Fault::new(Kind::Rejected, what, on(name, target), todo)
        .cause(reason.to_string())
        .cause(words(said))
}

/// The node was there, and then it was not.
pub fn node_came_and_went(name: &str, target: &ChefServer) -> Fault {
    let what = "a node of this name was deleted while it was looked at";
    let todo = "nothing to do: enlist tries again";
    Fault::new(Kind::Transient, what, on(name, target), todo)
}

/// The server does not accept the key that was to sign for the new one. An earlier request may have arrived.
pub fn former_key(name: &str, target: &ChefServer, said: &str) -> Fault {
    let what = "the server does not accept the former key any more";
    let todo = "nothing to do: enlist looks which key the server has";
    let fault = Fault::new(Kind::Transient, what, on(name, target), todo).cause(words(said));
    fault.in_doubt().ends_as(Kind::Rejected)
}

/// The server accepts neither the new key nor the former one.
pub fn neither_key(name: &str, target: &ChefServer, said: &str) -> Fault {
    let what = "the server accepts neither the new key of this client nor the former one";
    let todo = format!(
        "the client was deleted, or somebody has given it another key: {}, then `enlist leave --target {ID} && enlist join --target {ID}`",
        clean(name)
    );
    let fault = Fault::new(Kind::Rejected, what, on(name, target), todo).without_effect();
    if said.is_empty() { fault } else { fault.cause(words(said)) }
}

/// The server has no place for keys.
pub fn no_keys(name: &str, target: &ChefServer) -> Fault {
    let what = "the server can't replace the key of a client";
    let todo = "take rotate_key out of [chef]: only a Chef Infra Server or Cinc Server of version 12.1 or later can";
    Fault::new(Kind::Config, what, on(name, target), todo)
}

/// The server does not take this key.
pub fn new_key(name: &str, target: &ChefServer, said: &str) -> Fault {
    let todo = "correct what the server's words name, such as key_bits in [chef]";
    Fault::new(Kind::Rejected, "the server has refused the new key", on(name, target), todo)
        .cause(words(said))
}

/// What a message is about.
fn on(name: &str, target: &ChefServer) -> String {
    format!("node {name}, {}", target.authority_name())
}

pub fn forbidden(action: &str, name: &str, target: &ChefServer, said: &str) -> Fault {
    let todo = "allow it in the server's permissions (`knife acl`); the group clients may create and read nodes, and a client may read, change and delete itself";
    Fault::new(Kind::Denied, format!("{action} was denied"), on(name, target), todo)
        .cause(words(said))
        .finally()
}

/// An answer to POST nodes that is neither "created" nor "taken".
pub fn of_node(answer: &api::Answer, name: &str, target: &ChefServer) -> Fault {
    let on = on(name, target);
    match answer {
        api::Answer::Forbidden(said) => {
            let todo = "let the group clients create nodes (`knife acl add group clients containers nodes create`), or set create_node = false in [chef-server]";
            Fault::new(Kind::Denied, "the client may not create its node", on, todo)
                .cause(words(said))
                .finally()
        }
        api::Answer::Refused(said) => {
            let todo = "correct run_list, environment, policy_name and policy_group in [chef], then `enlist join`";
            Fault::new(Kind::Rejected, "the server has refused the node object", on, todo)
                .cause(words(said))
        }
        _ => mismatch("POST nodes"),
    }
}

/// An answer to POST clients that is neither "created" nor "taken".
pub fn of_validator(answer: &api::Answer, target: &ChefServer) -> Fault {
    let (validator, authority) = (&target.validator_name, target.authority_name());
    let on = format!("{validator}, {authority}");
    match answer {
        api::Answer::Unauthenticated(reason, said) => {
            let todo = match reason {
                api::Unauthenticated::NoSuchClient => {
                    "check validator_name and the organization in url, in [chef-server]: a validator belongs to one organization (`knife client list`)"
                }
                api::Unauthenticated::OtherKey => {
                    "put the present key of the validator in the place of validator_key in [chef-server]: it was made anew since this one was handed out (`knife client key list NAME`)"
                }
                api::Unauthenticated::Unclear => {
                    "check validator_name, validator_key and url in [chef-server]: the validator must be of this organization, and the key its present one"
                }
            };
            Fault::new(Kind::Denied, "the server does not accept the validator", on, todo)
                .cause(reason.to_string())
                .cause(words(said))
                .finally()
        }
        api::Answer::Forbidden(said) => {
            let todo = "name a client or user in validator_name that may create clients in this organization: its validator";
            let what = "the validator may not create clients here";
            Fault::new(Kind::Denied, what, on, todo).cause(words(said)).finally()
        }
        api::Answer::Refused(said) => {
            let todo = "correct what the server's words name, then `enlist join`";
            Fault::new(Kind::Rejected, "the server has refused the client", authority, todo)
                .cause(words(said))
        }
        _ => mismatch("POST clients"),
    }
}
