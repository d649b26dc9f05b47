//! What `--state` keeps beside the account: the CA, the keys that requests are signed with, the
//! clock; and how a start goes on from it.

use std::path::Path;

use serde_json::value::RawValue;

use crate::ca::KeptCa;
use crate::control::{Change, ControlPlane};
use crate::emulator::StartError;
use crate::options::Options;
use crate::sigv4::Credentials;
use crate::store::{Row, StateError, StateFile, Store};

/// The table of what is no service's, and its keys.
const EMULATOR: &str = "emulator";
const CA: &str = "\"ca\"";
const CREDENTIALS: &str = "\"credentials\"";
const CLOCK: &str = "\"clock_offset\"";

/// What an earlier run left.
pub(crate) struct Kept {
    file: StateFile,
    has_account: bool,
    /// The CA, unless it was one of files.
    pub ca: Option<KeptCa>,
    /// The keys that requests are signed with.
    pub credentials: Option<Credentials>,
    clock_offset: Option<i64>,
}

impl Kept {
    /// Opens a file, and reads what is needed first.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let (mut ca, mut credentials, mut clock_offset) = (None, None, None);
        let mut has_account = false;
        let file = StateFile::open(path, |Row { table, key, value: row }| {
            match (key.get(), row) {
                _ if table != EMULATOR => has_account = true,
                (CA, Some(row)) => ca = Some(read(row)?),
                (CREDENTIALS, Some(row)) => credentials = Some(read(row)?),
                (CLOCK, Some(row)) => clock_offset = Some(read(row)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self { file, has_account, ca, credentials, clock_offset })
    }

    /// Whether there is no account in it yet.
    pub fn is_new(&self) -> bool {
        !self.has_account
    }

    /// Puts the account back, and writes down from here on.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn start(
        self,
        control: &mut ControlPlane,
        credentials: &Credentials,
        clock_offset: i64,
    ) -> Result<Store, StartError> {
        if self.has_account {
            control.clear();
            self.file.each_row(|Row { table, key, value: row }| {
                if table == EMULATOR {
                    return Ok(());
                }
                control.restore(&table, key, row).map_err(|error| error.to_string())
            })?;
            control.restored();
        }
        let mut changes = vec![
            ca(control),
            Change { table: EMULATOR, key: CREDENTIALS.to_owned(), row: write(credentials) },
            clock(clock_offset),
        ];
        if !self.has_account {
            changes.extend(control.all_rows());
        }
        control.note_changes();
        let mut file = self.file;
        file.append(&changes)?;
        Store::start(file).map_err(StartError::Thread)
    }
}

/// The CA, as a change; without a row when its key is not to be written down.
pub(crate) fn ca(control: &ControlPlane) -> Change {
    let row = control.kept_ca().as_ref().and_then(write);
    Change { table: EMULATOR, key: CA.to_owned(), row }
}

/// Whether a row is no account's.
pub(crate) fn is_own(row: &Row<'_>) -> bool {
    row.table == EMULATOR
}

/// The CA in a row, when it is one.
pub(crate) fn read_ca(row: &Row<'_>) -> Option<Result<KeptCa, String>> {
    let found = row.value.filter(|_| row.table == EMULATOR && row.key.get() == CA);
    found.map(read)
}

/// How far the clock is ahead, as a change.
pub(crate) fn clock(offset: i64) -> Change {
    Change { table: EMULATOR, key: CLOCK.to_owned(), row: Some(offset.to_string()) }
}

/// The offset that is asked for, or that was kept.
pub(crate) fn clock_offset(options: &Options, kept: Option<&Kept>) -> i64 {
    let kept = kept.and_then(|kept| kept.clock_offset);
    Some(options.clock_offset).filter(|offset| *offset != 0).or(kept).unwrap_or(0)
}

fn read<T: serde::de::DeserializeOwned>(row: &RawValue) -> Result<T, String> {
    serde_json::from_str(row.get()).map_err(|error| error.to_string())
}

fn write<T: serde::Serialize>(row: &T) -> Option<String> {
    serde_json::to_string(row).ok()
}
