//! Records, evidence and backups, under `/var/lib/enlist/TARGET`.

use std::path::Path;

use super::files;
use super::root::Root;
use crate::bootstrap::Record;
use crate::fault::{Evidence, Fault};
use crate::targets::state_dir;

/// The largest piece of evidence, in bytes: enough for a certificate chain or an error page.
const LARGEST_EVIDENCE: usize = 64 * 1024;
/// How many pieces of evidence are kept per target: 2 MiB at most in total.
const MOST_EVIDENCE: usize = 32;
/// How many copies are kept of one file. A file that an account damages repeatedly is repaired, and
/// copied, each time.
const MOST_COPIES: usize = 8;

/// The state directory of one target.
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

    /// The record's path, with the prefix of `--root`.
    #[must_use]
    pub fn record_path(&self) -> String {
        self.root.shown(&self.at("record.json"))
    }

    /// A small file beside the record; none if it can't be read.
    #[must_use]
    pub fn note(&self, name: &str) -> Option<Vec<u8>> {
        files::read_if_there(&self.root, &self.at(name)).ok().flatten()
    }

    /// Writes a small file beside the record, with mode 0600.
    ///
    /// # Errors
    /// `Host` if it can't be written.
    pub fn keep_note(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.make("")?;
        files::replace(&self.root, &self.at(name), text.as_bytes(), 0o600, None)
    }

    /// Removes such a file, if it exists.
    ///
    /// # Errors
    /// `Host` if it can't be removed.
    pub fn drop_note(&self, name: &str) -> Result<(), Fault> {
        files::remove(&self.root, &self.at(name))
    }

    /// The record; none if there is none.
    ///
    /// # Errors
    /// `Host` if it can't be read, `Invariant` if it is damaged.
    pub fn load(&self) -> Result<Option<Record>, Fault> {
        let Some(bytes) = files::read_if_there(&self.root, &self.at("record.json"))? else {
            return Ok(None);
        };
        Record::parse(&String::from_utf8_lossy(&bytes), &self.record_path()).map(Some)
    }

    /// Writes the record so that it survives a power cut, with mode 0600. It holds no secret, but
    /// with its token others could ask about this node.
    ///
    /// # Errors
    /// `Host`.
    pub fn persist(&self, record: &Record) -> Result<(), Fault> {
        self.make("")?;
        let bytes = record.to_text();
        files::replace(&self.root, &self.at("record.json"), bytes.as_bytes(), 0o600, None)
    }

    /// Keeps a refused text, under a name that begins with the time. Removes the oldest pieces if
    /// there are too many.
    ///
    /// # Errors
    /// `Host`.
    pub fn keep(&self, evidence: &Evidence, unix: i64) -> Result<(), Fault> {
        let bytes = evidence.content.as_bytes();
        let bounded = bytes.get(..LARGEST_EVIDENCE).unwrap_or(bytes);
        self.make("evidence")?;
        self.drop_old_evidence(MOST_EVIDENCE.saturating_sub(1))?;
        let path = self.at(&format!("evidence/{unix}-{}.txt", evidence.name));
        files::replace(&self.root, &path, bounded, 0o600, None)?;
        tracing::info!(path = self.root.shown(&path), "the refused text is kept");
        Ok(())
    }

    /// Removes the oldest evidence until at most this many files are left. Names begin with the
    /// time. A file without a time is not ours, and is removed first.
    fn drop_old_evidence(&self, most: usize) -> Result<(), Fault> {
        let directory = self.at("evidence");
        let mut names = files::names(&self.root, &directory)
            .map_err(|error| files::fault(&self.root, "could not read", &directory, &error))?;
        let time = |name: &String| -> Option<i64> {
            let (digits, _) = name.split_at(name.find(|c: char| !c.is_ascii_digit())?);
            digits.parse().ok()
        };
        names.sort_by_key(time);
        let surplus = names.len().saturating_sub(most);
        names
            .iter()
            .take(surplus)
            .try_for_each(|name| files::remove_tree(&self.root, &format!("{directory}/{name}")))
    }

    /// Removes copies of a file until there is room for another one. The oldest copy stays: it may
    /// be the file from before enlist was installed.
    fn drop_old_copies(&self, flat: &str) -> Result<(), Fault> {
        let directory = self.at("backup");
        let names = files::names(&self.root, &directory)
            .map_err(|error| files::fault(&self.root, "could not read", &directory, &error))?;
        let time = |name: &String| -> Option<i64> {
            name.strip_suffix(flat)?.strip_suffix('-')?.parse().ok()
        };
        let mut copies: Vec<String> =
            names.into_iter().filter(|name| time(name).is_some()).collect();
        copies.sort_by_key(time);
        let surplus = (copies.len() + 1).saturating_sub(MOST_COPIES);
        copies
            .iter()
            .skip(1)
            .take(surplus)
            .try_for_each(|name| files::remove(&self.root, &format!("{directory}/{name}")))
    }

    /// Copies a file that is about to be replaced or removed.
    ///
    /// # Errors
    /// `Host`.
    pub fn back_up(&self, path: &str, unix: i64) -> Result<(), Fault> {
        match files::read_if_there(&self.root, path)?.map(zeroize::Zeroizing::new) {
            Some(content) => self.back_up_content(path, &content, unix),
            None => Ok(()),
        }
    }

    /// Likewise, with the content that was read before.
    ///
    /// # Errors
    /// `Host`.
    pub fn back_up_content(&self, path: &str, content: &[u8], unix: i64) -> Result<(), Fault> {
        self.make("backup")?;
        self.drop_old_copies(&flat_name(path))?;
        let copy = self.free_copy(&flat_name(path), content, unix)?;
        files::replace(&self.root, &copy, content, 0o600, None)?;
        let (path, backup) = (self.root.shown(path), self.root.shown(&copy));
        tracing::info!(path, backup, "a copy of the former file is kept");
        Ok(())
    }

    /// Where a copy goes. A second one in the same second is dated a second later, and so on, unless it is
    /// the same copy.
    fn free_copy(&self, flat: &str, content: &[u8], unix: i64) -> Result<String, Fault> {
        let mut time = unix;
        loop {
            let copy = self.at(&format!("backup/{time}-{flat}"));
            let there = files::read_if_there(&self.root, &copy)?.map(zeroize::Zeroizing::new);
            if there.is_none_or(|there| *there == content) {
                return Ok(copy);
            }
            time = time.saturating_add(1);
        }
    }

    /// Moves another machine's identity aside: these files, the record, and a key that was made but
    /// not used yet.
    ///
    /// # Errors
    /// `Host`.
    pub fn set_aside(&self, paths: &[String], unix: i64) -> Result<(), Fault> {
        let name = self.unfinished_aside().unwrap_or_else(|| format!("aside-{unix}"));
        self.make(&name)?;
        let own = ["key.pem", "record.json"].map(|name| self.at(name));
        // The record last: as long as it is there, this is repeated.
        for path in paths.iter().chain(&own) {
            let to = self.at(&format!("{name}/{}", flat_name(path)));
            files::move_file(&self.root, path, &to)?;
            files::remove_temporaries(&self.root, path)?;
        }
        Ok(())
    }

    /// The directory of an interrupted earlier move: it lacks the record, which is moved last.
    fn unfinished_aside(&self) -> Option<String> {
        let record = flat_name(&self.at("record.json"));
        self.directories().find(|name| {
            name.starts_with("aside-")
                && !files::exists(&self.root, &self.at(&format!("{name}/{record}")))
        })
    }

    /// Moves the record to the backups, because this node is no longer a member. Likewise a key that
    /// was never used. Removes notes and temporary files.
    ///
    /// # Errors
    /// `Host`.
    pub fn forget(&self, unix: i64) -> Result<(), Fault> {
        let names = files::names(&self.root, &self.directory).unwrap_or_default();
        // The record is last: as long as it is there, this is repeated.
        let is_note = |name: &&String| name.strip_suffix(".json").is_some_and(|it| it != "record");
        for note in names.iter().filter(is_note) {
            files::remove(&self.root, &self.at(note))?;
        }
        for name in ["key.pem", "record.json"] {
            let path = self.at(name);
            self.back_up(&path, unix)?;
            files::remove(&self.root, &path)?;
        }
        self.directories()
            .try_for_each(|name| files::remove_temporaries_in(&self.root, &self.at(&name)))?;
        files::remove_temporaries(&self.root, &self.at("record.json"))
    }

    /// The directories of backups, evidence, and other machines' files.
    fn directories(&self) -> impl Iterator<Item = String> + use<'_> {
        let names = files::names(&self.root, &self.directory).unwrap_or_default();
        names.into_iter().filter(|name| files::is_directory(&self.root, &self.at(name)))
    }

    /// Makes the target's directory, or one below it, with mode 0700.
    ///
    /// # Errors
    /// `Host`.
    pub fn make(&self, below: &str) -> Result<(), Fault> {
        files::make_directory(&self.root, crate::targets::STATE_DIR, 0o700, None)?;
        files::make_directory(&self.root, &self.directory, 0o700, None)?;
        files::make_directory(&self.root, &self.at(below), 0o700, None)
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

/// A file name made of the last directory and the name, so that files of the same name in different
/// directories do not collide: `private_keys-i-1.pem`.
fn flat_name(path: &str) -> String {
    let path = Path::new(path);
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    format!("{}-{}", parent.to_string_lossy(), name.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::{LARGEST_EVIDENCE, MOST_COPIES, MOST_EVIDENCE, Store};
    use crate::fault::Evidence;
    use crate::host::{Root, files};

    #[test]
    fn evidence_is_limited_and_the_oldest_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let store = Store::new(root.clone(), "ssm");
        // The order is numeric: 1000 comes after 999.
        let times = 980..1040;
        for unix in times.clone() {
            let content = "x".repeat(2 * LARGEST_EVIDENCE);
            store.keep(&Evidence { name: "answer", content }, unix).unwrap();
        }
        let mut names = files::names(&root, "/var/lib/enlist/ssm/evidence").unwrap();
        names.sort_by_key(String::len);
        assert_eq!(names.len(), MOST_EVIDENCE);
        assert_eq!(names.first().unwrap(), &format!("{}-answer.txt", times.end - 32));
        let path = format!("/var/lib/enlist/ssm/evidence/{}", names.last().unwrap());
        assert_eq!(files::read(&root, &path).unwrap().len(), LARGEST_EVIDENCE);
    }

    #[test]
    fn two_copies_in_one_second_are_both_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let store = Store::new(root.clone(), "ssm");
        for content in ["first", "second", "first"] {
            store.back_up_content("/etc/a/x.conf", content.as_bytes(), 990).unwrap();
        }
        let read = |name: &str| files::read(&root, &format!("/var/lib/enlist/ssm/backup/{name}"));
        assert_eq!(read("990-a-x.conf").unwrap(), b"first");
        assert_eq!(read("991-a-x.conf").unwrap(), b"second");
        assert_eq!(files::names(&root, "/var/lib/enlist/ssm/backup").unwrap().len(), 2);
    }

    #[test]
    fn what_is_forgotten_leaves_only_copies_behind() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let store = Store::new(root.clone(), "ssm");
        store.keep_note("checked-key.json", "{}").unwrap();
        files::replace(&root, "/var/lib/enlist/ssm/record.json", b"{}", 0o600, None).unwrap();
        store.forget(990).unwrap();
        assert_eq!(files::names(&root, "/var/lib/enlist/ssm").unwrap(), ["backup"]);
        let copies = files::names(&root, "/var/lib/enlist/ssm/backup").unwrap();
        assert_eq!(copies, ["990-ssm-record.json"]);
    }

    #[test]
    fn the_first_copy_and_the_latest_ones_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let store = Store::new(root.clone(), "ssm");
        for unix in 990..1010 {
            store.back_up_content("/etc/a/x.conf", b"x", unix).unwrap();
            store.back_up_content("/etc/b/x.conf", b"x", unix).unwrap();
        }
        let mut names = files::names(&root, "/var/lib/enlist/ssm/backup").unwrap();
        assert_eq!(names.len(), 2 * MOST_COPIES);
        names.retain(|name| name.ends_with("-a-x.conf"));
        names.sort_by_key(String::len);
        assert_eq!(names.first().unwrap(), "990-a-x.conf");
        assert_eq!(names.last().unwrap(), "1009-a-x.conf");
        assert_eq!(names.len(), MOST_COPIES);
    }
}
