//! Metrics in the text format of Prometheus, version 0.0.4: in a file for the textfile collector of
//! node_exporter, and over HTTP on a Unix socket. They contain no secret.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::status_table::{Entry, StatusTable};
use crate::fault::Fault;
use crate::host::{Root, files};

/// How long a client may take to send its request and to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How many clients are served at the same time. More of them wait in the queue of the kernel.
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

    /// Replaces the file if the text has changed. A reader never sees half of it.
    pub fn publish(&mut self, entries: &[Entry]) {
        let Some(path) = &self.path else { return };
        let text = text(entries);
        if text == self.published {
            return;
        }
        match files::replace(&self.root, path, text.as_bytes(), 0o644, None) {
            Ok(()) => self.published = text,
            // Logged once: the next attempts are likely to fail for the same reason.
            Err(fault) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(path, "metrics.textfile can't be written: {}", fault.sentence());
            }
            Err(_) => {}
        }
    }
}

/// Every metric of every target.
pub fn text(entries: &[Entry]) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(entries.to_vec())));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// The entries at one moment.
#[derive(Debug)]
struct Snapshot(Vec<Entry>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The version that runs.";
        let mut info = encoder.encode_descriptor("enlist_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64)
            .encode(info.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)?;
        for (name, help, value) in GAUGES {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for entry in &self.0 {
                if let Some(value) = value(entry) {
                    ConstGauge::new(value).encode(gauge.encode_family(&[("target", entry.id)])?)?;
                }
            }
        }
        let help = "Where the bootstrap is.";
        let mut gauge = encoder.encode_descriptor("enlist_phase", help, None, MetricType::Gauge)?;
        for entry in &self.0 {
            let labels = [("target", entry.id), ("phase", entry.phase.id())];
            ConstGauge::new(1_i64).encode(gauge.encode_family(&labels)?)?;
        }
        let help = "Failures since the settings were read.";
        let mut counter =
            encoder.encode_descriptor("enlist_faults", help, None, MetricType::Counter)?;
        for entry in &self.0 {
            for (kind, count) in &entry.faults {
                let labels = [("target", entry.id), ("kind", *kind)];
                ConstCounter::new(*count).encode(counter.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Name, help and value of the metrics with one value for each target.
type Gauge = (&'static str, &'static str, fn(&Entry) -> Option<i64>);

const GAUGES: [Gauge; 7] = [
    ("enlist_joined", "Whether this node is a member.", |entry| Some(i64::from(entry.is_member()))),
    ("enlist_attempts", "How often the creating call was attempted.", |entry| {
        Some(i64::from(entry.attempts))
    }),
    ("enlist_findings", "Installed files that are missing or damaged.", |entry| {
        i64::try_from(entry.findings).ok()
    }),
    (
        "enlist_known_to_authority",
        "Whether the authority has this member, as it said last.",
        |entry| entry.is_known.map(i64::from),
    ),
    ("enlist_certificate_not_after_seconds", "End of the certificate, Unix time.", |entry| {
        entry.not_after
    }),
    (
        "enlist_certificate_renewal_seconds",
        "When a new certificate or key is asked for, Unix time.",
        |entry| entry.renewal_at,
    ),
    (
        "enlist_last_success_seconds",
        "When it last joined or was inspected without findings, Unix time.",
        |entry| entry.last_success,
    ),
];

/// Makes the socket, in the place of one that an earlier daemon has left.
///
/// # Errors
/// `Host` if it can't be made.
pub fn listen(root: &Root, path: &str) -> Result<UnixListener, Fault> {
    let made = files::bind(root, path, 0o666).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    made.map_err(|error| files::fault(root, "metrics.socket can't be made", path, &error))
}

/// Serves clients for ever, many at the same time: one that does not read delays no other.
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
                    clients.push(tokio::time::timeout(CLIENT_TIMEOUT, answer(stream, status_table)));
                }
                Err(error) => {
                    tracing::warn!(%error, "metrics.socket");
                    // Most likely there are no descriptors left. The clients that are connected are
                    // served meanwhile.
                    let rest = async {
                        while clients.next().await.is_some() {}
                        std::future::pending::<()>().await;
                    };
                    let _ = tokio::time::timeout(CLIENT_TIMEOUT, rest).await;
                }
            },
            Some(answered) = clients.next() => tracing::trace!(?answered, "metrics.socket"),
        }
    }
}

/// Answers with the metrics, whatever the request is.
async fn answer(
    mut stream: UnixStream,
    status_table: &RefCell<StatusTable>,
) -> std::io::Result<()> {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await?;
    let text = status_table.borrow().metrics();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::super::status_table::Entry;
    use super::text;

    #[test]
    fn each_target_has_its_metrics() {
        let mut entry = Entry::new("a-target", true);
        entry.not_after = Some(4_000_000_000);
        entry.faults.insert("transient", 2);
        let text = text(&[entry, Entry::new("another", true)]);
        for part in [
            "# HELP enlist_joined Whether this node is a member.\n# TYPE enlist_joined gauge\n\
             enlist_joined{target=\"a-target\"} 0\nenlist_joined{target=\"another\"} 0\n",
            "enlist_certificate_not_after_seconds{target=\"a-target\"} 4000000000\n# HELP",
            "# TYPE enlist_phase gauge\nenlist_phase{target=\"a-target\",phase=\"new\"} 1\n",
            "# TYPE enlist_faults_total counter\n\
             enlist_faults_total{target=\"a-target\",kind=\"transient\"} 2\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let version = env!("CARGO_PKG_VERSION");
        assert!(text.contains(&format!("enlist_info{{version=\"{version}\"}} 1\n")), "{text}");
    }
}
