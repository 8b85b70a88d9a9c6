//! Results on stdout: one way, for people and for programs. Progress and notes go to stderr.

mod file;
mod parquet;
mod rows;
mod table;
mod text;

use std::io::{self, BufWriter, IsTerminal, Write};

pub(crate) use file::NewFile;
pub(crate) use parquet::{ParquetFile, read_parquet};
pub(crate) use rows::{Cell, Column, Form, Rows};
pub(crate) use table::number;
pub(crate) use text::{csv, jsonl};

use crate::exit::Failed;
use crate::global::Format;

/// Prints rows in the wanted format.
///
/// # Errors
/// When stdout cannot be written (a reader that went away is no error), or when parquet would go to a terminal.
pub(crate) fn print(rows: &Rows, format: Format) -> anyhow::Result<()> {
    let terminal = io::stdout().is_terminal();
    if format == Format::Parquet {
        if terminal {
            return Err(Failed::usage(
                "parquet is not text: redirect it to a file, or use `descent export --out FILE`",
            ));
        }
        let mut bytes = Vec::new();
        let mut file = ParquetFile::create(&mut bytes, rows, &[])?;
        file.write(rows)?;
        file.finish()?;
        return stdout(|to| to.write_all(&bytes));
    }
    stdout(|to| match format {
        Format::Table => to.write_all(table::render(rows, terminal).as_bytes()),
        Format::Csv => csv(rows, true, to),
        Format::Json => text::json(rows, to),
        Format::Jsonl | Format::Parquet => jsonl(rows, to),
    })
}

/// Prints text as it is.
///
/// # Errors
/// When stdout cannot be written; a reader that went away is no error.
pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    stdout(|to| to.write_all(text.as_bytes()))
}

/// Tells a person something that is not data.
#[allow(
    clippy::print_stderr,
    reason = "notes are for people and never mixed into data"
)]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Writes to stdout. `head` and `less` close it early: then there is nobody left to tell.
fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut to = BufWriter::new(io::stdout().lock());
    let written = write(&mut to).and_then(|()| to.flush());
    let written = written.map_err(|error| anyhow::Error::new(error).context("write to stdout"));
    unless_reader_left(written)
}

/// A result in which a closed stdout is no error.
pub(crate) fn unless_reader_left(result: anyhow::Result<()>) -> anyhow::Result<()> {
    let left = |error: &anyhow::Error| {
        let mut causes = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>());
        causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    };
    match result {
        Err(error) if left(&error) => Ok(()),
        result => result,
    }
}
