//! Why a path is refused, and what to do about it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use crate::host::root::Root;
use crate::text;

/// A part of a path that root must not use. It is carried in an [`io::Error`].
#[derive(Debug)]
pub struct Refusal {
    /// The refused path, with the prefix of `--root`.
    pub path: PathBuf,
    what: String,
    /// What to do, with the command if there is one.
    pub todo: String,
}

impl Refusal {
    /// The refusal that an error carries.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn error(path: &Path, what: String, todo: String) -> io::Error {
        io::Error::new(ErrorKind::PermissionDenied, Self { path: path.to_owned(), what, todo })
    }

    /// It belongs to another account than the directory or the link that leads to it.
    pub fn transition(
        root: &Root,
        path: &Path,
        owner: u32,
        account: u32,
        by_link: bool,
    ) -> io::Error {
        let (owner, account) = (root.account(owner), root.account(account));
        if by_link {
            let what = format!("a symbolic link of {account} leads to a path of {owner}");
            let todo = format!("remove the link, or create it as root: ls -l {}", shown(path));
            return Self::error(path, what, todo);
        }
        let what = format!("it belongs to {owner}, in a directory of {account}");
        Self::error(path, what, format!("check it, then run: chown {account} {}", shown(path)))
    }

    /// A link of one account in a directory of another.
    pub fn foreign_link(root: &Root, path: &Path, owner: u32, account: u32) -> io::Error {
        let (owner, account) = (root.account(owner), root.account(account));
        let what = format!("it is a symbolic link of {owner}, in a directory of {account}");
        Self::error(path, what, format!("check it, then run: rm {}", shown(path)))
    }

    /// A file of root's with a second name, in a directory of an account.
    pub fn hard_link(root: &Root, path: &Path, account: u32) -> io::Error {
        let account = root.account(account);
        let what = format!(
            "it is a file of root with more than one name (a hard link), in a directory of {account}"
        );
        Self::error(path, what, format!("check it, then run: rm {}", shown(path)))
    }

    /// A link or hard link of root's in a directory that others can write to: they may have moved it
    /// there.
    pub fn shared(path: &Path, directory: &Path) -> io::Error {
        let what = format!(
            "others can write to {}, and may have put this link or hard link there",
            directory.display()
        );
        Self::error(path, what, format!("check it, then run: chmod go-w {}", shown(directory)))
    }

    /// A directory that disappears each time it is made.
    pub fn vanishing(path: &Path) -> io::Error {
        let what = "it was made many times, and is removed each time".to_owned();
        Self::error(path, what, format!("find out who removes it: ls -ld {}", shown(path)))
    }

    /// A directory of root's that everybody can write to.
    pub fn anyone(root: &Root, directory: &Path, path: &Path, stat: &Stat) -> io::Error {
        if stat.st_mode & 0o1000 != 0 {
            let what = format!(
                "it does not belong to {}, in a directory that everybody can write to",
                root.expected_owner()
            );
            return Self::error(
                path,
                what,
                "use a directory that only root can write to".to_owned(),
            );
        }
        let todo = format!("check it, then run: chmod o-w {}", shown(directory));
        Self::error(directory, "everybody can write to this directory".to_owned(), todo)
    }

    /// It must be trusted, and others can write it.
    pub fn writable(root: &Root, path: &Path, stat: &Stat) -> io::Error {
        let owner = root.expected_owner();
        if !root.trusts(stat.st_uid) {
            let what = format!("it belongs to {}, and not to {owner}", root.account(stat.st_uid));
            let todo = format!("check it, then run: chown {owner} {}", shown(path));
            return Self::error(path, what, todo);
        }
        let who = if stat.st_mode & 0o002 != 0 {
            "everybody"
        } else if root.trusts_group(stat.st_gid) {
            "an account in its access control list (getfacl)"
        } else {
            "its group"
        };
        let todo = format!("check it, then run: chmod go-w {}", shown(path));
        let what = format!("{who} can write to it, and so control what {owner} does");
        Self::error(path, what, todo)
    }

    /// A secret that everybody can read.
    pub fn readable(path: &Path) -> io::Error {
        let todo = format!("check who knows it by now, then run: chmod o-r {}", shown(path));
        Self::error(path, "all users of this machine can read it".to_owned(), todo)
    }

    /// A key or certificate in DER form, where text is expected.
    pub fn binary(path: &Path) -> io::Error {
        let shown = shown(path);
        let todo = format!(
            "for a private key, run: openssl pkey -inform DER -in {shown} -out {shown}.pem, and name that file"
        );
        Self::error(path, "it is in DER form, and PEM is text".to_owned(), todo)
    }

    /// A record of what happened, in a file or directory that everybody can write to.
    pub fn forgeable(path: &Path) -> io::Error {
        let what = "everybody can write there, and so change what is recorded".to_owned();
        Self::error(path, what, format!("check it, then run: chmod o-w {}", shown(path)))
    }

    /// It is not a regular file.
    pub fn not_regular(path: &Path, kind: FileType) -> io::Error {
        let word = match kind {
            FileType::Directory => return rustix::io::Errno::ISDIR.into(),
            FileType::Fifo => "a named pipe (FIFO)",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Symlink => "a symbolic link",
            _ => "something else",
        };
        // Without /dev/null, nothing works.
        let todo = match kind {
            FileType::CharacterDevice | FileType::BlockDevice => {
                "name a regular file instead".to_owned()
            }
            _ => format!("check it, then run: rm {}", shown(path)),
        };
        Self::error(path, format!("it is {word}, not a regular file"), todo)
    }

    /// A file to be written to that another account may have put there.
    pub fn foreign(root: &Root, path: &Path, stat: &Stat) -> io::Error {
        let what = if root.trusts(stat.st_uid) {
            "it has more than one name (a hard link)".to_owned()
        } else {
            format!(
                "it belongs to {}, and not to {}",
                root.account(stat.st_uid),
                root.expected_owner()
            )
        };
        Self::error(path, what, format!("check it, then run: rm {}", shown(path)))
    }

    /// A link to a path whose directory does not exist.
    pub fn dangling(path: &Path, target: &str) -> io::Error {
        let what = format!("it is a symbolic link to {target}, whose directory does not exist");
        let todo = format!("make that directory, or remove the link: rm {}", shown(path));
        Self::error(path, what, todo)
    }

    /// Something other than the socket that is to be replaced.
    pub fn not_a_socket(path: &Path) -> io::Error {
        let todo = "set another path, or move it away".to_owned();
        Self::error(path, "it exists and is not a socket".to_owned(), todo)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for Refusal {}

/// The path, quoted for a shell.
fn shown(path: &Path) -> String {
    text::shell_word(&path.to_string_lossy())
}
