//! Why a path is not used, and what to do about it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use crate::host::root::Root;

/// Something on the way is not what root may use. It is carried in an [`io::Error`].
#[derive(Debug)]
pub struct Refusal {
    /// What is refused, with the prefix of `--root`.
    pub path: PathBuf,
    what: String,
    /// What to do, with the command where there is one.
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

    /// It belongs to somebody who has no business there.
    pub fn transition(
        root: &Root,
        path: &Path,
        owner: u32,
        account: u32,
        is_led: bool,
    ) -> io::Error {
        let (owner, account) = (root.account(owner), root.account(account));
        if is_led {
            let what = format!("a symbolic link of {account} leads to what belongs to {owner}");
            let todo =
                format!("remove the link, or make it with root's own hand: ls -l {}", shown(path));
            return Self::error(path, what, todo);
        }
        let what = format!("it belongs to {owner}, in a directory of {account}");
        Self::error(path, what, format!("look into it, then: chown {account} {}", shown(path)))
    }

    /// A link of another one, in a directory of an account.
    pub fn foreign_link(root: &Root, path: &Path, owner: u32, account: u32) -> io::Error {
        let (owner, account) = (root.account(owner), root.account(account));
        let what = format!("it is a symbolic link of {owner}, in a directory of {account}");
        Self::error(path, what, format!("look into it, then: rm {}", shown(path)))
    }

    pub fn hard_link(root: &Root, path: &Path, account: u32) -> io::Error {
        let account = root.account(account);
        let what = format!(
            "it is a file of root's with more than one name (a hard link), in a directory of {account}"
        );
        Self::error(path, what, format!("look into it, then: rm {}", shown(path)))
    }

    /// Something of root's, in a directory in which others can have put it in another's place.
    pub fn shared(path: &Path, directory: &Path) -> io::Error {
        let what = format!(
            "others may write to {}, and can have put this link or this second name of a file there",
            directory.display()
        );
        Self::error(path, what, format!("look into it, then: chmod go-w {}", shown(directory)))
    }

    /// A directory that is made again and again.
    pub fn vanishing(path: &Path) -> io::Error {
        let what = "it was made many times, and somebody removes it each time".to_owned();
        Self::error(path, what, format!("find out who: ls -ld {}", shown(path)))
    }

    /// A directory of root's in which anyone may put anything.
    pub fn anyone(root: &Root, directory: &Path, path: &Path, stat: &Stat) -> io::Error {
        if stat.st_mode & 0o1000 != 0 {
            let what = format!(
                "it is not {}'s, in a directory that everybody may write to",
                root.expected_owner()
            );
            return Self::error(path, what, "use a directory that is root's alone".to_owned());
        }
        let todo = format!("look into it, then: chmod o-w {}", shown(directory));
        Self::error(directory, "everybody may write to this directory".to_owned(), todo)
    }

    /// It steers root, and others may write it.
    pub fn writable(root: &Root, path: &Path, stat: &Stat) -> io::Error {
        let word = root.expected_owner();
        if !root.trusts(stat.st_uid) {
            let what = format!("it belongs to {}, and not to {word}", root.account(stat.st_uid));
            return Self::error(
                path,
                what,
                format!("check it, then: chown {word} {}", shown(path)),
            );
        }
        let who = if stat.st_mode & 0o002 != 0 {
            "everybody"
        } else if root.trusts_group(stat.st_gid) {
            "somebody whom its access control list names (getfacl)"
        } else {
            "its group"
        };
        let todo = format!("check it, then: chmod go-w {}", shown(path));
        Self::error(path, format!("{who} may write to it, and so steer {word}"), todo)
    }

    pub fn not_regular(path: &Path, kind: FileType) -> io::Error {
        let word = match kind {
            FileType::Directory => return rustix::io::Errno::ISDIR.into(),
            FileType::Fifo => "a named pipe (FIFO)",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Symlink => "a symbolic link",
            _ => "something else",
        };
        let todo = format!("look into it, then: rm {}", shown(path));
        Self::error(path, format!("it is {word}, and no regular file"), todo)
    }

    /// We would write to what another one may have put there.
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
        Self::error(path, what, format!("look into it, then: rm {}", shown(path)))
    }

    /// Something that is to be replaced stands there, and it is another thing.
    pub fn not_a_socket(path: &Path) -> io::Error {
        let todo = "give another path, or move it away".to_owned();
        Self::error(path, "something that is no socket stands there".to_owned(), todo)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for Refusal {}

/// As a shell takes it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
