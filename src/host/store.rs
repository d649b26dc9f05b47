//! Records, evidence and backups, under `/var/lib/enlist/TARGET`.

use std::path::{Path, PathBuf};

use super::files;
use super::root::Root;
use crate::bootstrap::Record;
use crate::fault::{Evidence, Fault};
use crate::target::state_dir;

/// The largest evidence kept, in bytes: enough for a certificate chain or an error page.
const LARGEST_EVIDENCE: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub struct Store {
    root: Root,
    directory: String,
}

impl Store {
    #[must_use]
    pub fn new(root: Root, target: &str) -> Self {
        Self { root, directory: state_dir(target) }
    }

    /// Where the record stands.
    #[must_use]
    pub fn record_path(&self) -> PathBuf {
        self.at("record.json")
    }

    /// The record, where there is one.
    ///
    /// # Errors
    /// `Host` where it can't be read, `Invariant` where it is damaged.
    pub fn load(&self) -> Result<Option<Record>, Fault> {
        let path = self.record_path();
        let Some(bytes) = files::read_if_there(&path)? else {
            return Ok(None);
        };
        Record::parse(&String::from_utf8_lossy(&bytes), &path.display().to_string()).map(Some)
    }

    /// Writes the record so that it survives a power cut. Root's alone: it names no secret, but
    /// its token would let others ask about this node.
    pub fn persist(&self, record: &Record) -> Result<(), Fault> {
        self.make("")?;
        files::replace(&self.record_path(), record.to_text().as_bytes(), 0o600, None)
    }

    /// Keeps what was refused, under a name with the time in it.
    pub fn keep(&self, evidence: &Evidence, unix: i64) -> Result<PathBuf, Fault> {
        let directory = format!("{}/evidence", self.directory);
        self.make("evidence")?;
        let path = self.root.at(&format!("{directory}/{unix}-{}.txt", evidence.name));
        let bytes = evidence.content.as_bytes();
        let bounded = bytes.get(..LARGEST_EVIDENCE).unwrap_or(bytes);
        files::replace(&path, bounded, 0o600, None)?;
        tracing::info!(path = %path.display(), "what was refused is kept");
        Ok(path)
    }

    /// Keeps a copy of a file that is about to be replaced or removed.
    pub fn back_up(&self, path: &Path, unix: i64) -> Result<(), Fault> {
        let Some(content) = files::read_if_there(path)?.map(zeroize::Zeroizing::new) else {
            return Ok(());
        };
        let directory = format!("{}/backup", self.directory);
        self.make("backup")?;
        let copy = self.root.at(&format!("{directory}/{unix}-{}", flat_name(path)));
        files::replace(&copy, &content, 0o600, None)?;
        tracing::info!(path = %path.display(), backup = %copy.display(), "the former file is kept");
        Ok(())
    }

    /// Moves another machine's identity out of the way: these files, the record, and a key that
    /// was made and not used yet.
    pub fn set_aside(&self, paths: &[String], unix: i64) -> Result<(), Fault> {
        let name = self.unfinished_aside().unwrap_or_else(|| format!("aside-{unix}"));
        let directory = format!("{}/{name}", self.directory);
        self.make(&name)?;
        let own = ["key.pem", "record.json"].map(|name| format!("{}/{name}", self.directory));
        // The record last: until it is gone, the rest is set aside again.
        for path in paths.iter().chain(&own) {
            let from = self.root.at(path);
            if from.exists() {
                files::carry(
                    &from,
                    &self.root.at(&format!("{directory}/{}", flat_name(Path::new(path)))),
                )?;
            }
            files::tidy(&self.root, path)?;
        }
        Ok(())
    }

    /// Where an earlier start was interrupted at that: the record, which goes last, is not there.
    fn unfinished_aside(&self) -> Option<String> {
        let record = flat_name(&self.record_path());
        self.directories().find(|name| {
            name.starts_with("aside-") && !self.at(&format!("{name}/{record}")).exists()
        })
    }

    /// Moves the record to the backups: this node is no member any more. A key that was made and
    /// never used goes with it, and so does whatever was half written here.
    pub fn forget(&self, unix: i64) -> Result<(), Fault> {
        for name in ["key.pem", "record.json"] {
            let path = self.at(name);
            self.back_up(&path, unix)?;
            files::remove(&path)?;
        }
        self.directories().try_for_each(|name| files::tidy_directory(&self.at(&name)))?;
        files::tidy(&self.root, &format!("{}/record.json", self.directory))
    }

    /// Those of backups, evidence and other machines' files.
    fn directories(&self) -> impl Iterator<Item = String> + use<> {
        let entries = std::fs::read_dir(self.root.at(&self.directory)).into_iter().flatten();
        let directories = entries.flatten().filter(|entry| entry.path().is_dir());
        directories.filter_map(|entry| entry.file_name().into_string().ok())
    }

    /// Makes the target's directory, or one below it, root's alone.
    pub fn make(&self, below: &str) -> Result<(), Fault> {
        files::make_directory(&self.root.at(crate::target::STATE_DIR), 0o700, None)?;
        files::make_directory(&self.root.at(&self.directory), 0o700, None)?;
        files::make_directory(&self.at(below), 0o700, None)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.at(&format!("{}/{name}", self.directory))
    }
}

/// `private_keys/i-1.pem` as one name, so that two files of one name keep apart.
fn flat_name(path: &Path) -> String {
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    format!("{}-{}", parent.to_string_lossy(), name.to_string_lossy())
}
