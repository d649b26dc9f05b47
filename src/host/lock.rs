//! Locks: our own against a second enlist, and the engine's while we write where it writes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::{self, Ids};
use super::root::Root;
use crate::fault::{Fault, Kind};
use crate::target::STATE_DIR;

/// How long the engine's lock is waited for: a run holds it for the moment of a write; an agent
/// that waits for its certificate holds it for minutes, and is better named than waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How often another enlist's lock is tried again.
pub const OWN_PAUSE: Duration = Duration::from_millis(200);

/// How long an empty lock is taken for one that is being written.
const EMPTY_PATIENCE: Duration = Duration::from_secs(1);

/// Held while this process works; the kernel lets go of it when the process ends, however it does.
#[derive(Debug)]
pub struct OwnLock {
    _file: File,
}

/// Takes `/var/lib/enlist/lock`; none where another enlist is at work.
///
/// # Errors
/// `Host` where the file can't be made.
pub fn try_own(root: &Root) -> Result<Option<OwnLock>, Fault> {
    try_lock(root, "lock")
}

/// Takes the place of the one daemon of this machine.
///
/// # Errors
/// `Host` where it is taken.
pub fn daemon(root: &Root) -> Result<OwnLock, Fault> {
    try_lock(root, "daemon.lock")?.ok_or_else(|| {
        let on = root.at(STATE_DIR).join("daemon.lock").display().to_string();
        let todo = "use that one: reload it with SIGHUP, or stop it first";
        Fault::new(Kind::Host, "another `enlist run` is running", on, todo)
    })
}

/// Service and user data may start together: one works, the other waits for it, and then finds
/// the work done.
///
/// # Errors
/// `Host` where the other one is not done within the budget.
pub async fn own(root: &Root, budget: Duration) -> Result<OwnLock, Fault> {
    let began = Instant::now();
    let mut said = false;
    loop {
        if let Some(lock) = try_own(root)? {
            return Ok(lock);
        }
        if began.elapsed() >= budget {
            let on = root.at(STATE_DIR).join("lock").display().to_string();
            let todo = "let it finish, or stop it";
            return Err(Fault::new(Kind::Host, "another enlist is at work", on, todo));
        }
        if !said {
            tracing::info!("another enlist is at work; waiting for it");
            said = true;
        }
        tokio::time::sleep(OWN_PAUSE).await;
    }
}

fn try_lock(root: &Root, name: &str) -> Result<Option<OwnLock>, Fault> {
    files::make_directory(&root.at(STATE_DIR), 0o700, None)?;
    let path = root.at(&format!("{STATE_DIR}/{name}"));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| files::fault("could not open the lock", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(OwnLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(files::fault("could not take the lock", &path, &error))
        }
    }
}

/// Puppet's `ssl.lock`: a file that holds the pid of whoever works on the ssldir. Removed when
/// dropped.
#[derive(Debug)]
pub struct PidLock {
    path: PathBuf,
}

/// Takes a pid lock, waiting a little for its holder.
///
/// # Errors
/// `Host` where it is held, with the pid, or can't be made.
pub async fn take_pid_lock(path: &Path, mode: u32, owner: Option<Ids>) -> Result<PidLock, Fault> {
    let began = Instant::now();
    loop {
        match create(path, mode, owner) {
            Ok(()) => {
                return Ok(PidLock { path: path.to_owned() });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(files::fault("could not make the lock", path, &error)),
        }
        match holder(path, began.elapsed()) {
            None => {
                tracing::info!(path = %path.display(), "removing a lock whose holder is gone");
                files::remove(path)?;
            }
            Some(pid) if began.elapsed() >= PATIENCE => return Err(held(path, pid)),
            Some(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Drop for PidLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock appears with its pid in it, or not at all: an empty one would be nobody's.
fn create(path: &Path, mode: u32, owner: Option<Ids>) -> std::io::Result<()> {
    let temporary = path.with_file_name(".ssl.lock.enlist-new");
    let _ = fs::remove_file(&temporary);
    let result = write_pid(&temporary, mode, owner).and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    result
}

fn write_pid(path: &Path, mode: u32, owner: Option<Ids>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    write!(file, "{}", std::process::id())
}

/// The living process that holds the lock. As Puppet itself has it, a pid that now belongs to
/// some other program holds nothing.
fn holder(path: &Path, waited: Duration) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    let pid: u32 = match text.trim() {
        // Made this moment, and its writer has not come further; or it never will.
        "" => return (waited < EMPTY_PATIENCE).then_some(0),
        digits => digits.parse().ok()?,
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command);
    (command.contains("puppet") || command.contains("enlist")).then_some(pid)
}

fn held(path: &Path, pid: u32) -> Fault {
    Fault::new(
        Kind::Host,
        format!("the lock is held by process {pid}"),
        path.display().to_string(),
        "let that puppet finish or stop it, then join again; nothing was written",
    )
}
