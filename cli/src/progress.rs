//! Progress on stderr: a bar on a terminal, a line every 30 s elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Time between two lines where there is no terminal: a day of Slurm log stays readable.
const BETWEEN_LINES: Duration = Duration::from_secs(30);
/// Steps of the bar.
const STEPS: u64 = 10_000;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// A bar on a terminal, lines elsewhere.
    Auto,
    /// A line every 30 s.
    Plain,
    /// Nothing.
    None,
}

/// Where progress goes.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A bar.
    Bar(ProgressBar),
    /// Lines, the last one at this time.
    Lines(Option<Instant>),
    /// Nowhere.
    Silent,
}

impl Progress {
    /// Begins.
    pub(crate) fn start(style: Style) -> Self {
        match style {
            Style::None => Self::Silent,
            Style::Auto if std::io::stderr().is_terminal() => {
                let bar = ProgressBar::with_draw_target(
                    Some(STEPS),
                    ProgressDrawTarget::stderr_with_hz(4),
                );
                let template = ProgressStyle::with_template("{spinner} [{bar:32}] {wide_msg}");
                bar.set_style(
                    template
                        .expect("the template is well formed")
                        .progress_chars("━╸ "),
                );
                bar.enable_steady_tick(Duration::from_millis(250));
                Self::Bar(bar)
            }
            Style::Auto | Style::Plain => Self::Lines(None),
        }
    }

    /// Shows how far it is: `share` in [0, 1], and a line.
    pub(crate) fn show(&mut self, share: f64, line: &str) {
        match self {
            Self::Bar(bar) => {
                bar.set_position((share * STEPS as f64) as u64);
                bar.set_message(line.to_owned());
            }
            Self::Lines(last) if last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES) => {
                *last = Some(Instant::now());
                output::note(line);
            }
            Self::Lines(_) | Self::Silent => {}
        }
    }

    /// Ends with a last line.
    pub(crate) fn end(&self, line: &str) {
        match self {
            Self::Bar(bar) => {
                bar.finish_and_clear();
                output::note(line);
            }
            Self::Lines(_) => output::note(line),
            Self::Silent => {}
        }
    }
}
