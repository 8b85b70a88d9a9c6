//! Parquet files: typed columns, zstd, and metadata that says what the file is.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::rows::{Cell, Column, Form, Rows};

/// A file that takes rows slice by slice.
pub(crate) struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file with the columns of `rows`; `metadata` goes into its schema.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub(crate) fn create(to: W, rows: &Rows, metadata: &[(&str, String)]) -> anyhow::Result<Self> {
        let fields: Vec<Field> = (0..rows.columns.len())
            .map(|at| Field::new(&rows.columns[at].name, kind(rows, at), true))
            .collect();
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(to, Arc::clone(&schema), Some(properties))
            .context("begin a parquet file")?;
        Ok(Self { writer, schema })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&mut self, rows: &Rows) -> anyhow::Result<()> {
        let fields = self.schema.fields().iter().enumerate();
        let columns: Vec<ArrayRef> = fields
            .map(|(at, field)| array(rows, at, field.data_type()))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .context("make a parquet batch")?;
        self.writer.write(&batch).context("write parquet")
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.writer.close().context("end a parquet file")?;
        Ok(())
    }
}

/// The type of a column: by what it means where that is known, else by its values.
fn kind(rows: &Rows, at: usize) -> DataType {
    match rows.columns[at].form {
        Form::Number | Form::Share => return DataType::Float64,
        Form::Flag => return DataType::Boolean,
        Form::Json => return DataType::Utf8,
        Form::Text | Form::Count => {}
    }
    let mut found = None;
    for row in &rows.rows {
        found = match (&row[at], found) {
            (Cell::Null, found) => found,
            (Cell::Text(_), _) => return DataType::Utf8,
            (Cell::Flag(_), _) => Some(DataType::Boolean),
            (Cell::Real(_), _) => Some(DataType::Float64),
            (Cell::Int(_), Some(found)) => Some(found),
            (Cell::Int(_), None) => Some(DataType::Int64),
        };
    }
    let unknown = if rows.columns[at].form == Form::Count {
        DataType::Int64
    } else {
        DataType::Utf8
    };
    found.unwrap_or(unknown)
}

fn array(rows: &Rows, at: usize, kind: &DataType) -> ArrayRef {
    let cells = rows.rows.iter().map(|row| &row[at]);
    match kind {
        DataType::Int64 => Arc::new(cells.map(Cell::int).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(cells.map(Cell::number).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(
            cells
                .map(|cell| cell.int().map(|value| value != 0))
                .collect::<BooleanArray>(),
        ),
        _ => Arc::new(cells.map(words).collect::<StringArray>()),
    }
}

fn words(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.clone()),
        Cell::Int(value) => Some(value.to_string()),
        Cell::Real(value) => Some(value.to_string()),
        Cell::Flag(value) => Some(value.to_string()),
    }
}

/// Reads a file whole.
///
/// # Errors
/// When it cannot be read, is not parquet, or has a column of a type that descent never writes.
pub(crate) fn read_parquet(path: &Path) -> anyhow::Result<Rows> {
    let file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .with_context(|| format!("{} is not a readable parquet file", path.display()))?;
    let columns = builder.schema().fields().iter();
    let mut rows = Rows {
        columns: columns
            .map(|field| Column {
                name: field.name().clone(),
                form: Form::of(field.name()),
            })
            .collect(),
        rows: Vec::new(),
    };
    for batch in builder.build().context("read parquet")? {
        let batch = batch.with_context(|| format!("{} is damaged", path.display()))?;
        for at in 0..batch.num_rows() {
            let row = batch.columns().iter().map(|column| cell(column, at));
            rows.rows.push(row.collect::<anyhow::Result<Vec<Cell>>>()?);
        }
    }
    Ok(rows)
}

fn cell(column: &ArrayRef, at: usize) -> anyhow::Result<Cell> {
    if column.is_null(at) {
        return Ok(Cell::Null);
    }
    Ok(match column.data_type() {
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => Cell::Real(column.as_primitive::<Float64Type>().value(at)),
        DataType::Boolean => Cell::Flag(column.as_boolean().value(at)),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(at).to_owned()),
        other => anyhow::bail!("a column of type {other} is not from `descent export`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut rows = Rows::new([
            ("sweep", Form::Text),
            ("width", Form::Count),
            ("test_loss", Form::Number),
            ("diverged", Form::Flag),
        ]);
        rows.push(["a".into(), 3_i64.into(), 0.1.into(), false.into()]);
        rows.push([Cell::Null, Cell::Null, Cell::Null, true.into()]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("rows.parquet");
        let to = std::fs::File::create(&path).expect("a new file");
        let mut file = ParquetFile::create(to, &rows, &[("descent.views", "1".to_owned())])
            .expect("a writable file");
        file.write(&rows).expect("rows of one type a column");
        file.write(&rows).expect("a second slice");
        file.finish().expect("room on the disk");
        let read = read_parquet(&path).expect("the file just written");
        assert_eq!(read.columns, rows.columns);
        assert_eq!(read.rows[..2], rows.rows[..]);
        assert_eq!(read.rows[2..], rows.rows[..]);
    }

    #[test]
    fn whole_numbers_among_others_become_numbers() {
        let mut rows = Rows::new([("x", Form::Text)]);
        rows.push([1_i64.into()]);
        rows.push([0.5.into()]);
        assert_eq!(kind(&rows, 0), DataType::Float64);
    }
}
