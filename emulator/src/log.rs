//! The log on stderr: written by a thread of its own, so that a reader who stops never stops the
//! service. What does not fit into the queue is left out, and counted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

/// How many lines wait for a slow reader.
const QUEUE: usize = 1024;
/// How long the end waits for the last lines to be written.
const PATIENCE: Duration = Duration::from_millis(500);

enum Message {
    Line(String),
    /// All lines before this one are to be written, and then said so.
    Flush(SyncSender<()>),
}

/// Where lines for people go; nowhere when it is off.
#[derive(Debug, Default)]
pub(crate) struct Log {
    queue: Option<SyncSender<Message>>,
    left_out: Arc<AtomicU64>,
}

impl Log {
    /// A log on stderr. The thread ends with the process: it may never get beyond a line.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn to_stderr() -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        Builder::new()
            .name("enlist-emulator-log".to_owned())
            .spawn(move || write_all(&lines, &counted))?;
        Ok(Self { queue: Some(queue), left_out })
    }

    /// Whether lines go anywhere.
    pub const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands a line over; never waits.
    pub fn line(&self, line: String) {
        if let Some(queue) = &self.queue
            && queue.try_send(Message::Line(line)).is_err()
        {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines are written, but no longer than half a second.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if let Some(queue) = &self.queue
            && queue.try_send(Message::Flush(done)).is_ok()
        {
            // Whoever does not read its log in time does without the last lines.
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

fn write_all(lines: &Receiver<Message>, left_out: &AtomicU64) {
    while let Ok(message) = lines.recv() {
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            write(&format!("{count} lines are left out here: nobody read them in time"));
        }
        match message {
            Message::Line(line) => write(&line),
            // The other side may have stopped waiting.
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// A reader that has gone away is no reason to stop.
fn write(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
