//! `--root`: a prefix of every path read or written, for images and tests.

use std::path::{Path, PathBuf};

use super::files;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where an absolute path of the node really stands.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Whether this is the running system itself, whose programs and kernel may be asked.
    #[must_use]
    pub fn is_running_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// A file's text without surrounding blanks; none where it can't be read or is empty.
    #[must_use]
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A file's text; none where it can't be read, or is too large to be what it should be.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        files::read_text(&self.at(path), files::LARGEST).ok()
    }
}
