//! A new key for the client of a member.
//!
//! The former key signs for the new one. It stays installed until the server has shown that it accepts the
//! new one. After a lost reply, the new key asks first, then the former one: exactly one of them is accepted.

use serde_json::json;

use super::api::{self, Action};
use super::asking::told;
use super::signature::Signer;
use super::{ChefServer, refusal, version_of};
use crate::engines::{Grant, NodeContext};
use crate::fault::Fault;
use crate::targets::api::of_service;
use crate::targets::{Answer, Created, Decision, Question, Reconciled, SigningKey, mismatch};

/// The version of the API in which a key is changed by itself.
const KEYS_VERSION: u8 = 1;

/// Which key the server accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepted {
    New,
    Former,
}

impl ChefServer {
    pub(super) fn ask_for_new_key<T>(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<T>, Fault> {
        let body = json!({
            "name": "default",
            "public_key": node.key()?.public.to_pem(),
            "expiration_date": "infinity",
        });
        let action = Action::UpdateKey { name: node.name.to_owned(), body: body.to_string() };
        let version = version_of(node.authority).max(KEYS_VERSION);
        let signer = Signer { user: node.name, version };
        self.ask_signed(signer, SigningKey::Former, action, answers, unix)
    }

    /// The ticket says that the key was sent: the server shows next whether it accepts it.
    pub(super) fn key_sent(
        &self,
        node: &NodeContext<'_>,
        answer: &Answer,
    ) -> Result<Created, Fault> {
        use api::Answer::{Done, Forbidden, Missing, Refused, Unauthenticated};
        match of_service(std::slice::from_ref(answer))?.as_slice() {
            [Done] => Ok(Created::Ticket("key".to_owned())),
            // An earlier request may have arrived late.
            [Unauthenticated(_, said)] => Err(refusal::former_key(node.name, self, said)),
            [Forbidden(said)] => Err(refusal::forbidden("PUT keys", node.name, self, said)),
            [Missing] => Err(refusal::no_keys(node.name, self)),
            [Refused(said)] => Err(refusal::new_key(node.name, self, said)),
            _ => Err(mismatch("PUT keys")),
        }
    }

    pub(super) fn key_reconciled(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        Ok(self.accepted(node, answers, unix)?.map(|key| match key {
            Accepted::New => Reconciled::Granted(Grant::Client),
            Accepted::Former => Reconciled::CallAgain,
        }))
    }

    pub(super) fn key_decided(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        Ok(self.accepted(node, answers, unix)?.map(|key| match key {
            Accepted::New => Decision::Granted(Grant::Client),
            Accepted::Former => Decision::Forgotten,
        }))
    }

    /// Which key the server accepts: it shows the client to the holder of its key alone.
    fn accepted(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Accepted>, Fault> {
        use api::Answer::{Client, Forbidden, Missing, Unauthenticated};
        let look = |with| {
            let action = Action::GetClient { name: node.name.to_owned() };
            self.ask_as_client(with, node.name, node.authority, action, answers, unix)
        };
        match told(answers)?.as_slice() {
            [] => look(SigningKey::Node),
            [Client { name, public_key }] => {
                self.check_client(node, name.as_deref(), public_key.as_deref())?;
                Ok(Question::Done(Accepted::New))
            }
            [Unauthenticated(..)] => look(SigningKey::Former),
            [_, Client { name, .. }] if name.as_deref() == Some(node.name) => {
                Ok(Question::Done(Accepted::Former))
            }
            [.., Client { name, .. }] => {
                Err(refusal::strange_client(node.name, name.as_deref(), self))
            }
            [_, Unauthenticated(_, said)] => Err(refusal::neither_key(node.name, self, said)),
            [.., Missing] => Err(refusal::neither_key(node.name, self, "")),
            [.., Forbidden(said)] => Err(refusal::forbidden("GET clients", node.name, self, said)),
            _ => Err(mismatch("GET clients")),
        }
    }
}
