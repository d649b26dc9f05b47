//! What a person sees while a join is under way: each step once it is done, and one line with
//! what is being waited for. Without a terminal: log lines.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Global, LogFormat};
use crate::bootstrap::{Now, Status};
use crate::driver::{Log, Observer};

#[derive(Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Where nobody watches.
    log: Log,
    /// The target's word, where there are several.
    word: Option<&'static str>,
    shown: usize,
}

impl Progress {
    /// A progress line where a person watches; nothing elsewhere.
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
        Self { bar, log: Log::default(), word: None, shown: 0 }
    }

    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// Where log lines go: above the progress line, where there is one.
    pub fn writer(&self) -> impl for<'a> tracing_subscriber::fmt::MakeWriter<'a> + use<> {
        let bar = self.bar.clone();
        move || Line { bar: bar.clone(), text: Vec::new() }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// For one target of several, which is named then.
    pub fn of(&self, word: Option<&'static str>) -> Self {
        Self { word, log: Log::of(word), ..self.clone() }
    }

    fn draw(&mut self, bar: &ProgressBar, status: &Status, now: Now) {
        for step in status.steps.iter().skip(self.shown) {
            let target = self.word.map(|word| format!("{word}: ")).unwrap_or_default();
            bar.println(format!("{:>12}  {target}{}", step.kind, step.result));
        }
        self.shown = status.steps.len();
        let doing = match &status.waiting {
            Some(wait) => wait.sentence(now),
            None => status.doing.clone(),
        };
        bar.set_message(doing);
        // Ticks only once there is something to wait for: a join that takes milliseconds needs no
        // thread for it.
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

/// One event's text, written whole when it is dropped.
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
