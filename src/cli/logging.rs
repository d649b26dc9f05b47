//! Logs go to stderr, or to the journal. Only our own: the SDK's may hold requests and answers.

use std::io;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::progress::Progress;
use super::{Global, LogFormat};
use crate::fault::{Fault, Kind};
use crate::text;

pub fn start(global: &Global, progress: &Progress) -> Result<(), Fault> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => tracing::Level::WARN,
        (false, 0) => tracing::Level::INFO,
        (false, 1) => tracing::Level::DEBUG,
        (false, _) => tracing::Level::TRACE,
    };
    let ours = Targets::new().with_target("enlist", level);
    let layer: Box<dyn Layer<_> + Send + Sync> = match global.log_format {
        LogFormat::Text => fmt::layer()
            .fmt_fields(format::debug_fn(readable).delimited(" "))
            .with_writer(progress.writer())
            .with_ansi(progress.is_shown())
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(|| JsonLines).boxed(),
        LogFormat::Journal => journal()?.boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(ours)).init();
    Ok(())
}

/// Standard error, for one event's JSON at a time.
struct JsonLines;

impl io::Write for JsonLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = text::json(&String::from_utf8_lossy(bytes));
        io::stderr().lock().write_all(text.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tells kinds of messages apart is for the journal, and no reading.
fn readable(
    writer: &mut format::Writer<'_>,
    field: &Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    match field.name() {
        "message" => writer.write_str(&text::line(&format!("{value:?}"))),
        "message_id" => Ok(()),
        name => write!(writer, "{name}={}", text::line(&format!("{value:?}"))),
    }
}

fn journal() -> Result<tracing_journald::Layer, Fault> {
    tracing_journald::layer().map(|layer| layer.with_field_prefix(None)).map_err(|error| {
        let on = "/run/systemd/journal/socket";
        Fault::new(Kind::Host, "there is no journal to log to", on, "use --log-format text or json")
            .because(&error)
    })
}
