//! A plan as people and programs read it.

use descent_spec::plan::Plan;
use serde_json::json;

use crate::output::{self, Cell, Form, Rows};
use crate::sweep_file::SweepFile;

/// Most lines about single widths in the table for people.
pub(super) const MAX_WIDTHS: usize = 40;

/// The totals, as people read them.
pub(super) fn summary(file: &SweepFile, plan: &Plan, gflops: f64, asked: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    line(
        "sweep",
        format!(
            "{} ({}), {}",
            file.sweep.name(),
            file.sweep.experiment(),
            file.path.display()
        ),
    );
    let names = file.sweep.axis_names();
    line(
        "axes",
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        },
    );
    let excluded = plan.places - plan.points;
    let excluded = match excluded {
        0 => String::new(),
        _ => format!(", {} places excluded or of other blocks", grouped(excluded)),
    };
    line("points", format!("{}{excluded}", grouped(plan.points)));
    if plan.duplicates > 0 {
        line(
            "duplicates",
            format!("{} are the same trial as another", grouped(plan.duplicates)),
        );
    }
    let found = match asked {
        true => format!(", {} finished already", grouped(plan.finished)),
        false => String::new(),
    };
    line(
        "trials",
        format!(
            "{}{found}, {} to train",
            grouped(plan.trials()),
            grouped(plan.left())
        ),
    );
    if plan.chained > 0 {
        let chained = grouped(plan.chained);
        line(
            "chained",
            format!("{chained} start from what another trial of the sweep leaves"),
        );
    }
    if let Some((low, high)) = parameters(plan) {
        line(
            "parameters",
            format!("{} to {} of a network", grouped(low), grouped(high)),
        );
    }
    if let Some((low, high)) = plan.threshold {
        let range = if low == high {
            grouped(low)
        } else {
            format!("{} to {}", grouped(low), grouped(high))
        };
        line("threshold", format!("n·K = {range} parameters"));
    }
    line(
        "cost",
        format!(
            "{} GFLOP, {} GFLOP to do",
            giga(plan.cost),
            giga(plan.cost_left)
        ),
    );
    line(
        "time",
        format!(
            "about {} at {gflops} GFLOP/s (an assumption: say --gflops)",
            duration(plan.cost_left / (gflops * 1e9))
        ),
    );
    line(
        "memory",
        format!(
            "up to {} a trial, and {} of samples that trials share",
            bytes(plan.memory),
            bytes(plan.data_bytes)
        ),
    );
    text.push('\n');
    text
}

fn parameters(plan: &Plan) -> Option<(u64, u64)> {
    let low = plan
        .widths
        .values()
        .map(|width| width.min_parameters)
        .min()?;
    let high = plan
        .widths
        .values()
        .map(|width| width.max_parameters)
        .max()?;
    Some((low, high))
}

/// One row for each width, or for the ends and every so many between when there are more than `most`.
pub(super) fn widths(plan: &Plan, most: usize) -> Rows {
    let mut rows = Rows::new([
        ("width", Form::Count),
        ("trials", Form::Count),
        ("parameters", Form::Count),
        ("gflop", Form::Number),
    ]);
    let every = plan.widths.len().div_ceil(most.max(1));
    let last = plan.widths.len().saturating_sub(1);
    for (at, (width, sum)) in plan.widths.iter().enumerate() {
        if at % every.max(1) == 0 || at == last {
            rows.push([
                i64::from(*width).into(),
                count(sum.trials),
                count(sum.max_parameters),
                (sum.cost / 1e9).into(),
            ]);
        }
    }
    rows
}

fn count(value: u64) -> Cell {
    i64::try_from(value).map_or(Cell::Null, Cell::Int)
}

/// The totals and every width, for programs.
pub(super) fn document(file: &SweepFile, plan: &Plan, gflops: f64) -> serde_json::Value {
    let parameters = parameters(plan);
    let widths: Vec<serde_json::Value> = plan
        .widths
        .iter()
        .map(|(width, sum)| {
            json!({
                "width": width,
                "trials": sum.trials,
                "parameters_min": sum.min_parameters,
                "parameters_max": sum.max_parameters,
                "flop": sum.cost,
            })
        })
        .collect();
    json!({
        "sweep": file.sweep.name(),
        "experiment": file.sweep.experiment().word(),
        "axes": file.sweep.axis_names(),
        "points": plan.points,
        "excluded": plan.places - plan.points,
        "duplicates": plan.duplicates,
        "trials": plan.trials(),
        "finished": plan.finished,
        "left": plan.left(),
        "chained": plan.chained,
        "parameters_min": parameters.map(|(low, _)| low),
        "parameters_max": parameters.map(|(_, high)| high),
        "threshold_min": plan.threshold.map(|(low, _)| low),
        "threshold_max": plan.threshold.map(|(_, high)| high),
        "flop": plan.cost,
        "flop_left": plan.cost_left,
        "assumed_gflops": gflops,
        "estimated_s": plan.cost_left / (gflops * 1e9),
        "trial_memory_bytes": plan.memory,
        "data_bytes": plan.data_bytes,
        "widths": widths,
    })
}

/// 1234567 as 1,234,567.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn giga(flop: f64) -> String {
    output::number((flop / 1e9 * 10.0).round() / 10.0)
}

fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")];
    match units.iter().find(|(unit, _)| seconds >= 2.0 * unit) {
        Some((unit, name)) => format!("{:.1} {name}", seconds / unit),
        None if seconds < 1.0 => "a second".to_owned(),
        None => format!("{seconds:.0} seconds"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.2, 59.0, 119.0, 120.0, 7_300.0, 200_000.0].map(duration),
            [
                "a second",
                "59 seconds",
                "119 seconds",
                "2.0 minutes",
                "2.0 hours",
                "2.3 days"
            ]
        );
        assert_eq!(
            [12, 1_500, 44_000_000].map(bytes),
            ["12 B", "1.5 kB", "44.0 MB"]
        );
    }
}
