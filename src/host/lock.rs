//! Locks: our own against a second enlist, and the engine's while we write where it writes.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::time::Duration;

use super::clock;
use super::files::{self, Ids, LinkLock};
use super::proc;
use super::root::Root;
use super::timer;
use crate::engines::PidLock;
use crate::fault::{Fault, Kind};
use crate::targets::STATE_DIR;

/// How long the engine's lock is waited for: a run holds it for the moment of a write; an agent
/// that waits for its certificate holds it for minutes, and is better named than waited for.
const ENGINE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How often another enlist's lock is tried again.
pub const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// How long an empty lock is taken for one that is being written.
const EMPTY_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A lock holds a process id; what is larger is no lock. In bytes.
const LARGEST_LOCK: u64 = 4096;

/// Held while this process works; the kernel lets go of it when the process ends, however it does.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Takes `/var/lib/enlist/lock`; none where another enlist is at work.
///
/// # Errors
/// `Host` where the file can't be made.
pub fn try_acquire(root: &Root) -> Result<Option<InstanceLock>, Fault> {
    try_lock(root, "lock")
}

/// Takes the place of the one daemon of this machine.
///
/// # Errors
/// `Host` where it is taken.
pub fn acquire_daemon(root: &Root) -> Result<InstanceLock, Fault> {
    try_lock(root, "daemon.lock")?.ok_or_else(|| {
        let on = root.shown(&format!("{STATE_DIR}/daemon.lock"));
        let todo = "use that one: reload it with SIGHUP, or stop it first";
        Fault::new(Kind::Host, "another `enlist run` is running", on, todo)
    })
}

/// Service and user data may start together: one works, the other waits for it, and then finds
/// the work done.
///
/// # Errors
/// `Host` where the other one is not done within the budget.
pub async fn acquire(root: &Root, budget: Duration) -> Result<InstanceLock, Fault> {
    let began = clock::instant();
    let mut said = false;
    loop {
        if let Some(lock) = try_acquire(root)? {
            return Ok(lock);
        }
        if began.elapsed() >= budget {
            let on = root.shown(&format!("{STATE_DIR}/lock"));
            let todo = "let it finish, or stop it";
            return Err(Fault::new(Kind::Host, "another enlist is at work", on, todo));
        }
        if !said {
            tracing::info!("another enlist is at work; waiting for it");
            said = true;
        }
        timer::pause(LOCK_PAUSE).await;
    }
}

fn try_lock(root: &Root, name: &str) -> Result<Option<InstanceLock>, Fault> {
    files::make_directory(root, STATE_DIR, 0o700, None)?;
    let path = format!("{STATE_DIR}/{name}");
    let file = files::open_lock(root, &path)
        .map_err(|error| files::fault(root, "could not open the lock", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(InstanceLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(files::fault(root, "could not take the lock", &path, &error))
        }
    }
}

/// Takes an engine's lock, a file that holds the pid of whoever has it, and waits a little for its
/// holder. It is removed when dropped.
///
/// # Errors
/// `Host` where it is held, with the pid, or can't be made.
pub async fn take_pid_lock(root: &Root, lock: &PidLock) -> Result<LinkLock, Fault> {
    let (path, mode) = (lock.at.path.as_str(), lock.at.mode);
    let owner = files::ids_of(root, lock.at.owner);
    let began = clock::instant();
    let pid = std::process::id().to_string();
    loop {
        match files::link_lock(root, path, &pid, mode, owner) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(files::fault(root, "could not make the lock", path, &error)),
        }
        match holder(root, lock, began.elapsed(), owner)? {
            // Whoever may write there can make one anew as often as it is removed.
            None if began.elapsed() >= ENGINE_LOCK_TIMEOUT => {
                let todo = "find out what makes it, then join again; nothing was written";
                let what = "a lock that no process holds comes back each time it is removed";
                return Err(Fault::new(Kind::Host, what, root.shown(path), todo));
            }
            None => {
                tracing::info!(path = root.shown(path), "removing a lock whose holder is gone");
                files::remove(root, path)?;
            }
            Some(pid) if began.elapsed() >= ENGINE_LOCK_TIMEOUT => {
                return Err(held(root, lock, pid));
            }
            Some(_) => timer::pause(PAUSE).await,
        }
    }
}

/// The living process that holds the lock. A pid that now belongs to some other program holds
/// nothing; nor does a process of another user than root, ourselves and the lock's owner.
fn holder(
    root: &Root,
    lock: &PidLock,
    waited: Duration,
    owner: Option<Ids>,
) -> Result<Option<u32>, Fault> {
    let path = lock.at.path.as_str();
    let text = match files::read_text(root, path, LARGEST_LOCK) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(files::fault(root, "the lock can't be read", path, &error)),
    };
    let pid: u32 = match text.trim() {
        // Made this moment, and its writer has not come further; or it never will.
        "" => return Ok((waited < EMPTY_LOCK_TIMEOUT).then_some(0)),
        digits => match digits.parse() {
            Ok(pid) => pid,
            Err(_) => return Ok(None),
        },
    };
    let owner = owner.map(|(user, _)| user);
    let is_one = |argument: &String| argument.contains(lock.program) || argument.contains("enlist");
    // The owner first: another user chooses the name of its process, and can delay reading it.
    let holds = proc::is_trusted(pid, owner.as_slice()) && proc::arguments(pid).iter().any(is_one);
    Ok(holds.then_some(pid))
}

fn held(root: &Root, lock: &PidLock, pid: u32) -> Fault {
    let todo = format!(
        "let that {} finish or stop it, then join again; nothing was written",
        lock.program
    );
    let what = format!("the lock is held by process {pid}");
    Fault::new(Kind::Host, what, root.shown(&lock.at.path), todo)
}
