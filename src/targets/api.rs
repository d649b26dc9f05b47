//! Requests and answers of all services, as the core passes them on. Each service defines its own, in
//! the terms of its API. The enums here only say which service it is.

use super::{chef_server, opsworks, opsworks_cm, puppet_server, ssm};
use crate::fault::{Fault, Kind};
use std::borrow::Cow;

/// What the core, the log and the host need to know of any request.
pub trait Call {
    /// The API's name of the action.
    fn action(&self) -> &'static str;
    /// The object of the request, for messages: `node n, server s`.
    fn on(&self) -> String;
    /// A part that must not be shown, even where an error of the service repeats it.
    fn secret(&self) -> Option<&str> {
        None
    }

    /// Whether its answer contains a secret. Then a malformed answer is not kept as evidence.
    fn answer_is_secret(&self) -> bool {
        false
    }

    /// Whether it is the creating call, where `reconcile` makes it. It is counted before it is made.
    fn creates(&self) -> bool {
        false
    }

    /// What to do if the service refuses it.
    fn if_refused(&self) -> Cow<'static, str> {
        IF_REFUSED.into()
    }
}

/// What to do if a service refuses a request, where nothing more is known.
pub const IF_REFUSED: &str =
    "correct what the service's error message names, then run the command again";

/// A request to one of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    OpsworksCm(opsworks_cm::api::Request),
    OpsworksStacks(opsworks::api::Request),
    SystemsManager(ssm::api::Request),
    PuppetCa(puppet_server::api::Request),
    ChefServer(chef_server::api::Request),
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    OpsworksCm(opsworks_cm::api::Answer),
    OpsworksStacks(opsworks::api::Answer),
    SystemsManager(ssm::api::Answer),
    PuppetCa(puppet_server::api::Answer),
    ChefServer(chef_server::api::Answer),
    /// The result of [`super::Question::Sign`].
    Signature(super::Signature),
}

impl Request {
    /// The request, as every service has it.
    #[must_use]
    pub fn call(&self) -> &dyn Call {
        match self {
            Self::OpsworksCm(request) => request,
            Self::OpsworksStacks(request) => request,
            Self::SystemsManager(request) => request,
            Self::PuppetCa(request) => request,
            Self::ChefServer(request) => request,
        }
    }
}

/// The answers that belong to one service.
pub trait ServiceAnswer: Sized {
    fn of(answer: &Answer) -> Option<&Self>;
}

/// The answers as those of one service, without the signatures. A target calls only one service.
///
/// # Errors
/// `Invariant` where one belongs to another service.
pub fn of_service<A: ServiceAnswer>(answers: &[Answer]) -> Result<Vec<&A>, Fault> {
    let answers = answers.iter().filter(|answer| !matches!(answer, Answer::Signature(_)));
    let all = answers.map(A::of).collect::<Option<Vec<&A>>>();
    all.ok_or_else(|| invariant("an answer belongs to another service"))
}

macro_rules! service {
    ($variant:ident, $module:ident) => {
        impl From<$module::api::Request> for Request {
            fn from(request: $module::api::Request) -> Self {
                Self::$variant(request)
            }
        }

        impl From<$module::api::Answer> for Answer {
            fn from(answer: $module::api::Answer) -> Self {
                Self::$variant(answer)
            }
        }

        impl ServiceAnswer for $module::api::Answer {
            fn of(answer: &Answer) -> Option<&Self> {
                match answer {
                    Answer::$variant(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    };
}

service!(OpsworksCm, opsworks_cm);
service!(OpsworksStacks, opsworks);
service!(SystemsManager, ssm);
service!(PuppetCa, puppet_server);
service!(ChefServer, chef_server);

/// The fault where an answer is of another action than this one.
pub(crate) fn mismatch(action: &str) -> Fault {
    invariant(&format!("the answer to {action} belongs to another action"))
}

pub(crate) fn invariant(what: &str) -> Fault {
    Fault::new(Kind::Invariant, what, "the target", "this is a bug in enlist; please report it")
}
