//! Requests and answers as the core passes them on. Each service has its own, in the terms of its
//! API; here they are only told apart by service.

use super::{invariant, opsworks, opsworks_cm, ssm};
use crate::fault::Fault;

/// What the core, the log and the host want to know of any request.
pub trait Call {
    /// The API's name of the action.
    fn action(&self) -> &'static str;
    /// What it is asked about, for messages.
    fn on(&self) -> String;
    /// What of it must not be shown, should an error repeat it.
    fn secret(&self) -> Option<&str> {
        None
    }

    /// Whether its answer holds a secret: then nothing of a broken one is kept as evidence.
    fn answer_is_secret(&self) -> bool {
        false
    }

    /// What to do where the service refuses it.
    fn if_refused(&self) -> &'static str {
        IF_REFUSED
    }
}

/// What to do where a service refuses a request and nothing more is known.
pub const IF_REFUSED: &str = "correct what the service's reason names";

/// A request to one of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    OpsworksCm(opsworks_cm::api::Request),
    OpsworksStacks(opsworks::api::Request),
    SystemsManager(ssm::api::Request),
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    OpsworksCm(opsworks_cm::api::Answer),
    OpsworksStacks(opsworks::api::Answer),
    SystemsManager(ssm::api::Answer),
    /// What the node's key signed.
    Signature(Vec<u8>),
}

impl Request {
    fn call(&self) -> &dyn Call {
        match self {
            Self::OpsworksCm(request) => request,
            Self::OpsworksStacks(request) => request,
            Self::SystemsManager(request) => request,
        }
    }
}

impl Call for Request {
    fn action(&self) -> &'static str {
        self.call().action()
    }

    fn on(&self) -> String {
        self.call().on()
    }

    fn secret(&self) -> Option<&str> {
        self.call().secret()
    }
}

/// The answers that belong to one service.
pub trait ServiceAnswer: Sized {
    fn of(answer: &Answer) -> Option<&Self>;
}

/// A target's answers, as its own service's. A target asks one service, so they all are.
///
/// # Errors
/// `Invariant` where one is another service's.
pub fn own<A: ServiceAnswer>(answers: &[Answer]) -> Result<Vec<&A>, Fault> {
    let own = answers.iter().map(A::of).collect::<Option<Vec<&A>>>();
    own.ok_or_else(|| invariant("an answer is another service's"))
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
