//! What was measured on the way to results: rows of the view `metrics`, put together by trial and epoch.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use descent_spec::outcome::Measurement;

use super::{Found, rows};
use crate::exit::Failed;
use crate::output::Rows;

/// Measurements by epoch, of trials by their row number where the file was written.
pub(super) type Curves = BTreeMap<i64, BTreeMap<u32, Measurement>>;

/// Reads a file of measurements whole.
pub(super) fn read(file: &Path) -> anyhow::Result<Curves> {
    let rows = rows(file)?;
    let mut curves = Curves::new();
    for at in 0..rows.rows.len() {
        put(&mut curves, &rows, at).map_err(|error| {
            Failed::usage(format!("{}, row {}: {error:#}", file.display(), at + 1))
        })?;
    }
    Ok(curves)
}

fn put(curves: &mut Curves, rows: &Rows, at: usize) -> anyhow::Result<()> {
    let cell = |name: &str| {
        let place = rows.column(name);
        let place = place
            .with_context(|| format!("column `{name}` is missing: export the table `metrics`"))?;
        anyhow::Ok(&rows.rows[at][place])
    };
    let whole = |name: &str| {
        let value = cell(name)?.int();
        value.with_context(|| format!("column `{name}` holds no whole number"))
    };
    let text = |name: &str| {
        let value = cell(name)?.text();
        value.with_context(|| format!("column `{name}` is empty"))
    };
    let epoch = u32::try_from(whole("epoch")?).context("column `epoch` holds no epoch")?;
    let value = cell("value")?.number();
    let value = value.context("column `value` holds no number")?;
    let epochs = curves.entry(whole("trial")?).or_default();
    let measurement = epochs
        .entry(epoch)
        .or_insert_with(|| Measurement::of_epoch(epoch));
    let number = match (text("split")?, text("name")?) {
        ("train", "loss") => &mut measurement.train_loss,
        ("train", "error") => &mut measurement.train_error,
        ("validation", "loss") => &mut measurement.validation_loss,
        ("validation", "error") => &mut measurement.validation_error,
        ("test", "loss") => &mut measurement.test_loss,
        ("test", "error") => &mut measurement.test_error,
        ("train", "dead_units") => {
            let units = value as u32;
            anyhow::ensure!(f64::from(units) == value, "{value} is no number of units");
            measurement.dead_units = Some(units);
            return Ok(());
        }
        (split, name) => anyhow::bail!("nothing is called `{name}` of `{split}`"),
    };
    *number = Some(value);
    Ok(())
}

/// Gives results what was measured on the way to them.
///
/// # Errors
/// When the last measurement of a trial is not its result: the files are of different databases.
pub(super) fn join(found: &mut [Found], mut curves: Curves) -> anyhow::Result<()> {
    for found in found {
        let Some(epochs) = found.trial.and_then(|trial| curves.remove(&trial)) else {
            continue;
        };
        let last = &found.result.result.last;
        let measured = epochs.get(&last.epoch);
        let measured = measured.map(|measured| (measured.train_loss, measured.test_loss));
        let ended = (last.train_loss, last.test_loss);
        anyhow::ensure!(
            // What is no longer a number is not in the view.
            measured == Some(ended) || ended == (None, None),
            "trial {} has other losses here after epoch {} than in the results: export both from one database",
            found.trial.unwrap_or_default(),
            last.epoch,
        );
        found.result.measurements = epochs.into_values().collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Form;

    fn measured(rows: &[(i64, i64, &str, &str, f64)]) -> anyhow::Result<Curves> {
        let columns = ["trial", "epoch", "split", "name", "value"];
        let mut table = Rows::new(columns.map(|name| (name, Form::Number)));
        for &(trial, epoch, split, name, value) in rows {
            table.push([
                trial.into(),
                epoch.into(),
                split.into(),
                name.into(),
                value.into(),
            ]);
        }
        let mut curves = Curves::new();
        for at in 0..table.rows.len() {
            put(&mut curves, &table, at)?;
        }
        Ok(curves)
    }

    #[test]
    fn rows_become_measurements() {
        let rows = [
            (7, 1, "train", "loss", 0.5),
            (7, 1, "train", "dead_units", 3.0),
            (7, 2, "test", "error", 0.25),
            (8, 1, "validation", "loss", 1.5),
        ];
        let curves = measured(&rows).unwrap();
        assert_eq!(curves.len(), 2);
        assert_eq!(curves[&7][&1].train_loss, Some(0.5));
        assert_eq!(curves[&7][&1].dead_units, Some(3));
        assert_eq!(curves[&7][&2].test_error, Some(0.25));
        assert_eq!(curves[&8][&1].validation_loss, Some(1.5));
    }

    #[test]
    fn what_is_no_measurement_is_named() {
        for (row, expected) in [
            ((1, 1, "train", "colour", 0.5), "nothing is called `colour`"),
            (
                (1, -1, "train", "loss", 0.5),
                "column `epoch` holds no epoch",
            ),
            (
                (1, 1, "train", "dead_units", 0.5),
                "0.5 is no number of units",
            ),
        ] {
            let error = measured(&[row]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }
}
