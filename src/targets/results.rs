//! What the questions to an authority result in.

use super::{Request, ToSign};
use crate::engines::Grant;
use crate::secret::Secret;

/// How the node asks for its membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Call(Request),
    /// Something has to be signed first.
    Sign(ToSign),
    /// No call is needed: the settings give the grant of a call that was made elsewhere.
    Given(Grant),
}

/// The meaning of the answer to the creating call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The authority decides later. It is polled with this ticket.
    Ticket(String),
    /// The grant, and a secret that came with it. The secret is kept only in memory.
    Granted(Grant, Option<Secret>),
}

/// The result of `reconcile`: what became of a creating call whose reply was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It took effect, with this grant.
    Granted(Grant),
    /// It took effect, and the authority has still to decide; it is asked with this ticket.
    Pending(String),
    /// It had no effect, or making it again is safe.
    CallAgain,
}

/// The authority's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Granted(Grant),
    /// The authority does not know the ticket any more. The creating call is made again.
    Forgotten,
}
