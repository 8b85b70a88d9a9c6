//! Mistakes in a sweep file: all of them at once, each with its place and the way out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Most mistakes that one report lists; a file with more is not the file that was meant.
pub const MAX_MISTAKES: usize = 100;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the source that it is about.
    pub span: Range<usize>,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
    /// Dotted path of the key, or empty.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The way out, where one can be named.
    pub help: Option<String>,
}

/// Everything that is wrong with a sweep file, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file's text.
    pub source: Arc<str>,
    /// The mistakes, at most [`MAX_MISTAKES`].
    pub list: Vec<Mistake>,
    /// Mistakes beyond those.
    pub left_out: usize,
}

impl fmt::Display for Mistakes {
    /// Plain lines `line:column: path: message`, for logs and for answers over the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes while a file is read.
#[derive(Debug)]
pub(crate) struct Report<'s> {
    source: &'s str,
    list: Vec<(Range<usize>, String, String, Option<String>)>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self {
            source,
            list: Vec::new(),
        }
    }

    /// The file's text.
    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    /// Notes a mistake without a way out.
    pub(crate) fn add(&mut self, span: Range<usize>, path: &str, message: impl Into<String>) {
        self.list
            .push((span, path.to_owned(), message.into(), None));
    }

    /// Notes a mistake with the way out.
    pub(crate) fn add_with_help(
        &mut self,
        span: Range<usize>,
        path: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.list
            .push((span, path.to_owned(), message.into(), help.into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Leaves out mistakes noted after the first `from` that start on a line of an earlier one: they follow from it.
    pub(crate) fn drop_consequences(&mut self, from: usize) {
        let line = |span: &Range<usize>| position(self.source, span.start).0;
        let spoilt: Vec<usize> = self.list[..from]
            .iter()
            .map(|mistake| line(&mistake.0))
            .collect();
        let later = self.list.split_off(from);
        self.list.extend(
            later
                .into_iter()
                .filter(|mistake| !spoilt.contains(&line(&mistake.0))),
        );
    }

    /// The report, or nothing when there was no mistake.
    pub(crate) fn finish(mut self) -> Result<(), Mistakes> {
        if self.list.is_empty() {
            return Ok(());
        }
        self.list
            .sort_by(|a, b| (a.0.start, a.0.end, &a.1).cmp(&(b.0.start, b.0.end, &b.1)));
        self.list.dedup();
        let left_out = self.list.len().saturating_sub(MAX_MISTAKES);
        self.list.truncate(MAX_MISTAKES);
        let list = self
            .list
            .into_iter()
            .map(|(span, path, message, help)| {
                let (line, column) = position(self.source, span.start);
                Mistake {
                    span,
                    line,
                    column,
                    path,
                    message,
                    help,
                }
            })
            .collect();
        Err(Mistakes {
            source: self.source.into(),
            list,
            left_out,
        })
    }
}

/// Line and column of a byte, both from 1; columns count characters.
fn position(source: &str, byte: usize) -> (usize, usize) {
    let mut byte = byte.min(source.len());
    while !source.is_char_boundary(byte) {
        byte -= 1;
    }
    let before = &source[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
