//! What the command line asks for: seeds of one's own, or the tests that a test runner lists and names.

use std::ops::Range;

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// `--seeds A..B`
    pub(crate) seeds: Option<Range<u64>>,
    /// `--seed N`
    pub(crate) seed: Option<u64>,
    /// `--trace`
    pub(crate) trace: bool,
    /// `--broken NAME`
    pub(crate) broken: Option<String>,
    /// `--threads N`
    pub(crate) threads: Option<usize>,
    /// `--list`, as test runners ask.
    pub(crate) list: bool,
    /// `--ignored`, as test runners ask: there are no such tests.
    pub(crate) ignored: bool,
    /// `--exact`
    pub(crate) exact: bool,
    /// Names, or parts of them, of tests to run.
    pub(crate) filters: Vec<String>,
}

impl Arguments {
    pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} takes a value"));
            match word.as_str() {
                "--seeds" => {
                    let value = value()?;
                    let range = value.split_once("..").ok_or("--seeds takes A..B")?;
                    arguments.seeds = Some(number(range.0)?..number(range.1)?);
                }
                "--seed" => arguments.seed = Some(number(&value()?)?),
                "--threads" => {
                    let threads = number(&value()?)?;
                    arguments.threads = Some(usize::try_from(threads).map_err(|e| e.to_string())?);
                }
                "--broken" => arguments.broken = Some(value()?),
                "--trace" => arguments.trace = true,
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored = true,
                "--exact" => arguments.exact = true,
                "--format" | "--color" | "--test-threads" | "-Z" | "--skip" => drop(value()?),
                flag if flag.starts_with('-') => {} // --nocapture and the like
                _ => arguments.filters.push(word),
            }
        }
        Ok(arguments)
    }

    /// Whether a test of this name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact {
                filter == name
            } else {
                name.contains(filter.as_str())
            }
        };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))
}
