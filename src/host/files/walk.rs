//! Walks a path from the node's root, one directory descriptor after the other, so that no other
//! account can redirect root to another file.
//!
//! Each name is looked up in an open directory, without following links. A link is read from its own
//! descriptor and followed by this code, never by the kernel. So renaming or replacing something
//! behind the walk has no effect on it. The walk works on every kernel: it needs `openat`, not
//! `openat2`, which could not check owners anyway (docs/decisions/0007-files-by-descriptors.md).
//!
//! Owners decide whether the walk goes on, as in systemd-tmpfiles:
//!
//! - From root's directories it may go anywhere, except from one that everybody can write to.
//! - In a directory of another account, it enters only what belongs to that account or to root. The
//!   account can move root's directories within its own, but gains nothing from that.
//! - A link of such an account may lead only to files of that account. A link of root's is followed
//!   only if nobody else can have put it there: not in a directory that a group can write to, nor
//!   below one.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::refusal::Refusal;
use super::trust::{self, check_entry, is_shared, others_may_write};
use crate::host::root::Root;

/// The most links in one path; the kernel's own limit (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// How many directories one walk makes. More than this means that another process removes them.
const MOST_MADE: usize = 100;

/// What a path is for, and so who may be able to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Files of an engine. They may belong to the engine's account.
    Engine,
    /// Settings, secrets and programs: whoever can write them controls root. Only root and the user
    /// that runs this program may have write permission, for the file and every directory of its
    /// path.
    Trusted,
}

/// A directory, held open.
#[derive(Debug)]
pub struct OpenDirectory {
    fd: OwnedFd,
    stat: Stat,
    /// Whether an access control list may let others write to it.
    acl_grants_write: bool,
    /// The path with the prefix of `--root`, for messages.
    path: PathBuf,
}

/// A name in an open directory. It is not a symbolic link, except from [`Walk::into_entry`].
#[derive(Debug)]
pub struct Place {
    pub directory: OpenDirectory,
    pub name: OsString,
    /// What exists under this name; none if nothing does.
    pub stat: Option<Stat>,
    influence: Influence,
    purpose: Purpose,
}

/// A directory of the path that does not exist.
pub struct Missing<'a> {
    pub directory: &'a OpenDirectory,
    pub name: &'a OsStr,
    /// Whether it is the one that the path names.
    pub is_last: bool,
}

/// Who, other than root, may have chosen where the walk is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Influence {
    Nobody,
    /// The walk is in, or came through, a directory of root's that others can write to.
    Shared,
    /// The walk is in a directory of this account.
    Directory(u32),
    /// The walk followed a link that this account made.
    Link(u32),
}

impl OpenDirectory {
    fn open(directory: impl AsFd, name: &OsStr, path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::of(rustix::fs::openat(directory, name, flags, Mode::empty())?, path)
    }

    fn of(fd: OwnedFd, path: PathBuf) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        let acl_grants_write = trust::acl_grants_write(&fd, &stat);
        Ok(Self { fd, stat, acl_grants_write, path })
    }

    /// Whether others than root and our user can write to it.
    pub fn is_writable_to_others(&self, root: &Root) -> bool {
        self.acl_grants_write || others_may_write(root, &self.stat)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its owner and mode.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Makes renames and removals in it durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.readable()?)?)
    }

    /// A descriptor of the same directory that can be read and synced.
    pub fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?)
    }
}

impl AsFd for OpenDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Place {
    pub fn path(&self) -> PathBuf {
        self.directory.path.join(&self.name)
    }

    pub fn is_directory(&self) -> bool {
        self.stat.is_some_and(|stat| is(&stat, FileType::Directory))
    }

    /// Checks whether this file may be read for the walk's purpose. The stat is that of the open
    /// descriptor.
    ///
    /// # Errors
    /// If another account may have chosen this file.
    pub fn check_file(&self, root: &Root, file: impl AsFd, stat: &Stat) -> io::Result<()> {
        let path = self.path();
        if !is(stat, FileType::RegularFile) {
            return Err(Refusal::not_regular(&path, FileType::from_raw_mode(stat.st_mode)));
        }
        check_entry(root, self.purpose, &self.directory, stat, &path)?;
        match self.influence {
            // A hard link, which may be a second name of any file.
            Influence::Shared if stat.st_nlink > 1 => {
                return Err(Refusal::shared(&path, self.directory.path()));
            }
            Influence::Nobody | Influence::Shared => {}
            Influence::Directory(account) if root.trusts(stat.st_uid) && stat.st_nlink > 1 => {
                return Err(Refusal::hard_link(root, &path, account));
            }
            Influence::Directory(account) | Influence::Link(account) => {
                self.influence.admits(root, stat, &path, account)?;
            }
        }
        let is_writable = || others_may_write(root, stat) || trust::acl_grants_write(file, stat);
        if self.purpose == Purpose::Trusted && is_writable() {
            return Err(Refusal::writable(root, &path, stat));
        }
        Ok(())
    }
}

impl Influence {
    fn admits(self, root: &Root, stat: &Stat, path: &Path, account: u32) -> io::Result<()> {
        let is_rooted = matches!(self, Self::Directory(_)) && root.trusts(stat.st_uid);
        if stat.st_uid == account || is_rooted {
            return Ok(());
        }
        Err(Refusal::transition(root, path, stat.st_uid, account, matches!(self, Self::Link(_))))
    }
}

/// A walk along one path.
pub struct Walk<'a> {
    root: &'a Root,
    purpose: Purpose,
    /// The open directories from the root to where the walk is.
    held: Vec<OpenDirectory>,
    rest: VecDeque<OsString>,
    links: usize,
    influence: Influence,
}

impl<'a> Walk<'a> {
    /// Begins a walk at the root, with a path below it.
    pub fn new(root: &'a Root, path: &str, purpose: Purpose) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(root.open()?, 0)?;
        let base = OpenDirectory::of(fd, root.at("/"))?;
        let influence = if is_shared(root, &base) { Influence::Shared } else { Influence::Nobody };
        let mut walk =
            Self { root, purpose, held: vec![base], rest: VecDeque::new(), links: 0, influence };
        walk.then(Path::new(path));
        Ok(walk)
    }

    /// Walks to the directory of the last name. A link as last name is followed, too.
    pub fn into_place(self) -> io::Result<Place> {
        self.go(true, |_| Err(missing()))
    }

    /// Likewise, but a link as last name is not followed.
    pub fn into_entry(self) -> io::Result<Place> {
        self.go(false, |_| Err(missing()))
    }

    /// Walks into the directory that the path names.
    pub fn into_directory(self) -> io::Result<OpenDirectory> {
        self.into_directory_making(|_| Err(missing()))
    }

    /// Likewise, and makes missing directories.
    pub fn into_directory_making(
        mut self,
        make: impl FnMut(Missing<'_>) -> io::Result<()>,
    ) -> io::Result<OpenDirectory> {
        self.rest.push_back(OsString::from("."));
        self.go(true, make).map(|place| place.directory)
    }

    fn go(
        mut self,
        follow_last: bool,
        mut absent: impl FnMut(Missing<'_>) -> io::Result<()>,
    ) -> io::Result<Place> {
        let mut made = 0;
        loop {
            let name = self.rest.pop_front().unwrap_or_else(|| OsString::from("."));
            let is_last = self.rest.is_empty();
            if name == ".." {
                self.up()?;
            } else if name == "." {
                if is_last {
                    return self.arrive(name, None);
                }
            } else {
                let stat = look(self.top()?, &name)?;
                match stat {
                    Some(stat) if is(&stat, FileType::Symlink) && (follow_last || !is_last) => {
                        self.follow(&name)?;
                    }
                    stat if is_last => return self.arrive(name, stat),
                    Some(_) => self.enter(&name)?,
                    None => {
                        let is_last = self.rest.iter().all(|rest| rest == ".");
                        let top = self.top()?;
                        if made == MOST_MADE {
                            return Err(Refusal::vanishing(&top.path.join(&name)));
                        }
                        absent(Missing { directory: top, name: &name, is_last })?;
                        made += 1;
                        self.rest.push_front(name);
                    }
                }
            }
        }
    }

    fn arrive(mut self, name: OsString, stat: Option<Stat>) -> io::Result<Place> {
        let directory = self.held.pop().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        Ok(Place { directory, name, stat, influence: self.influence, purpose: self.purpose })
    }

    fn top(&self) -> io::Result<&OpenDirectory> {
        self.held.last().ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let top = self.top()?;
        let path = top.path.join(name);
        let held = OpenDirectory::open(top, name, path)?;
        check_entry(self.root, self.purpose, top, &held.stat, &held.path)?;
        self.admit(&held.stat, &held.path)?;
        if matches!(self.influence, Influence::Nobody | Influence::Shared) {
            if !self.root.trusts(held.stat.st_uid) {
                self.influence = Influence::Directory(held.stat.st_uid);
            } else if is_shared(self.root, &held) {
                self.influence = Influence::Shared;
            }
        }
        self.held.push(held);
        Ok(())
    }

    fn admit(&self, stat: &Stat, path: &Path) -> io::Result<()> {
        match self.influence {
            Influence::Nobody | Influence::Shared => Ok(()),
            Influence::Directory(account) | Influence::Link(account) => {
                self.influence.admits(self.root, stat, path, account)
            }
        }
    }

    /// Follows a link. It is opened first, so that the link that is checked is the one that is read.
    fn follow(&mut self, name: &OsStr) -> io::Result<()> {
        self.links += 1;
        let top = self.top()?;
        let path = top.path.join(name);
        if self.links > MOST_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = rustix::fs::openat(top, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&link)?;
        if !is(&stat, FileType::Symlink) {
            // It was replaced meanwhile: look again.
            self.rest.push_front(name.to_owned());
            return Ok(());
        }
        check_entry(self.root, self.purpose, top, &stat, &path)?;
        let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        let owner = stat.st_uid;
        self.influence = match self.influence {
            Influence::Nobody if self.root.trusts(owner) => Influence::Nobody,
            // Somebody may have moved this link of root's here from another directory.
            Influence::Shared if self.root.trusts(owner) => {
                return Err(Refusal::shared(&path, top.path()));
            }
            Influence::Nobody | Influence::Shared => Influence::Link(owner),
            Influence::Directory(account) | Influence::Link(account) if owner == account => {
                Influence::Link(account)
            }
            Influence::Directory(account) | Influence::Link(account) => {
                return Err(Refusal::foreign_link(self.root, &path, owner, account));
            }
        };
        if target.is_absolute() {
            self.held.truncate(1);
        }
        self.still_admitted(&path)?;
        self.then(&target);
        Ok(())
    }

    fn up(&mut self) -> io::Result<()> {
        let path = self.top()?.path.clone();
        if self.held.len() > 1 {
            self.held.pop();
        }
        self.still_admitted(&path)
    }

    /// Checks that a link of an account has led only to directories of that account.
    fn still_admitted(&self, path: &Path) -> io::Result<()> {
        let Influence::Link(account) = self.influence else { return Ok(()) };
        let stat = self.top()?.stat();
        if stat.st_uid == account {
            return Ok(());
        }
        Err(Refusal::transition(self.root, path, stat.st_uid, account, true))
    }

    /// Puts the names of a path before the remaining ones.
    fn then(&mut self, path: &Path) {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        });
        for (index, name) in names.enumerate() {
            self.rest.insert(index, name);
        }
    }
}

fn look(directory: &OpenDirectory, name: &OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn is(stat: &Stat, wanted: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == wanted
}

fn missing() -> io::Error {
    rustix::io::Errno::NOENT.into()
}
