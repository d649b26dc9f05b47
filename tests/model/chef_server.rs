//! The reference model of a Chef server: whose key the client of the node's name has, and whether
//! there is a node object.

use enlist::bootstrap::{Signing, SigningKeyPlace};
use enlist::targets::Signature;
use enlist::targets::chef_server::api::{Action, Answer, Request, Signed, Unauthenticated};

use super::Fate;
use super::world::{KEY, NAME};

const VALIDATOR: &str = "o-validator";

#[derive(Default)]
pub struct ChefServer {
    has_client: bool,
    has_node: bool,
    /// Whether it words all refusals of a signature alike, as goiardi.
    is_terse: bool,
}

impl ChefServer {
    pub fn new(is_terse: bool) -> Self {
        Self { is_terse, ..Self::default() }
    }

    pub fn answer(&mut self, request: &Request, fate: Fate) -> Answer {
        let user = request.signed.as_ref().map(|signed| read(request, signed));
        if user == Some(NAME.to_owned()) && fate == Fate::Forgotten && !self.has_node {
            // An admin deletes the client.
            self.has_client = false;
        }
        if user == Some(NAME.to_owned()) && !self.has_client {
            let terse = Unauthenticated::Unclear;
            let reason = if self.is_terse { terse } else { Unauthenticated::NoSuchClient };
            return Answer::Unauthenticated(reason, "no".to_owned());
        }
        match &request.action {
            Action::GetVersions => Answer::Versions((!self.is_terse).then_some((0, 2))),
            Action::CreateClient { name, body } => {
                assert_eq!((name.as_str(), user.as_deref()), (NAME, Some(VALIDATOR)));
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                assert_eq!(body["public_key"].as_str(), Some(KEY.to_pem().as_str()));
                if std::mem::replace(&mut self.has_client, true) {
                    return Answer::Taken;
                }
                Answer::Created
            }
            Action::GetClient { .. } => {
                Answer::Client { name: Some(NAME.to_owned()), public_key: Some(KEY.to_pem()) }
            }
            Action::CreateNode { .. } if std::mem::replace(&mut self.has_node, true) => {
                Answer::Taken
            }
            Action::CreateNode { .. } => Answer::Created,
            Action::GetNode { .. } => {
                assert!(self.has_node, "a node is looked at after it was taken");
                Answer::Node(format!("{{\"name\":\"{NAME}\"}}"))
            }
            Action::UpdateNode { body, .. } => {
                assert_eq!(body, &format!("{{\"name\":\"{NAME}\"}}"));
                Answer::Done
            }
            other => panic!("{other:?} in a join"),
        }
    }

    pub fn has_one_client(&self) {
        assert!(self.has_client && self.has_node);
    }
}

/// Who signs. The signature says what it is for.
fn read(request: &Request, signed: &Signed) -> String {
    let text = String::from_utf8(signed.signature.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let action = &request.action;
    assert_eq!(lines[0], format!("Method:{}", action.method()));
    assert_eq!(lines[1], format!("Path:{}", action.path(&request.url)));
    assert_eq!(lines[4], format!("X-Ops-Timestamp:{}", signed.time));
    assert_eq!(lines[5], format!("X-Ops-UserId:{}", signed.user));
    signed.user.clone()
}

/// A signature that shows what was signed, if the right key was asked for.
pub fn sign(Signing { key, bytes }: Signing) -> Signature {
    let text = String::from_utf8(bytes.clone()).unwrap();
    let by_validator = text.contains(&format!("X-Ops-UserId:{VALIDATOR}\n"));
    assert_eq!(by_validator, matches!(key, SigningKeyPlace::Secret(..)), "the wrong key signs");
    Signature { signature: bytes.clone(), bytes }
}
