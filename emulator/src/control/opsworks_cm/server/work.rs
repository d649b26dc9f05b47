//! What a server is busy with, and how that ends.

use crate::control::span::Due;

/// Something under way.
#[derive(Clone, Debug)]
pub struct Progress {
    pub work: Work,
    /// Whether it ends badly.
    pub fails: bool,
    pub due: Due,
}

/// What a server is busy with.
#[derive(Clone, Debug)]
pub enum Work {
    /// It becomes HEALTHY by itself: set by people and tests.
    Heal,
    /// CREATING.
    Create,
    /// BACKING_UP.
    Backup {
        id: String,
        /// The state before, and after.
        back_to: &'static str,
    },
    /// RESTORING.
    Restore { id: String },
    /// UNDER_MAINTENANCE.
    Maintain,
    /// MODIFYING.
    Modify {
        /// The new administrator's key, where that is what changes.
        pivotal_key: Option<Vec<u8>>,
        attribute: String,
        back_to: &'static str,
    },
    /// DELETING.
    Delete,
}
