//! The AWS CLI knows `AWS_ENDPOINT_URL` since version 2.13 (and 1.29). Older ones, such as Debian 12's
//! 2.9, know only the option `--endpoint-url`, so they are given it.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const NAME: &str = "aws";
const OPTION: &str = "--endpoint-url";

/// A directory with a program `aws` in it that calls the real one with `--endpoint-url`. It is
/// deleted with this value.
#[derive(Debug)]
pub struct Wrapper {
    directory: PathBuf,
}

impl Wrapper {
    /// Makes one when there is an `aws` in `path`.
    ///
    /// # Errors
    /// When the directory or the file in it cannot be made.
    pub fn new(path: &OsStr) -> std::io::Result<Option<Self>> {
        let Some(real) = find(NAME.as_ref(), path) else {
            return Ok(None);
        };
        let directory = new_directory()?;
        let wrapper = Self { directory };
        let file = wrapper.directory.join(NAME);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o700).open(file)?;
        let real = real.display().to_string().replace('\'', r"'\''");
        write!(
            file,
            "#!/bin/sh\n\
             # AWS CLIs before 2.13 know no AWS_ENDPOINT_URL.\n\
             for word; do case $word in {OPTION}|{OPTION}=*) exec '{real}' \"$@\" ;; esac; done\n\
             [ -z \"${{AWS_ENDPOINT_URL-}}\" ] || set -- {OPTION} \"$AWS_ENDPOINT_URL\" \"$@\"\n\
             exec '{real}' \"$@\"\n"
        )?;
        Ok(Some(wrapper))
    }

    /// `path` with the wrapper before everything else.
    pub fn before(&self, path: &OsStr) -> OsString {
        let directories =
            std::iter::once(self.directory.clone()).chain(std::env::split_paths(path));
        // A directory with a colon in its name cannot be in a path; it was in none.
        std::env::join_paths(directories).unwrap_or_else(|_| path.to_owned())
    }
}

/// A directory of this user's only, whose name nobody has taken.
fn new_directory() -> std::io::Result<PathBuf> {
    const TRIES: u32 = 100;
    let mut made = Err(std::io::ErrorKind::AlreadyExists.into());
    for number in 0..TRIES {
        let name = format!("enlist-emulator-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        made = DirBuilder::new().mode(0o700).create(&directory).map(|()| directory);
        if !made.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    made
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        // Two small files in a temporary directory, at worst.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The arguments that a CLI called by its path needs before its own.
pub fn arguments(program: &OsStr, given: &[OsString], endpoint: &str) -> Vec<OsString> {
    let is_cli = Path::new(program).file_name() == Some(NAME.as_ref());
    let is_path = Path::new(program).components().count() > 1;
    let has_own = given.iter().any(|word| word.to_string_lossy().starts_with(OPTION));
    if is_cli && is_path && !has_own { vec![OPTION.into(), endpoint.into()] } else { Vec::new() }
}

/// The file that a shell would run for `program`.
pub fn find(program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return None;
    }
    let candidates = std::env::split_paths(path).map(|directory| directory.join(program));
    let mut found = candidates.filter(|file| {
        let metadata = std::fs::metadata(file).ok();
        metadata.is_some_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    });
    found.next()
}
