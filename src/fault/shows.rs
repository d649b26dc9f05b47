//! What a fault shows beyond its message.

use super::Fault;

/// What a fault shows of this node's membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// No creating call has taken effect, those in doubt included.
    NothingCreated,
    /// The creating call may have taken effect, and making it again does no harm and shows whether it did.
    MayRepeat,
    /// The key is lost with which this node proves who it is.
    KeyLost,
    /// The authority gives nothing new, and what this node has is good.
    NothingNew,
}

impl Fault {
    /// Notes that the authority only gives nothing new: what this node has is good.
    #[must_use]
    pub fn nothing_new(mut self) -> Self {
        self.detail.shows = Some(Shows::NothingNew);
        self
    }
}
