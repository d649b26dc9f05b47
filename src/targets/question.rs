//! The next step of a question to an authority, and what is signed for it.

use super::Request;
use crate::secret::SecretSource;

/// The next step of a question, given the answers so far. A question may need several calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question<T> {
    /// Makes this call. Its result is the next answer.
    Ask(Request),
    /// Makes this call after a wait. Its result replaces the last answer.
    AskLater(Request),
    /// Has bytes signed. The signature is the next answer.
    Sign(ToSign),
    /// The result.
    Done(T),
}

impl<T> Question<T> {
    /// The same step, with another result.
    pub fn map<U>(self, result: impl FnOnce(T) -> U) -> Question<U> {
        match self {
            Self::Ask(request) => Question::Ask(request),
            Self::AskLater(request) => Question::AskLater(request),
            Self::Sign(to_sign) => Question::Sign(to_sign),
            Self::Done(found) => Question::Done(result(found)),
        }
    }
}

/// Bytes to be signed (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017), and with which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSign {
    pub with: SigningKey,
    pub bytes: Vec<u8>,
}

/// A private key. It does not leave the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The node's own.
    Node,
    /// The node's own, which a renewal is replacing.
    Former,
    /// A key of the settings.
    Secret {
        source: SecretSource,
        /// The setting that says where it is, for messages: `validator_key in [chef-server]`.
        setting: &'static str,
    },
}

/// A signature, and what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub bytes: Vec<u8>,
    pub signature: Vec<u8>,
}
