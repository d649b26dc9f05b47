//! The log, on stderr or in the journal. Only this program's own events are logged: those of the
//! SDK may hold requests and answers, and so secrets.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as layer};

use super::progress::Progress;
use super::{Global, LogFormat, printer};
use crate::fault::{Fault, Kind};
use crate::text;

/// Starts logging in the format and at the level that the command line asks for.
///
/// # Errors
/// `Host` if the journal is asked for and there is none.
pub fn start(global: &Global, progress: &Progress) -> Result<(), Fault> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => Level::WARN,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let ours = Targets::new().with_target("enlist", level);
    let layer: Box<dyn Layer<_> + Send + Sync> = match global.log_format {
        LogFormat::Text => layer::layer()
            // Of a span: its values alone.
            .fmt_fields(format::debug_fn(|writer, _, value| write!(writer, "{value:?}")))
            .event_format(TextLine)
            .with_writer(progress.writer())
            // It would be reported on stderr, which is what can't be written.
            .log_internal_errors(false)
            .with_ansi(progress.is_shown())
            .boxed(),
        LogFormat::Json => {
            let json = layer::layer().json().with_span_list(false).with_writer(|| JsonLines);
            json.log_internal_errors(false).boxed()
        }
        LogFormat::Journal => journal()?.boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(ours)).init();
    Ok(())
}

/// Standard error; each write is the JSON of one event.
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

/// One line for each event: time, level, target, message, fields.
struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level();
        match colour(*level).filter(|_| writer.has_ansi_escapes()) {
            Some(colour) => write!(writer, " \u{1b}[{colour}m{level:>5}\u{1b}[0m")?,
            None => write!(writer, " {level:>5}")?,
        }
        for span in context.event_scope().into_iter().flatten() {
            if let Some(values) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, " {}:", text::line(values))?;
            }
        }
        let mut words = Words::default();
        event.record(&mut words);
        writeln!(writer, " {}", words.sentence())
    }
}

/// The number of the terminal's colour.
fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        _ => None,
    }
}

/// Fields that are left out of the text log: they are for searches and for counting.
const FOR_PROGRAMS: [&str; 4] = ["message_id", "kind", "failures", "seconds"];

/// What an event says.
#[derive(Default)]
struct Words {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Words {
    /// The message, and the fields whose values it does not have already.
    fn sentence(&self) -> String {
        let mut sentence = text::line(&printer::pasteable(&self.message));
        for (name, value) in &self.fields {
            if !self.message.contains(value.trim_matches('"')) {
                let _ = write!(sentence, " {name}={}", text::line(value));
            }
        }
        sentence
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name if FOR_PROGRAMS.contains(&name) => {}
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }
}

fn journal() -> Result<tracing_journald::Layer, Fault> {
    tracing_journald::layer().map(|layer| layer.with_field_prefix(None)).map_err(|error| {
        let todo = "log to standard error instead: `--log-format text` or `--log-format json`";
        let on = "/run/systemd/journal/socket";
        Fault::new(Kind::Host, "there is no journal to log to", on, todo).because(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn a_field_that_the_message_has_already_is_not_repeated() {
        let fields = vec![("name", "\"i-1\"".to_owned()), ("path", "/a\nb".to_owned())];
        let words = Words { message: "joined as i-1".to_owned(), fields };
        assert_eq!(words.sentence(), "joined as i-1 path=/a b");
    }
}
