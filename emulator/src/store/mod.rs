//! `--state FILE`: what the account holds, kept across restarts and crashes.
//!
//! The file is a log of changes: a call is answered when its changes are on the disk. One thread
//! writes; what has come meanwhile goes into the next line together, with one `fdatasync`. When most
//! of the file is out of date, it is written anew beside itself and renamed.

#![allow(
    clippy::disallowed_methods,
    reason = "the room that keeps the state's file; --state names it, and nobody else may write there"
)]

mod file;
pub(crate) mod line;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

use crate::control::Change;
pub(crate) use file::{Row, StateFile};

/// How much goes into one line, in bytes, before the next begins.
const LINE: usize = 4 * 1024 * 1024;

/// A file of the state that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("cannot use the state file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another emulator uses it.
    #[error("the state file {path} is in use by another emulator; stop that one, or name another")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no state file, or one of another version.
    #[error("{path} is not a state file of this emulator; name another, or move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A line in the middle is not as it was written.
    #[error(
        "the state file {path} is damaged at byte {offset}: {reason}; move it away to begin anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

impl StateError {
    fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Whether changes are on the disk; the error is for people.
type Written = Result<(), String>;

struct Job {
    changes: Vec<Change>,
    done: oneshot::Sender<Written>,
}

/// Changes that are being written.
pub(crate) struct Receipt(oneshot::Receiver<Written>);

impl Receipt {
    /// Waits until they are on the disk.
    pub async fn written(self) -> Written {
        self.0.await.unwrap_or_else(|_| Err("the writing thread has ended".to_owned()))
    }

    /// The same outside of a runtime.
    pub fn blocking_written(self) -> Written {
        let written = self.0.blocking_recv();
        written.unwrap_or_else(|_| Err("the writing thread has ended".to_owned()))
    }
}

/// The file, and the thread that writes it. It ends when this value is dropped, with everything on
/// the disk.
pub(crate) struct Store {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Jobs that are not yet done.
    pending: Arc<AtomicU64>,
}

impl Store {
    /// Starts to write.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(file: StateFile) -> std::io::Result<Self> {
        let (jobs, received) = channel();
        let pending = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&pending);
        let thread = Builder::new()
            .name("enlist-emulator-state".to_owned())
            .spawn(move || write_all(&received, file, &counted))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), pending })
    }

    /// Hands changes over. None when there are none, and all before are written.
    pub fn commit(&self, changes: Vec<Change>) -> Option<Receipt> {
        if changes.is_empty() && self.pending.load(Ordering::Acquire) == 0 {
            return None;
        }
        let (done, receipt) = oneshot::channel();
        self.pending.fetch_add(1, Ordering::AcqRel);
        // When the thread is gone, the receipt says so.
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(Job { changes, done }));
        drop(sent);
        Some(Receipt(receipt))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

fn write_all(jobs: &Receiver<Job>, mut file: StateFile, pending: &AtomicU64) {
    // What could not be written, which goes with the next.
    let mut unwritten = Vec::new();
    while let Ok(first) = jobs.recv() {
        let mut waiting = vec![first.done];
        unwritten.extend(first.changes);
        while line::size(&unwritten) < LINE
            && let Ok(next) = jobs.try_recv()
        {
            waiting.push(next.done);
            unwritten.extend(next.changes);
        }
        let written = if unwritten.is_empty() { Ok(()) } else { file.append(&unwritten) };
        if written.is_ok() {
            unwritten.clear();
        }
        let count = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
        pending.fetch_sub(count, Ordering::AcqRel);
        let written = written.map_err(|error| error.to_string());
        for done in waiting {
            // The client may have gone away.
            let _ = done.send(written.clone());
        }
        if written.is_ok() {
            // An error here is met again, and told, by the next append.
            let _ = file.tidy();
        }
    }
}
