//! What was measured, with where and how.

use super::place::Place;
use crate::VERSION;
use crate::command::bench::machine;
use crate::global::Format;
use crate::output::{self, Cell, Form, Rows};

/// Columns that people read; programs get all.
const FOR_PEOPLE: [&str; 5] = ["case", "load", "measure", "value", "unit"];

/// All that was measured so far.
pub(super) struct Figures {
    durability: String,
    sync_ms: f64,
    measured: Vec<Figure>,
}

struct Figure {
    case: &'static str,
    load: String,
    measure: String,
    value: f64,
    unit: &'static str,
}

impl Figures {
    /// None yet.
    pub(super) fn new(place: &Place) -> Self {
        Self {
            durability: place.durability.clone(),
            sync_ms: place.sync_ms,
            measured: Vec::new(),
        }
    }

    /// The machine and what its disk and database promise, in one line.
    pub(super) fn circumstances(&self) -> String {
        format!(
            "{}, {} processors; {}; a sync of the disk takes {} ms",
            machine::processor(),
            processors(),
            self.durability,
            output::number(self.sync_ms),
        )
    }

    /// Adds a figure, and says it.
    pub(super) fn add(
        &mut self,
        case: &'static str,
        load: &str,
        measure: &str,
        value: f64,
        unit: &'static str,
    ) {
        output::note(&format!(
            "{case}, {load}: {measure} {} {unit}",
            output::number(value)
        ));
        self.measured.push(Figure {
            case,
            load: load.to_owned(),
            measure: measure.to_owned(),
            value,
            unit,
        });
    }

    /// Adds the middle, the 99th percentile and the largest of times in seconds.
    pub(super) fn add_times(
        &mut self,
        case: &'static str,
        load: &str,
        measure: &str,
        seconds: &mut [f64],
    ) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)] {
            let value = quantile(seconds, share) * 1e3;
            self.add(case, load, &format!("{measure}, {name}"), value, "ms");
        }
    }

    /// Everything as a table.
    pub(super) fn rows(&self, format: Format) -> Rows {
        let mut rows = Rows::new([
            ("case", Form::Text),
            ("load", Form::Text),
            ("measure", Form::Text),
            ("value", Form::Number),
            ("unit", Form::Text),
            ("durability", Form::Text),
            ("sync_ms", Form::Number),
            ("processor", Form::Text),
            ("processors", Form::Count),
            ("version", Form::Text),
        ]);
        for figure in &self.measured {
            rows.push([
                Cell::Text(figure.case.to_owned()),
                Cell::Text(figure.load.clone()),
                Cell::Text(figure.measure.clone()),
                Cell::Real(figure.value),
                Cell::Text(figure.unit.to_owned()),
                Cell::Text(self.durability.clone()),
                Cell::Real(self.sync_ms),
                Cell::Text(machine::processor()),
                Cell::from(processors() as u64),
                Cell::Text(VERSION.to_owned()),
            ]);
        }
        match format {
            Format::Table => rows.keeping(|name| FOR_PEOPLE.contains(&name)),
            Format::Csv | Format::Json | Format::Jsonl | Format::Parquet => rows,
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The value that this share of all is not above; NaN of none.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = (share * values.len() as f64).ceil() as usize;
    match values.get(place.saturating_sub(1)) {
        Some(value) => *value,
        None => f64::NAN,
    }
}

/// The middle of them.
pub(super) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.5), 100.0);
        assert_eq!(quantile(&mut values, 0.99), 198.0);
        assert_eq!(quantile(&mut values, 1.0), 200.0);
        assert_eq!(quantile(&mut [3.0], 0.01), 3.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
