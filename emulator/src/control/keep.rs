//! What of the account is written down, so that another run can go on with it: the tables of the
//! services, and what identifiers and calls are counted from.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table::{Change, Kept, RowError};
use super::{ControlPlane, ControlSettings};
use crate::ca::{Authority, KeptCa, Unable};
use crate::now::Now;
use crate::random::Random;

/// The table of the one row that is no service's, and its key.
const ACCOUNT: &str = "account";
const COUNTERS: &str = "\"counters\"";

#[derive(Serialize, Deserialize)]
struct Counters {
    random: u64,
    opsworks_cm_calls: u64,
}

impl ControlPlane {
    /// Notes changes from here on, for [`take_changes`](Self::take_changes).
    pub fn note_changes(&mut self) {
        self.notes_changes = true;
        self.each_table(|_, table| table.note_changes());
    }

    /// What has changed since this was last asked, in the order in which it can be applied.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.replaced);
        if self.notes_changes {
            self.each_table(|name, table| table.take_changes(name, &mut changes));
        }
        if !changes.is_empty() {
            changes.push(self.counters());
        }
        changes
    }

    /// Everything, as changes of an empty account.
    pub fn all_rows(&mut self) -> Vec<Change> {
        let mut rows = Vec::new();
        self.each_table(|name, table| table.all(name, &mut rows));
        rows.push(self.counters());
        rows
    }

    /// The authority with its key; none when that is not to be written down.
    #[must_use]
    pub fn kept_ca(&self) -> Option<KeptCa> {
        self.authority.keep()
    }

    /// Puts another authority in the place of this one.
    pub fn set_authority(&mut self, authority: Box<dyn Authority>) {
        self.authority = authority;
    }

    /// Forgets everything that is written down.
    pub fn clear(&mut self) {
        self.each_table(|_, table| table.clear());
        self.restored();
    }

    /// Applies one change that was written down.
    ///
    /// # Errors
    /// When there is no such table, or the row is not one of it.
    pub fn restore(
        &mut self,
        table: &str,
        key: &RawValue,
        row: Option<&RawValue>,
    ) -> Result<(), RowError> {
        let refused = |reason: String| RowError { table: table.to_owned(), reason };
        if table == ACCOUNT {
            let Some(row) = row else { return Ok(()) };
            let counters: Counters =
                serde_json::from_str(row.get()).map_err(|error| refused(error.to_string()))?;
            self.random = Random::new(counters.random);
            self.opsworks_cm.set_call(counters.opsworks_cm_calls);
            return Ok(());
        }
        let mut done = None;
        self.each_table(|name, it| {
            if name == table {
                done = Some(it.restore(key, row));
            }
        });
        match done {
            Some(done) => done.map_err(|error| refused(error.to_string())),
            None => Err(refused("there is no such table".to_owned())),
        }
    }

    /// Makes what follows from the tables, once all rows have been applied.
    pub fn restored(&mut self) {
        self.opsworks_cm.restored();
        self.ssm.restored();
    }

    /// Makes everything as it is at the start, with these settings. The authority stays. The removal of
    /// the old rows, and the new rows, are changes.
    pub fn reset(&mut self, settings: ControlSettings, now: Now) {
        let mut changes = std::mem::take(&mut self.replaced);
        self.each_table(|name, table| {
            table.clear();
            table.take_changes(name, &mut changes);
        });
        let notes_changes = self.notes_changes;
        let authority = std::mem::replace(&mut self.authority, Box::new(Unable));
        *self = Self::new(settings, authority, now);
        if notes_changes {
            self.note_changes();
            self.each_table(|name, table| table.all(name, &mut changes));
        }
        self.replaced = changes;
    }

    fn counters(&self) -> Change {
        let counters =
            Counters { random: self.random.state(), opsworks_cm_calls: self.opsworks_cm.call() };
        let row = serde_json::to_string(&counters).ok();
        Change { table: ACCOUNT, key: COUNTERS.to_owned(), row }
    }

    fn each_table(&mut self, mut see: impl FnMut(&'static str, &mut dyn Kept)) {
        let tables = self.opsworks_cm.tables().into_iter();
        let tables = tables.chain(self.opsworks.tables()).chain(self.ssm.tables());
        let tables = tables.chain(self.puppet_ca.tables()).chain(self.chef.tables());
        tables.for_each(|(name, table)| see(name, table));
    }
}
