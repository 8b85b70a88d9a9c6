//! The forms of an axis: a list, steps, equal distances, equal factors, a count.

use std::ops::Range;

use toml::de::DeTable;

use super::mistake::Report;
use super::read::{self, Item};
use crate::setting::{Bound, Kind, Setting};
use crate::value::Value;

/// Most values that one axis may have.
pub const MAX_AXIS_VALUES: u64 = 1_000_000;

const FORMS: &str = "a list, { values = […] }, { range = [first, last], step = … }, \
                     { linear = [first, last], points = … }, { log = [first, last], points = … }";
const FORM_KEYS: [&str; 7] = [
    "values", "range", "step", "linear", "log", "points", "count",
];

/// Reads an axis in any of its forms.
pub(crate) fn values(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    item: &Item<'_>,
) -> Option<Vec<Value>> {
    if item.get_ref().is_array() {
        return listed(report, path, setting, item);
    }
    let Some(table) = item.get_ref().as_table() else {
        let message = format!("expected an axis, found {}", read::type_of(item.get_ref()));
        let help = format!("an axis is {FORMS}; one value for all trials belongs outside [axes]");
        report.add_with_help(item.span(), path, message, help);
        return None;
    };
    let before = report.len();
    for (key, span, _) in read::entries(table) {
        if !FORM_KEYS.contains(&key) {
            read::unknown_key(report, span, &read::join(path, key), FORM_KEYS);
        }
    }
    let present = |key: &str| table.get(key).is_some();
    let forms: Vec<&str> = ["values", "range", "linear", "log", "count"]
        .into_iter()
        .filter(|key| present(key))
        .collect();
    let form = match forms[..] {
        [form] => form,
        [] => {
            if report.len() == before {
                let help = format!("an axis is {FORMS}");
                report.add_with_help(item.span(), path, "this says no values", help);
            }
            return None;
        }
        _ => {
            let message = format!("an axis has one form, this has {}", forms.join(" and "));
            report.add(item.span(), path, message);
            return None;
        }
    };
    let companion = match form {
        "range" => Some("step"),
        "linear" | "log" => Some("points"),
        _ => None,
    };
    for other in ["step", "points"] {
        if present(other) && companion != Some(other) {
            let message = format!("`{other}` does not go with `{form}`");
            report.add(item.span(), path, message);
        }
    }
    if let Some(companion) = companion.filter(|companion| !present(companion)) {
        report.add(item.span(), path, format!("`{form}` needs `{companion}`"));
    }
    if report.len() > before {
        return None;
    }
    let inner = |key: &str| read::join(path, key);
    match form {
        "values" => listed(report, &inner("values"), setting, table.get("values")?),
        "count" => counted(report, &inner("count"), setting, table.get("count")?),
        "range" => ranged(report, path, setting, table),
        _ => spaced(report, path, setting, table, form),
    }
}

fn listed(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    item: &Item<'_>,
) -> Option<Vec<Value>> {
    let array = read::list(report, path, item)?;
    if array.is_empty() {
        let help = "an empty axis makes a sweep without trials: give a value or remove the axis";
        report.add_with_help(
            item.span(),
            path,
            "this axis has no values",
            help.to_owned(),
        );
        return None;
    }
    if array.len() as u64 > MAX_AXIS_VALUES {
        too_many(report, item.span(), path, array.len() as f64);
        return None;
    }
    let mut values = Vec::with_capacity(array.len());
    let mut seen = std::collections::HashSet::with_capacity(array.len());
    for (i, item) in array.iter().enumerate() {
        if let Some(value) = read::value(report, &format!("{path}[{i}]"), setting.kind, item) {
            if !seen.insert(value.clone()) {
                report.add(item.span(), path, format!("{value} is listed twice"));
            }
            values.push(value);
        }
    }
    Some(values)
}

fn too_many(report: &mut Report<'_>, span: Range<usize>, path: &str, found: f64) {
    let message = format!("an axis has at most {MAX_AXIS_VALUES} values, this has {found:.0}");
    report.add(span, path, message);
}

fn counted(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    item: &Item<'_>,
) -> Option<Vec<Value>> {
    if !setting.key.is_seed() {
        let help = format!("{} is no seed: write {FORMS}", setting.short());
        report.add_with_help(item.span(), path, "only seeds can be counted", help);
        return None;
    }
    let kind = Kind::Integer {
        min: 1,
        max: MAX_AXIS_VALUES,
    };
    match read::value(report, path, kind, item)? {
        Value::Integer(count) => Some((0..count).map(Value::Integer).collect()),
        _ => None,
    }
}

/// First and last number of a form, checked against the setting and each other.
fn ends(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    item: &Item<'_>,
) -> Option<(f64, f64)> {
    if !matches!(setting.kind, Kind::Integer { .. } | Kind::Float { .. }) {
        let message = format!("`{}` is no number: list its values", setting.short());
        report.add_with_help(
            item.span(),
            path,
            message,
            format!("it is {}", setting.kind),
        );
        return None;
    }
    let array = read::list(report, path, item)?;
    let [first, last] = array.iter().collect::<Vec<_>>()[..] else {
        let message = format!("expected [first, last], found {} values", array.len());
        report.add(item.span(), path, message);
        return None;
    };
    let first = read::value(report, path, setting.kind, first);
    let last = read::value(report, path, setting.kind, last);
    let (first, last) = (first?.as_number()?, last?.as_number()?);
    if first >= last {
        let message = format!("the first number ({first}) must be smaller than the last ({last})");
        report.add(item.span(), path, message);
        return None;
    }
    Some((first, last))
}

fn ranged(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    table: &DeTable<'_>,
) -> Option<Vec<Value>> {
    let (range, step) = (table.get("range")?, table.get("step")?);
    let ends = ends(report, &read::join(path, "range"), setting, range);
    let kind = match setting.kind {
        Kind::Integer { max, .. } => Kind::Integer { min: 1, max },
        _ => Kind::Float {
            min: Bound::Open(0.0),
            max: Bound::Closed(1e12),
        },
    };
    let step_path = read::join(path, "step");
    let by = read::value(report, &step_path, kind, step).and_then(|step| step.as_number());
    let ((first, last), by) = (ends?, by?);
    let steps = (last - first) / by;
    if steps >= MAX_AXIS_VALUES as f64 {
        too_many(report, range.span(), path, steps + 1.0);
        return None;
    }
    let whole = steps.round();
    if (steps - whole).abs() > 1e-9 * whole.max(1.0) {
        let below = tidy(first + by * steps.floor());
        let above = tidy(first + by * (steps.floor() + 1.0));
        report.add_with_help(
            step.span(),
            &step_path,
            format!("steps of {by} do not lead from {first} to {last}"),
            format!("end at {below} or {above}: both ends are part of the axis"),
        );
        return None;
    }
    let count = whole as u32;
    collect(
        report,
        path,
        setting,
        range,
        (0..=count).map(|i| first + by * f64::from(i)),
    )
}

fn spaced(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    table: &DeTable<'_>,
    form: &'static str,
) -> Option<Vec<Value>> {
    let (item, points) = (table.get(form)?, table.get("points")?);
    let ends = ends(report, &read::join(path, form), setting, item);
    let kind = Kind::Integer {
        min: 2,
        max: MAX_AXIS_VALUES,
    };
    let points = read::value(report, &read::join(path, "points"), kind, points);
    let (first, last) = ends?;
    let intervals = points?.as_number()? - 1.0;
    if form == "log" && first <= 0.0 {
        let message = "a logarithmic axis starts above 0".to_owned();
        report.add(item.span(), &read::join(path, form), message);
        return None;
    }
    let at = |i: u32| {
        let share = f64::from(i) / intervals;
        if f64::from(i) == intervals {
            last
        } else if form == "log" {
            first * (last / first).powf(share)
        } else {
            first + (last - first) * share
        }
    };
    collect(report, path, setting, item, (0..=intervals as u32).map(at))
}

/// Numbers as values of the setting: rounded to whole ones where the setting is whole, repeats left out.
fn collect(
    report: &mut Report<'_>,
    path: &str,
    setting: &'static Setting,
    item: &Item<'_>,
    numbers: impl Iterator<Item = f64>,
) -> Option<Vec<Value>> {
    let whole = matches!(setting.kind, Kind::Integer { .. });
    let mut values: Vec<Value> = Vec::new();
    for number in numbers {
        let number = if whole { number.round() } else { tidy(number) };
        match setting.kind.float(number) {
            Ok(value) if values.last() == Some(&value) => {}
            Ok(value) => values.push(value),
            Err(unfit) => {
                report.add(item.span(), path, unfit.to_string());
                return None;
            }
        }
    }
    Some(values)
}

/// The number with 12 significant digits: 0.1 + 2 · 0.1 is 0.3, as a person would have written it, on every machine.
fn tidy(number: f64) -> f64 {
    format!("{number:.11e}")
        .parse()
        .expect("a formatted float is a float")
}
