//! `--root`: the directory that every path of the node begins at, for images and tests. It is held
//! open, and every path is walked from it. Absolute links below it stay inside it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use rustix::fs::{Mode, OFlags};

use super::files;

/// The root directory of the node.
#[derive(Clone, Debug)]
pub struct Root {
    prefix: PathBuf,
    directory: Arc<OnceLock<OwnedFd>>,
    /// The user that runs this program, and its group.
    user: (u32, u32),
    /// The content of `/etc/passwd`, read when a message first needs a name.
    passwd: Arc<Mutex<Option<String>>>,
}

impl Root {
    /// A root with this prefix. The prefix itself is not checked: the caller chose it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let user = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { prefix: path.into(), directory: Arc::default(), user, passwd: Arc::default() }
    }

    /// The root of the system that this program runs on.
    #[must_use]
    pub fn running_system() -> Self {
        Self::new("/")
    }

    /// A path of the node with the prefix, for messages and for programs to start. Only [`files`]
    /// opens files.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.prefix.join(path.trim_start_matches('/'))
    }

    /// The same as [`Self::at`], as text.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }

    /// Whether this is the running system itself, and not an image.
    #[must_use]
    pub fn is_running_system(&self) -> bool {
        self.prefix == Path::new("/")
    }

    /// A file's text without surrounding white space; none if it can't be read or is empty.
    #[must_use]
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A file's text; none if it can't be read or is too large.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        files::read_text(self, path, files::LARGEST).ok()
    }

    /// Whether it is root, or the user that runs this program.
    pub(super) fn trusts(&self, user: u32) -> bool {
        user == 0 || user == self.user.0
    }

    /// Whether it is root's group, or for another user that user's own group (user private groups:
    /// the user is its only member).
    pub(super) fn trusts_group(&self, group: u32) -> bool {
        group == 0 || (self.user.0 != 0 && group == self.user.1)
    }

    /// The account that trusted files must belong to.
    #[must_use]
    pub fn expected_owner(&self) -> String {
        if self.user.0 == 0 { "root".to_owned() } else { self.account(self.user.0) }
    }

    /// An account's name, or its number if it has no name.
    pub(super) fn account(&self, user: u32) -> String {
        // The lock is taken if the message is about `/etc/passwd` itself.
        let Ok(mut passwd) = self.passwd.try_lock() else { return user.to_string() };
        let text = passwd.get_or_insert_with(|| self.text("/etc/passwd").unwrap_or_default());
        let name = text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
        });
        name.unwrap_or_else(|| user.to_string())
    }

    /// The directory itself, opened once.
    #[expect(clippy::disallowed_methods, reason = "the one path that is not walked: the caller's")]
    pub(super) fn open(&self) -> std::io::Result<&OwnedFd> {
        if let Some(held) = self.directory.get() {
            return Ok(held);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.prefix, flags, Mode::empty())?;
        Ok(self.directory.get_or_init(|| opened))
    }

    /// Opens the directory, and makes it if it is missing, with a mode that ignores the umask.
    pub(super) fn make(&self) -> std::io::Result<()> {
        match self.open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                files::make_root(&self.prefix)
            }
            opened => opened.map(drop),
        }
    }
}

impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }
}

impl Eq for Root {}
