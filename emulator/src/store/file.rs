//! The file itself: opened, read, appended to, and written anew when most of it is out of date.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::{StateError, line};
use crate::control::Change;
use crate::hex;

/// Nobody but the owner: activation codes and the CA's key are in it.
const MODE: u32 = 0o600;
/// The file is written anew when it has twice the length it had then, and this many bytes more.
const SLACK: u64 = 4 * 1024 * 1024;
/// How much of it goes into one line then, in bytes.
const PIECE: usize = 256 * 1024;

/// One change that was read.
pub(crate) struct Row<'a> {
    pub table: String,
    pub key: &'a RawValue,
    pub value: Option<&'a RawValue>,
}

/// The file, open and locked.
pub(crate) struct StateFile {
    path: PathBuf,
    file: File,
    /// How long it is, without what a crash left of a last line.
    length: u64,
    /// How long it was when nothing in it was out of date.
    dense: u64,
}

impl StateFile {
    /// Opens the file, and shows every change in it to `see`. One that is not there is made.
    ///
    /// # Errors
    /// When it cannot be used, or is damaged.
    pub fn open(
        path: &Path,
        mut see: impl FnMut(Row<'_>) -> Result<(), String>,
    ) -> Result<Self, StateError> {
        let io = StateError::io(path);
        let file = locked(path)?;
        file.set_permissions(PermissionsExt::from_mode(MODE)).map_err(&io)?;
        let length = file.metadata().map_err(&io)?.len();
        let mut it = Self { path: path.to_owned(), file, length: 0, dense: 0 };
        // A crash may have come before the header was whole.
        if length < header_length() && it.is_part_of_header(length).map_err(&io)? {
            it.file.set_len(0).map_err(&io)?;
            it.file.write_all_at(line::HEADER, 0).map_err(&io)?;
            it.file.sync_all().map_err(&io)?;
            sync_directory(path).map_err(&io)?;
            it.length = header_length();
            return Ok(it);
        }
        it.length = it.read(|_, row| see(row))?;
        it.file.set_len(it.length).map_err(&io)?;
        Ok(it)
    }

    fn is_part_of_header(&self, length: u64) -> std::io::Result<bool> {
        let mut found = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut found, 0)?;
        Ok(line::HEADER.starts_with(&found))
    }

    /// Reads every change, and where its text begins. The length of what is whole: a last line that
    /// is not has never been answered for.
    fn read(
        &self,
        mut see: impl FnMut((u64, usize), Row<'_>) -> Result<(), String>,
    ) -> Result<u64, StateError> {
        let io = StateError::io(&self.path);
        let damaged =
            |offset, reason| StateError::Damaged { path: self.path.clone(), offset, reason };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(&io)?;
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        let mut text = vec![0; line::HEADER.len()];
        let header = reader.read_exact(&mut text);
        if header.is_err() || text != line::HEADER {
            return Err(StateError::Foreign { path: self.path.clone() });
        }
        let mut offset = header_length();
        loop {
            text.clear();
            let count = reader.read_until(b'\n', &mut text).map_err(&io)?;
            if count == 0 {
                return Ok(offset);
            }
            let rows = match line::read(&text) {
                Ok(rows) => rows,
                Err(_) if reader.fill_buf().map_err(&io)?.is_empty() => return Ok(offset),
                Err(reason) => return Err(damaged(offset, reason)),
            };
            for row in rows {
                let at = row.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
                let at = offset.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
                let place = (at, row.get().len());
                let (table, key, value) = line::parts(row).map_err(|it| damaged(offset, it))?;
                see(place, Row { table, key, value }).map_err(|it| damaged(offset, it))?;
            }
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Hands every change to `apply`, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read, or a change cannot be applied.
    pub fn each_row(
        &self,
        mut apply: impl FnMut(Row<'_>) -> Result<(), String>,
    ) -> Result<(), StateError> {
        self.read(|_, row| apply(row)).map(|_| ())
    }

    /// Adds changes; they are on the disk when this returns.
    ///
    /// # Errors
    /// When they are not. The file is then as it was.
    pub fn append(&mut self, changes: &[Change]) -> Result<(), StateError> {
        let io = StateError::io(&self.path);
        let text = line::write(changes);
        let written = self.file.write_all_at(&text, self.length);
        let written = written.and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What there is of the line is overwritten by the next, or cut off at the next start.
            let _ = self.file.set_len(self.length);
            return Err(io(error));
        }
        let count = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(count);
        Ok(())
    }

    /// Writes the file anew when most of it is out of date.
    ///
    /// # Errors
    /// When that fails; the file is as it was.
    pub fn tidy(&mut self) -> Result<(), StateError> {
        if self.length < self.dense.saturating_mul(2).saturating_add(SLACK) {
            return Ok(());
        }
        self.rewrite()
    }

    fn rewrite(&mut self) -> Result<(), StateError> {
        let rows = self.newest_rows()?;
        let io = StateError::io(&self.path);
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        // What a crash left there is out of date.
        let _ = std::fs::remove_file(&new);
        let made = self.copy(&rows, &new).and_then(|file| {
            std::fs::rename(&new, &self.path)?;
            sync_directory(&self.path)?;
            Ok(file)
        });
        let file = made.map_err(&io)?;
        self.length = file.metadata().map_err(&io)?.len();
        self.dense = self.length;
        self.file = file;
        Ok(())
    }

    /// Where the newest text of each row is, in the order of the file.
    fn newest_rows(&self) -> Result<Vec<(u64, usize)>, StateError> {
        let mut newest: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        self.read(|place, row| {
            let name = format!("{} {}", row.table, row.key.get());
            // The digest, since a key can be long and there may be very many.
            let name = if name.len() > 64 { hex::sha256(name.as_bytes()) } else { name };
            match row.value {
                Some(_) => drop(newest.insert(name, place)),
                None => drop(newest.remove(&name)),
            }
            Ok(())
        })?;
        let mut places: Vec<_> = newest.into_values().collect();
        places.sort_unstable();
        Ok(places)
    }

    fn copy(&self, rows: &[(u64, usize)], new: &Path) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(MODE).open(new)?;
        // Before it has the name, so that there is no moment without a lock.
        file.try_lock().map_err(std::io::Error::other)?;
        let mut writer = BufWriter::with_capacity(PIECE, &file);
        writer.write_all(line::HEADER)?;
        let (mut piece, mut size) = (Vec::new(), 0);
        for (offset, length) in rows {
            let mut text = vec![0; *length];
            self.file.read_exact_at(&mut text, *offset)?;
            piece.push(String::from_utf8(text).map_err(std::io::Error::other)?);
            size += length;
            if size >= PIECE {
                writer.write_all(&line::of_rows(&piece))?;
                (piece, size) = (Vec::new(), 0);
            }
        }
        if !piece.is_empty() {
            writer.write_all(&line::of_rows(&piece))?;
        }
        writer.flush()?;
        drop(writer);
        file.sync_all()?;
        Ok(file)
    }
}

/// Closing is not enough: a child process that is between `fork` and `exec` has the file open too, and
/// with it the lock.
impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn header_length() -> u64 {
    u64::try_from(line::HEADER.len()).unwrap_or(u64::MAX)
}

/// Opens the file for this process alone. Between opening and locking, another process may have
/// put a new file in its place: then once more.
fn locked(path: &Path) -> Result<File, StateError> {
    let io = StateError::io(path);
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE);
        let file = options.open(path).map_err(&io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let ours = file.metadata().map_err(&io)?;
        match std::fs::metadata(path) {
            Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
    }
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::StateFile;

    #[test]
    fn a_dropped_file_is_free_though_a_child_still_has_it_open() {
        let path = std::env::temp_dir().join(format!("enlist-state-{}", std::process::id()));
        let open = || StateFile::open(&path, |_| Ok(()));
        let first = open().expect("the first one has the file");
        assert!(open().is_err(), "one process at a time");
        // As a forked child has it before it executes another program.
        let child = first.file.try_clone().expect("another descriptor");
        drop(first);
        let second = open();
        std::fs::remove_file(&path).expect("the file is there");
        assert!(second.is_ok(), "{:?}", second.err());
        drop(child);
    }
}
