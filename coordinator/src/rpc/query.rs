//! `Query`: read-only SQL over the documented views, in pages.

use std::sync::Arc;

use descent_proto::convert::InvalidField;
use descent_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::status;
use crate::reader::{Cell, Reader, Table};
use crate::service::Service;
use crate::store::StoreError;

/// Text of the rows in one page: well below the largest message, large enough to cost few messages.
const PAGE_BYTES: usize = 512 << 10;

/// Asks the database through connections that cannot write, whatever the text says.
pub(super) async fn query(
    service: &Arc<Service>,
    request: v1::QueryRequest,
) -> Result<ReceiverStream<Result<v1::QueryResponse, Status>>, Status> {
    let v1::QueryRequest { sql, max_rows } = request;
    if sql.trim().is_empty() {
        return Err(InvalidField::missing("sql").into());
    }
    let most = service.config.limits.query_rows;
    let rows = match max_rows {
        0 => most,
        rows => rows.min(most),
    };
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let table = reader(service).await?.query(&sql, rows).await;
    let table = table.map_err(|error| match error {
        StoreError::Query(reason) => InvalidField::new("sql", reason).into(),
        error => status::of_store(&error),
    })?;
    let longest = service.config.limits.message_bytes / 2;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        for page in pages(table, longest) {
            let over = page.is_err();
            if sender.send(page).await.is_err() || over {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// The reader, opened when it is first needed.
async fn reader(service: &Arc<Service>) -> Result<&Reader, Status> {
    let Some(url) = &service.config.database else {
        return Err(Status::failed_precondition(
            "this coordinator keeps its queue in memory only: there is nothing to query",
        ));
    };
    let open = async {
        let reader = Reader::open(url).await?;
        Ok::<_, StoreError>(reader.with_time_limit(service.config.timing.query))
    };
    service
        .reader
        .get_or_try_init(|| open)
        .await
        .map_err(|error| status::of_store(&error))
}

/// A table in messages: the columns in the first, whether there was more in the last.
fn pages(
    table: Table,
    longest_row: usize,
) -> impl Iterator<Item = Result<v1::QueryResponse, Status>> {
    let mut columns: Vec<String> = table.columns.into_iter().map(|it| it.name).collect();
    let truncated = table.truncated;
    let mut rows = table.rows.into_iter().peekable();
    let mut begun = false;
    std::iter::from_fn(move || {
        if begun && rows.peek().is_none() {
            return None;
        }
        begun = true;
        let mut rows_json = Vec::new();
        let mut bytes = 0;
        while bytes < PAGE_BYTES
            && let Some(row) = rows.next()
        {
            let row = serde_json::Value::Array(row.into_iter().map(json).collect()).to_string();
            if row.len() > longest_row {
                return Some(Err(Status::out_of_range(format!(
                    "a row of {} bytes does not fit into a message: ask for fewer columns",
                    row.len()
                ))));
            }
            bytes += row.len();
            rows_json.push(row);
        }
        Some(Ok(v1::QueryResponse {
            columns: std::mem::take(&mut columns),
            rows_json,
            truncated: truncated && rows.peek().is_none(),
        }))
    })
}

/// A cell as JSON. Numbers that are not finite have no JSON and are null, as they are absent everywhere else.
fn json(cell: Cell) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Int(int) => int.into(),
        Cell::Float(float) => float.into(),
        Cell::Text(text) => text.into(),
        Cell::Bool(bool) => bool.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Column, ColumnKind};

    fn table(rows: usize, text: &str) -> Table {
        let column = |name: &str, kind| Column {
            name: name.into(),
            kind,
        };
        let row = |i: i64| vec![Cell::Int(i), Cell::Text(text.into()), Cell::Float(f64::NAN)];
        Table {
            columns: vec![
                column("i", ColumnKind::Int),
                column("text", ColumnKind::Text),
                column("loss", ColumnKind::Float),
            ],
            rows: (0..rows as i64).map(row).collect(),
            truncated: true,
        }
    }

    #[test]
    fn rows_come_in_order_and_none_is_lost() {
        let text = "x".repeat(10_000);
        let pages: Vec<_> = pages(table(200, &text), 1 << 20)
            .map(Result::unwrap)
            .collect();
        assert!(pages.len() > 2);
        assert_eq!(pages[0].columns, ["i", "text", "loss"]);
        assert!(pages[1..].iter().all(|page| page.columns.is_empty()));
        let (last, others) = pages.split_last().unwrap();
        assert!(last.truncated && others.iter().all(|page| !page.truncated));
        let rows: Vec<&String> = pages.iter().flat_map(|page| &page.rows_json).collect();
        assert_eq!(rows.len(), 200);
        assert_eq!(*rows[7], format!("[7,\"{text}\",null]"));
    }

    #[test]
    fn an_answer_without_rows_has_its_columns() {
        let pages: Vec<_> = pages(table(0, ""), 100).map(Result::unwrap).collect();
        assert_eq!(pages.len(), 1);
        assert_eq!(pages[0].columns.len(), 3);
    }

    #[test]
    fn a_row_over_the_limit_is_an_error() {
        let mut pages = pages(table(1, &"x".repeat(200)), 100);
        assert_eq!(
            pages.next().unwrap().unwrap_err().code(),
            tonic::Code::OutOfRange
        );
    }
}
