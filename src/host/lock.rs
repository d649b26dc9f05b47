//! Locks: our own against a second enlist, and the engine's while we write its files.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::time::Duration;

use super::clock;
use super::files::{self, Ids, LinkLock};
use super::proc::{self, ProcessName};
use super::root::Root;
use super::timer;
use crate::engines::PidLock;
use crate::fault::{Fault, Kind};
use crate::targets::STATE_DIR;

/// How long to wait for the engine's lock. A run holds it only while it writes. An agent that waits
/// for its certificate holds it for minutes: then an error that names the agent is better.
const ENGINE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The pause between two tries for another enlist's lock.
pub const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// How long an empty lock counts as one that is just being written.
const EMPTY_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest lock file, in bytes. It holds a process id.
const LARGEST_LOCK: u64 = 4096;

/// Held while this process works. The kernel releases it when the process ends in any way.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Takes `/var/lib/enlist/lock`; none if another enlist holds it.
///
/// # Errors
/// `Host` if the file can't be made.
pub fn try_acquire(root: &Root) -> Result<Option<InstanceLock>, Fault> {
    try_lock(root, "lock")
}

/// Whether another enlist works on this machine's targets. Changes nothing.
///
/// # Errors
/// `Host` if the lock can't be read.
pub fn is_held(root: &Root) -> Result<bool, Fault> {
    is_locked(root, "lock")
}

/// Whether a daemon runs on this machine. Changes nothing.
///
/// # Errors
/// `Host` if the lock can't be read.
pub fn is_daemon_running(root: &Root) -> Result<bool, Fault> {
    is_locked(root, "daemon.lock")
}

/// The process that holds a lock of enlist's, `lock` or `daemon.lock`, and its command. None where it is
/// not held, or the kernel does not tell (proc_locks(5)).
#[must_use]
pub fn holder_of(root: &Root, name: &str) -> Option<(u32, String)> {
    let file = files::open_to_read(root, &format!("{STATE_DIR}/{name}")).ok()?;
    let inode = rustix::fs::fstat(&file).ok()?.st_ino.to_string();
    let locks = Root::running_system().text("/proc/locks")?;
    let holder = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let held = *fields.get(1)? == "FLOCK" && fields.get(5)?.rsplit(':').next()? == inode;
        fields.get(4)?.parse::<u32>().ok().filter(|_| held)
    })?;
    Some((holder, crate::text::line(&proc::arguments(holder).join(" "))))
}

/// Checks whether a process holds an engine's lock.
///
/// # Errors
/// `Host` if one does, with its id.
pub fn check_engine_lock(root: &Root, lock: &PidLock) -> Result<(), Fault> {
    let owner = files::ids_of(root, lock.at.owner);
    match holder(root, lock, EMPTY_LOCK_TIMEOUT, owner)? {
        Some(pid) => Err(held(root, lock, pid)),
        None => Ok(()),
    }
}

fn is_locked(root: &Root, name: &str) -> Result<bool, Fault> {
    let path = format!("{STATE_DIR}/{name}");
    let unreadable = |error| files::fault(root, "could not read the lock", &path, &error);
    let file = match files::open_to_read(root, &path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unreadable(error)),
    };
    // Shared, and released at once: two that look do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(unreadable(error)),
    }
}

/// Takes the lock of this machine's daemon.
///
/// # Errors
/// `Host` if another daemon holds it.
pub fn acquire_daemon(root: &Root) -> Result<InstanceLock, Fault> {
    try_lock(root, "daemon.lock")?.ok_or_else(|| {
        let on = root.shown(&format!("{STATE_DIR}/daemon.lock"));
        let todo = "use the running one (SIGHUP reloads its settings), or stop it first";
        Fault::new(Kind::Host, "another `enlist run` is running", on, todo)
    })
}

/// Takes the lock, and waits for another enlist that holds it. The service and user data may start
/// at the same time: then the second one waits, and finds the work done.
///
/// # Errors
/// `Host` if the other one still holds it at the end of the budget.
pub async fn acquire(root: &Root, budget: Duration) -> Result<InstanceLock, Fault> {
    let began = clock::instant();
    let mut is_logged = false;
    loop {
        if let Some(lock) = try_acquire(root)? {
            return Ok(lock);
        }
        if began.elapsed() >= budget {
            let on = root.shown(&format!("{STATE_DIR}/lock"));
            let todo = "wait until it ends, or stop it";
            return Err(Fault::new(Kind::Host, "another enlist is running", on, todo));
        }
        if !is_logged {
            tracing::info!("another enlist is running; waiting for it");
            is_logged = true;
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

/// An engine's lock. While it is held, this process has the name by which the engine honours it.
#[derive(Debug)]
pub struct EngineLock {
    // Dropped first: nobody sees the lock of a process with another name.
    _lock: LinkLock,
    _name: ProcessName,
}

/// Takes an engine's lock, a file with the process id of its holder, and waits a little if it is held.
/// The lock is removed when the value is dropped.
///
/// # Errors
/// `Host` if it is held (the message has the process id), or can't be made.
pub async fn take_pid_lock(root: &Root, lock: &PidLock) -> Result<EngineLock, Fault> {
    let name = ProcessName::set(lock.held_as);
    let lock = link(root, lock).await?;
    Ok(EngineLock { _lock: lock, _name: name })
}

async fn link(root: &Root, lock: &PidLock) -> Result<LinkLock, Fault> {
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
            // A process that may write there can make the file again each time it is removed.
            None if began.elapsed() >= ENGINE_LOCK_TIMEOUT => {
                let todo = "find out what creates it, then run `enlist join`; nothing was written";
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

/// The running process that holds the lock. A process id that now belongs to another program does not
/// count. A process must belong to root, our user, or the lock's owner.
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
        // Its writer may just be about to write the process id, or may have died before.
        "" => return Ok((waited < EMPTY_LOCK_TIMEOUT).then_some(0)),
        digits => match digits.parse() {
            Ok(pid) => pid,
            Err(_) => return Ok(None),
        },
    };
    let owner = owner.map(|(user, _)| user);
    let is_known =
        |argument: &String| argument.contains(lock.program) || argument.contains("enlist");
    // The owner first: another user chooses the arguments of its process, and can delay the read.
    let holds =
        proc::is_trusted(pid, owner.as_slice()) && proc::arguments(pid).iter().any(is_known);
    Ok(holds.then_some(pid))
}

fn held(root: &Root, lock: &PidLock, pid: u32) -> Fault {
    let todo = format!(
        "wait until that {} process ends, or stop it, then run `enlist join`; nothing was written",
        lock.program
    );
    let what = format!("the lock is held by process {pid}");
    Fault::new(Kind::Host, what, root.shown(&lock.at.path), todo)
}
