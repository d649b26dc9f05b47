//! What a server is busy with, and how that ends.

use crate::control::span::Due;
use crate::control::table::Word;
use serde::{Deserialize, Serialize};

/// Something under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    pub work: Work,
    /// Whether it ends badly.
    pub fails: bool,
    pub due: Due,
}

/// What a server is busy with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// It becomes HEALTHY by itself: set by people and tests.
    Heal,
    /// CREATING.
    Create,
    /// BACKING_UP.
    Backup {
        id: String,
        /// The state before, and after.
        #[serde(deserialize_with = "crate::control::table::word::deserialize")]
        back_to: Word,
    },
    /// RESTORING.
    Restore { id: String },
    /// UNDER_MAINTENANCE.
    Maintain,
    /// MODIFYING.
    Modify {
        /// The new administrator's key, where that is what changes.
        #[serde(with = "crate::control::table::bytes::optional")]
        pivotal_key: Option<Vec<u8>>,
        attribute: String,
        #[serde(deserialize_with = "crate::control::table::word::deserialize")]
        back_to: Word,
    },
    /// DELETING.
    Delete,
}
