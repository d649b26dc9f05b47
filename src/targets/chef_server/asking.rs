//! Signed requests: each is signed first, and sent with the signature.

use serde_json::json;

use super::api::{self, Action};
use super::signature::{self, Signer};
use super::{ChefServer, VALIDATOR_KEY, refusal, version_of};
use crate::engines::{Authority, NodeContext};
use crate::fault::Fault;
use crate::targets::api::of_service;
use crate::targets::{Answer, Question, SigningKey, Target, ToSign};

impl ChefServer {
    /// Asks with a signature of the validator.
    pub(super) fn ask_to_create<T>(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<T>, Fault> {
        let version = version_of(node.authority);
        let public_key = node.key()?.public.to_pem();
        // Version 0 has `admin`, later ones do not.
        let body = match version {
            0 => json!({ "name": node.name, "admin": false, "public_key": public_key }),
            _ => json!({ "name": node.name, "public_key": public_key }),
        };
        let action = Action::CreateClient { name: node.name.to_owned(), body: body.to_string() };
        let with =
            SigningKey::Secret { source: self.validator_key.clone(), setting: VALIDATOR_KEY };
        self.ask_signed(Signer { user: &self.validator_name, version }, with, action, answers, unix)
    }

    /// Asks with a signature of the node that joins.
    pub(super) fn ask_as_node<T>(
        &self,
        node: &NodeContext<'_>,
        action: Action,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<T>, Fault> {
        self.ask_as_client(SigningKey::Node, node.name, node.authority, action, answers, unix)
    }

    /// Asks with a signature of the client of this name.
    pub(super) fn ask_as_client<T>(
        &self,
        with: SigningKey,
        name: &str,
        authority: &Authority,
        action: Action,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<T>, Fault> {
        let signer = Signer { user: name, version: self.agreed(authority, answers)? };
        self.ask_signed(signer, with, action, answers, unix)
    }

    /// The version of the join. A server that does not speak it any more says which ones it speaks.
    fn agreed(&self, authority: &Authority, answers: &[Answer]) -> Result<u8, Fault> {
        let all = of_service(answers)?;
        let mut said = all.into_iter().filter_map(|answer| match answer {
            api::Answer::Versions(versions) => *versions,
            _ => None,
        });
        match (said.next(), said.next()) {
            (None, _) => Ok(version_of(authority)),
            (Some(versions), None) => self.spoken(versions),
            (Some(_), Some((oldest, newest))) => {
                Err(refusal::versions(oldest, newest, &self.authority_name()))
            }
        }
    }

    /// Asks, if the last answer is the signature of this call; else has the call signed.
    pub(super) fn ask_signed<T>(
        &self,
        signer: Signer<'_>,
        with: SigningKey,
        action: Action,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<T>, Fault> {
        if let Some(Answer::Signature(signature)) = answers.last()
            && let Some(signed) = signature::of_call(signature, &self.url, &action, signer, unix)
        {
            return Ok(Question::Ask(self.request(action, Some(signed))));
        }
        let time = signature::time(unix).ok_or_else(|| refusal::clock(unix))?;
        let bytes = signature::text(&self.url, &action, signer, &time).into_bytes();
        Ok(Question::Sign(ToSign { with, bytes }))
    }
}

/// The answers to what was asked, without those that only say which versions the server speaks.
pub(super) fn told(answers: &[Answer]) -> Result<Vec<&api::Answer>, Fault> {
    let mut all: Vec<&api::Answer> = of_service(answers)?;
    all.retain(|answer| !matches!(answer, api::Answer::Versions(_)));
    Ok(all)
}
