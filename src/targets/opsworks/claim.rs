//! Finds the instance of a stack that belongs to this node. Only a proof counts: another host may have
//! the same host name and address (decision 0003).

use super::api::Instance;
use crate::engines::opsworks_agent::OpsworksSite;
use crate::fault::{Fault, Kind};

/// By what this node recognises its own instance.
#[derive(Clone, Debug, Default)]
pub struct OwnIdentity {
    /// The EC2 instance id, where the node registers as an EC2 instance.
    pub ec2: Option<String>,
    /// SHA-1 of its public key.
    pub fingerprint: Option<String>,
    /// The earlier registration in the agent's file.
    pub file: Option<OpsworksSite>,
    pub hostname: String,
    pub private_ip: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    None,
    /// The id of this node's instance.
    Proven(Option<&'a str>),
    /// Instances that may be this node's, without a proof.
    Unproven(Vec<&'a Instance>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Proven,
    Unproven,
    Other,
}

pub fn find<'a>(instances: &'a [Instance], own: &OwnIdentity) -> Found<'a> {
    let with = |wanted| instances.iter().filter(move |one| claim(one, own) == wanted);
    if let Some(instance) = with(Claim::Proven).next() {
        return Found::Proven(instance.id.as_deref());
    }
    let unproven: Vec<&Instance> = with(Claim::Unproven).collect();
    if unproven.is_empty() { Found::None } else { Found::Unproven(unproven) }
}

fn claim(instance: &Instance, own: &OwnIdentity) -> Claim {
    let is_named_in_file = own.file.as_ref().is_some_and(|file| {
        file.instance.is_some() && file.instance.as_deref() == instance.id.as_deref()
    });
    let is_same_host = match (&own.ec2, &instance.ec2_instance_id) {
        (Some(own), Some(theirs)) => own == theirs,
        (None, None) => looks_alike(instance, own),
        // One side is not an EC2 instance, or the list does not say so.
        _ => false,
    };
    // Where both keys are known, they decide: no other host has this node's key.
    if let (Some(ours), Some(theirs)) = (&own.fingerprint, &instance.fingerprint) {
        let theirs = theirs.replace(':', "");
        return match ours.eq_ignore_ascii_case(&theirs) {
            true => Claim::Proven,
            // This host's instance with a key that is lost: not usable, and not another host's.
            false if own.ec2.is_some() && is_same_host => Claim::Unproven,
            false if is_named_in_file => Claim::Unproven,
            false => Claim::Other,
        };
    }
    match &own.file {
        // The node was registered before: with its present key, or with one that is lost.
        Some(file) if is_named_in_file => {
            let has_our_key = file.fingerprint.is_some() && file.fingerprint == own.fingerprint;
            if has_our_key && is_same_host { Claim::Proven } else { Claim::Unproven }
        }
        // EC2 guarantees the instance id. Without the file, no other key is known to have been used.
        None if own.ec2.is_some() && is_same_host => Claim::Proven,
        _ if is_same_host => Claim::Unproven,
        _ => Claim::Other,
    }
}

/// On premises: whether host name and private address are equal. The service returns lower case.
fn looks_alike(instance: &Instance, own: &OwnIdentity) -> bool {
    let theirs = instance.hostname.as_deref().unwrap_or_default();
    own.hostname.eq_ignore_ascii_case(theirs)
        && (own.private_ip.is_none() || instance.private_ip == own.private_ip)
}

/// The fault where nothing proves which instance is this node's: what was found, and what an operator
/// does in either case.
pub fn unproven(found: &[&Instance], own: &OwnIdentity, next: &str, stack: String) -> Fault {
    let id = found.first().and_then(|one| one.id.as_deref()).unwrap_or("INSTANCE-ID");
    let id = if super::is_id(id) { id } else { "INSTANCE-ID" };
    let (id, mine, other) = match found {
        [_] => (id, "it is this node's", "it is another host's"),
        _ => ("INSTANCE-ID", "one of them is this node's", "they are other hosts'"),
    };
    let deregister =
        format!("if {mine}, `aws opsworks deregister-instance --instance-id {id}`, then `{next}`");
    let otherwise = match (&own.file, next) {
        (Some(_), _) => {
            let file = crate::engines::opsworks_agent::agent_file().path;
            format!(
                "if {other}, `mv {file} {file}.former`, set hostname in [opsworks] to a name of this node's own, then `{next}`"
            )
        }
        (None, "enlist join") => {
            format!(
                "if {other}, set hostname in [opsworks] to a name of this node's own, then `enlist join`"
            )
        }
        (None, _) => {
            let record = format!("{}/record.json", crate::targets::state_dir(super::ID));
            format!("if {other}, this node is not registered: `rm {record}`")
        }
    };
    let what = "an instance of the stack may belong to this node, and nothing proves it";
    let fault = Fault::new(Kind::Rejected, what, stack, format!("{deregister}; {otherwise}"));
    found.iter().take(5).fold(fault, |fault, one| fault.cause(describe(one)))
}

/// The instance, for a message. The values come from outside, so they are quoted.
fn describe(instance: &Instance) -> String {
    let text = |value: &Option<String>| match value {
        Some(value) => format!("{value:?}"),
        None => "unknown".to_owned(),
    };
    let mut parts = vec![
        format!("instance {}", text(&instance.id)),
        format!("host name {}", text(&instance.hostname)),
        format!("private address {}", text(&instance.private_ip)),
        format!("public address {}", text(&instance.public_ip)),
        format!("created {}", text(&instance.created_at)),
    ];
    if instance.ec2_instance_id.is_some() {
        parts.push(format!("EC2 instance {}", text(&instance.ec2_instance_id)));
    }
    if instance.fingerprint.is_some() {
        parts.push(format!("key {}", text(&instance.fingerprint)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Found, OwnIdentity, find};
    use crate::engines::opsworks_agent::OpsworksSite;
    use crate::targets::opsworks::api::Instance;

    const ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
    const OTHER_ID: &str = "1f0e0d0c-0b0a-4908-8706-050403020100";

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    fn instance(ec2: &str, hostname: &str, address: &str, key: &str) -> Instance {
        Instance {
            id: some(ID),
            ec2_instance_id: some(ec2),
            hostname: some(hostname),
            private_ip: some(address),
            fingerprint: some(key),
            ..Instance::default()
        }
    }

    /// A node with the key `k`, called web1, at 10.0.0.8.
    fn own(ec2: &str) -> OwnIdentity {
        OwnIdentity {
            ec2: some(ec2),
            fingerprint: some("k"),
            file: None,
            hostname: "web1".to_owned(),
            private_ip: some("10.0.0.8"),
        }
    }

    fn with_file(ec2: &str, id: &str, key: &str) -> OwnIdentity {
        let file = OpsworksSite { instance: some(id), fingerprint: some(key) };
        OwnIdentity { file: Some(file), ..own(ec2) }
    }

    fn word(instance: &Instance, own: &OwnIdentity) -> &'static str {
        match find(std::slice::from_ref(instance), own) {
            Found::None => "other",
            Found::Proven(_) => "proven",
            Found::Unproven(_) => "unproven",
        }
    }

    #[test]
    fn a_key_or_an_ec2_id_is_a_proof_and_name_and_address_are_not() {
        assert_eq!(word(&instance("", "web1", "10.0.0.8", ""), &own("")), "unproven");
        assert_eq!(word(&instance("", "WEB1", "10.0.0.8", ""), &own("")), "unproven");
        assert_eq!(word(&instance("", "web1", "10.0.0.9", ""), &own("")), "other");
        assert_eq!(word(&instance("", "web2", "10.0.0.8", ""), &own("")), "other");
        assert_eq!(word(&instance("", "web1", "10.0.0.8", "k"), &own("")), "proven");
        assert_eq!(word(&instance("", "web1", "10.0.0.8", "K"), &own("")), "proven");
        assert_eq!(word(&instance("", "web2", "10.0.0.9", "k"), &own("")), "proven", "it moved");
        assert_eq!(word(&instance("", "web1", "10.0.0.8", "l"), &own("")), "other");
        assert_eq!(word(&instance("i-1", "web2", "", ""), &own("i-1")), "proven");
        assert_eq!(word(&instance("i-2", "web1", "10.0.0.8", ""), &own("i-1")), "other");
        assert_eq!(
            word(&instance("i-1", "web1", "", "l"), &own("i-1")),
            "unproven",
            "a former key"
        );
        assert_eq!(word(&instance("i-2", "web1", "10.0.0.8", ""), &own("")), "other");
        assert_eq!(word(&instance("", "web1", "10.0.0.8", ""), &own("i-1")), "other");
    }

    #[test]
    fn a_file_is_a_proof_with_the_present_key_on_the_listed_host() {
        let list = instance("", "web1", "10.0.0.8", "");
        assert_eq!(word(&list, &with_file("", ID, "k")), "proven");
        assert_eq!(word(&list, &with_file("", ID, "l")), "unproven", "its key is lost");
        assert_eq!(word(&list, &with_file("", ID, "")), "unproven");
        assert_eq!(word(&list, &with_file("", OTHER_ID, "k")), "unproven");
        assert_eq!(word(&list, &with_file("", "", "")), "unproven");
        let elsewhere = instance("", "web2", "10.0.0.9", "");
        assert_eq!(word(&elsewhere, &with_file("", ID, "k")), "unproven", "a copied disk");
        assert_eq!(word(&elsewhere, &with_file("", OTHER_ID, "k")), "other");
        let ec2 = instance("i-1", "web1", "10.0.0.8", "");
        assert_eq!(word(&ec2, &with_file("i-1", ID, "k")), "proven");
        assert_eq!(word(&ec2, &with_file("i-2", ID, "k")), "unproven", "the original's");
        assert_eq!(word(&ec2, &with_file("i-1", OTHER_ID, "k")), "unproven");
        assert_eq!(word(&instance("i-1", "", "", "k"), &with_file("i-1", OTHER_ID, "l")), "proven");
    }

    #[test]
    fn the_proven_instance_is_taken_from_several() {
        let mut list = vec![instance("", "web1", "10.0.0.8", ""); 3];
        list[2].fingerprint = some("k");
        list[2].id = some(OTHER_ID);
        assert_eq!(find(&list, &own("")), Found::Proven(Some(OTHER_ID)));
        list.pop();
        assert!(matches!(find(&list, &own("")), Found::Unproven(found) if found.len() == 2));
        assert_eq!(find(&[], &own("")), Found::None);
    }

    #[test]
    fn a_command_gives_the_instance_id_only_of_a_single_instance() {
        let list = vec![instance("", "web1", "10.0.0.8", ""); 2];
        let todo = |found: &[&Instance]| {
            super::unproven(found, &own(""), "enlist join", "stack".to_owned()).todo.clone()
        };
        assert!(todo(&[&list[0]]).starts_with(&format!(
            "if it is this node's, `aws opsworks deregister-instance --instance-id {ID}`"
        )));
        let several = todo(&[&list[0], &list[1]]);
        assert!(several.contains("if one of them is this node's"), "{several}");
        assert!(several.contains("--instance-id INSTANCE-ID`"), "{several}");
    }
}
