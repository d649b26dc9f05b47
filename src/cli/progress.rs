//! What a person sees during `join` and `leave`: each step when it is done, and one line that says
//! what is being done now. Without a terminal there are log lines instead.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Global, LogFormat};
use crate::bootstrap::{Now, Status};
use crate::driver::{Log, Observer};

#[derive(Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Used if there is no bar.
    log: Log,
    /// The target's id, if there are several.
    target: Option<&'static str>,
    steps: usize,
}

impl Progress {
    /// With a progress line if it is wanted, standard error is a terminal, and the log is text.
    pub fn new(global: &Global, wanted: bool) -> Self {
        let is_watched = wanted
            && !global.quiet
            && global.log_format == LogFormat::Text
            && io::stderr().is_terminal();
        let bar = is_watched.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, log: Log::default(), target: None, steps: 0 }
    }

    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// Writes log lines; above the progress line, if there is one.
    pub fn writer(&self) -> impl for<'a> tracing_subscriber::fmt::MakeWriter<'a> + use<> {
        let bar = self.bar.clone();
        move || Line { bar: bar.clone(), text: Vec::new() }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The progress of one target; its id is shown if there are several.
    pub fn of(&self, target: Option<&'static str>) -> Self {
        Self { target, ..self.clone() }
    }

    fn draw(&mut self, bar: &ProgressBar, status: &Status, now: Now) {
        for step in status.steps.iter().skip(self.steps) {
            let target = self.target.map(|target| format!("{target}: ")).unwrap_or_default();
            bar.println(format!("{:>12}  {target}{}", step.kind, step.result));
        }
        self.steps = status.steps.len();
        let doing = match &status.waiting {
            Some(wait) if wait.is_fault => {
                format!("attempt {} failed: {}", status.failures, wait.sentence(now))
            }
            Some(wait) => wait.sentence(now),
            None => status.doing.clone(),
        };
        bar.set_message(doing);
        // The thread that redraws the line starts here and not earlier: a node that has joined
        // already needs none.
        bar.enable_steady_tick(Duration::from_millis(120));
    }
}

impl Observer for Progress {
    fn observe(&mut self, status: &Status, now: Now) {
        match self.bar.clone() {
            Some(bar) => self.draw(&bar, status, now),
            None => self.log.observe(status, now),
        }
    }
}

/// The text of one event, written as a whole on drop.
struct Line {
    bar: Option<ProgressBar>,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        match &self.bar {
            Some(bar) => bar.println(text.trim_end()),
            None => {
                let _ = io::stderr().lock().write_all(&self.text);
            }
        }
    }
}
