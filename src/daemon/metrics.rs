//! Metrics in Prometheus' text format (exposition format 0.0.4), for node_exporter's textfile
//! collector and for whoever asks on a Unix socket. They hold no secret.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::status_table::{Entry, StatusTable};
use crate::fault::Fault;
use crate::host::{Root, files};

/// How long a client may take to ask and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many clients are answered at a time; more wait in the kernel's queue.
const MOST_CLIENTS: usize = 256;

/// Keeps the text file up to date.
pub struct Publisher {
    root: Root,
    path: Option<String>,
    published: String,
    has_failed: bool,
}

impl Publisher {
    pub fn new(root: &Root, path: Option<String>) -> Self {
        Self { root: root.clone(), path, published: String::new(), has_failed: false }
    }

    /// Writes the file where it would say something new; whole, so that nobody reads half of it.
    pub fn publish(&mut self, entries: &[Entry]) {
        let Some(path) = &self.path else { return };
        let text = text(entries);
        if text == self.published {
            return;
        }
        match files::replace(&self.root, path, text.as_bytes(), 0o644, None) {
            Ok(()) => self.published = text,
            // Once is enough: a directory that is not there will not be there the next time.
            Err(fault) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(
                    "metrics.textfile is not kept: {fault}: {}",
                    fault.causes.join("; ")
                );
            }
            Err(_) => {}
        }
    }
}

/// Every metric of every target.
pub fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    head(&mut text, "enlist_info", "gauge", "The version that runs.");
    let _ = writeln!(text, "enlist_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Entry) -> Option<i64>| {
        head(&mut text, name, kind, help);
        for entry in entries {
            if let Some(value) = value(entry) {
                let _ = writeln!(text, "{name}{{target=\"{}\"}} {value}", entry.id);
            }
        }
    };
    each("enlist_joined", "gauge", "Whether this node is a member.", &|entry| {
        Some(i64::from(entry.is_member()))
    });
    each("enlist_attempts", "gauge", "How often the creating call was attempted.", &|entry| {
        Some(i64::from(entry.attempts))
    });
    each("enlist_findings", "gauge", "Installed files that are missing or damaged.", &|entry| {
        i64::try_from(entry.findings).ok()
    });
    let name = "enlist_certificate_not_after_seconds";
    each(name, "gauge", "End of the certificate, Unix time.", &|entry| entry.not_after);
    let name = "enlist_certificate_renewal_seconds";
    each(name, "gauge", "When a new one is asked for, Unix time.", &|entry| entry.renewal_at);
    let name = "enlist_last_success_seconds";
    each(name, "gauge", "When it last joined or was found well, Unix time.", &|entry| {
        entry.last_success
    });
    head(&mut text, "enlist_phase", "gauge", "Where the bootstrap is.");
    for entry in entries {
        let (word, phase) = (entry.id, entry.phase.id());
        let _ = writeln!(text, "enlist_phase{{target=\"{word}\",phase=\"{phase}\"}} 1");
    }
    head(&mut text, "enlist_faults_total", "counter", "Failures since the settings were read.");
    for entry in entries {
        for (kind, count) in &entry.faults {
            let word = entry.id;
            let _ =
                writeln!(text, "enlist_faults_total{{target=\"{word}\",kind=\"{kind}\"}} {count}");
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Makes the socket; one that a former daemon left behind is replaced.
///
/// # Errors
/// `Host` where it can't be made.
pub fn listen(root: &Root, path: &str) -> Result<UnixListener, Fault> {
    let made = files::bind(root, path, 0o666).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    made.map_err(|error| files::fault(root, "could not make metrics.socket", path, &error))
}

/// Answers, for ever: many clients at a time, so that one that does not read holds up none.
pub async fn serve(
    listener: Option<UnixListener>,
    status_table: &RefCell<StatusTable>,
) -> std::convert::Infallible {
    let Some(listener) = listener else { return std::future::pending().await };
    let mut clients = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < MOST_CLIENTS => match accepted {
                Ok((stream, _)) => {
                    clients.push(tokio::time::timeout(PATIENCE, answer(stream, status_table)));
                }
                Err(error) => {
                    tracing::warn!(%error, "metrics.socket");
                    // No descriptors are left, most likely: those that are connected go on.
                    let rest = async {
                        while clients.next().await.is_some() {}
                        std::future::pending::<()>().await;
                    };
                    let _ = tokio::time::timeout(PATIENCE, rest).await;
                }
            },
            Some(answered) = clients.next() => tracing::trace!(?answered, "metrics.socket"),
        }
    }
}

/// Whatever was asked for: there is one answer.
async fn answer(
    mut stream: UnixStream,
    status_table: &RefCell<StatusTable>,
) -> std::io::Result<()> {
    let mut asked = [0; 1024];
    let _ = stream.read(&mut asked).await?;
    let text = status_table.borrow().metrics();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
