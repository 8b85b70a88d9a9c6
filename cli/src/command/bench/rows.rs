//! Measurements as a table: one row a case.

use super::machine;
use super::measure::Measured;
use crate::VERSION;
use crate::global::Format;
use crate::output::{Cell, Form, Rows};

/// Columns that people read; programs get all.
const FOR_PEOPLE: [&str; 9] = [
    "case",
    "networks",
    "threads",
    "evaluations",
    "epoch_ms",
    "slowest_epoch_ms",
    "useful_gflops",
    "share_of_sgemm",
    "peak_memory_mib",
];

/// The measurements as rows.
pub(super) fn rows(measured: &[Measured], format: Format) -> Rows {
    let mut rows = Rows::new([
        ("case", Form::Text),
        ("networks", Form::Count),
        ("parameters", Form::Count),
        ("samples", Form::Count),
        ("batch", Form::Count),
        ("epochs", Form::Count),
        ("evaluations", Form::Count),
        ("threads", Form::Count),
        ("epoch_ms", Form::Number),
        ("fastest_epoch_ms", Form::Number),
        ("slowest_epoch_ms", Form::Number),
        ("all_epoch_ms", Form::Json),
        ("step_us", Form::Number),
        ("useful_gflops", Form::Number),
        ("sgemm_gflops", Form::Number),
        ("share_of_sgemm", Form::Share),
        ("peak_memory_mib", Form::Count),
        ("device", Form::Text),
        ("instruction_set", Form::Text),
        ("processor", Form::Text),
        ("version", Form::Text),
    ]);
    for found in measured {
        let all = found.all_ms_per_epoch();
        let count = |number: u64| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let steps = f64::from(found.samples.div_ceil(found.batch));
        rows.push([
            Cell::Text(found.case.clone()),
            count(found.networks as u64),
            count(found.parameters),
            count(found.samples.into()),
            count(found.batch.into()),
            count(found.epochs.into()),
            count(found.evaluations as u64),
            count(found.threads.into()),
            Cell::Real(found.ms_per_epoch()),
            Cell::Real(all.iter().copied().fold(f64::INFINITY, f64::min)),
            Cell::Real(all.iter().copied().fold(0.0, f64::max)),
            Cell::Text(format!("{}", serde_json::json!(all))),
            Cell::Real(found.ms_per_epoch() * 1e3 / steps),
            Cell::Real(found.gflops()),
            Cell::Real(found.sgemm_gflops),
            Cell::Real(found.gflops() / found.sgemm_gflops),
            Cell::from(
                found
                    .peak_memory_mib
                    .and_then(|mib| i64::try_from(mib).ok()),
            ),
            Cell::Text(found.device.clone()),
            Cell::Text(found.instruction_set.clone()),
            Cell::Text(machine::processor()),
            Cell::Text(VERSION.to_owned()),
        ]);
    }
    match format {
        Format::Table => rows.keeping(|name| FOR_PEOPLE.contains(&name)),
        Format::Csv | Format::Json | Format::Jsonl | Format::Parquet => rows,
    }
}
