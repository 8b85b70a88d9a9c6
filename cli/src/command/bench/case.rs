//! What is measured: sweep files, those of `benches/cases/` built in.

use std::path::Path;

use descent_spec::asked::Asked;
use descent_spec::grid::Point;
use descent_training::device::Device;

use crate::exit::Failed;
use crate::sweep_file::{DataArgs, SweepFile};

/// Makes the list of built-in cases.
macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../../benches/cases/", $name, ".toml")))),+]
    };
}

/// The built-in cases: name and sweep file.
pub(super) static BUILT_IN: [(&str, &str); 13] = built_in![
    "widths-24",
    "small-16",
    "medium-16",
    "wide",
    "lenet-300-100",
    "lenet-300-100-masked",
    "lenet-5",
    "conv-2",
    "fastfood-direct",
    "fastfood-1000",
    "fastfood-10000",
    "pack-128x64",
    "pack-1024x8",
];

/// Cases that make sense on a GPU only: they take long on a core, and nobody would train so many at once there.
const FOR_CUDA: [&str; 2] = ["pack-128x64", "pack-1024x8"];

/// A sweep whose trials are trained side by side.
pub(super) struct Case {
    /// Its name.
    pub(super) name: String,
    /// Its trials.
    pub(super) points: Vec<Point>,
}

impl Case {
    /// The case of this name, or the sweep file at this path.
    ///
    /// # Errors
    /// When there is neither, or the file has mistakes.
    pub(super) fn read(name: &str, data: &DataArgs) -> anyhow::Result<Self> {
        if let Some((name, source)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::of(&SweepFile::parse(
                Path::new(name),
                (*source).to_owned(),
                data,
            )?);
        }
        let path = Path::new(name);
        if !path.exists() {
            let known: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            return Err(Failed::usage(format!(
                "`{name}` is neither a case nor a sweep file; the cases are {}",
                known.join(", ")
            )));
        }
        Self::of(&SweepFile::read(path, data)?)
    }

    fn of(file: &SweepFile) -> anyhow::Result<Self> {
        let points: Vec<Point> = (0..file.grid.raw_points())
            .filter_map(|rank| file.grid.point(rank))
            .collect();
        if points.iter().any(|point| point.key.parent.is_some()) {
            return Err(Failed::usage(format!(
                "{}: trials that start from another's weights cannot be trained side by side; leave train.weight_reuse out",
                file.path.display()
            )));
        }
        // Steps are counted in the first one's batches and samples.
        let first = points.first().map(|point| point.key.pack_key);
        if points.iter().any(|point| Some(point.key.pack_key) != first) {
            return Err(Failed::usage(format!(
                "{}: these trials cannot be trained side by side: let the data, train.batch, the loss, the depth and the kinds of model and optimizer be the same for all",
                file.path.display()
            )));
        }
        Ok(Self {
            name: file.sweep.name().to_owned(),
            points,
        })
    }
}

impl Case {
    /// # Errors
    /// When steps alone are to be measured of trials that have none.
    pub(super) fn suits(&self, whole: bool) -> anyhow::Result<()> {
        let other =
            |point: &Point| point.spec.model.is_closed_form() || point.spec.asked != Asked::Nothing;
        if !whole && self.points.iter().any(other) {
            return Err(Failed::usage(format!(
                "{}: these trials are solved for, or of several trainings, not one by steps: measure them with --whole",
                self.name
            )));
        }
        Ok(())
    }
}

/// The built-in cases for a device.
pub(super) fn defaults(device: Device, data: &DataArgs) -> anyhow::Result<Vec<Case>> {
    let on_cuda = device.cuda().is_some();
    BUILT_IN
        .iter()
        .filter(|(name, _)| FOR_CUDA.contains(name) == on_cuda)
        .map(|(name, _)| Case::read(name, data))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        data: DataArgs,
    }

    #[test]
    fn every_built_in_case_is_a_sweep_of_its_name() {
        let data = Line::parse_from(["descent"]).data;
        for (name, _) in BUILT_IN {
            let case = Case::read(name, &data).unwrap();
            assert_eq!(case.name, name);
            assert!(!case.points.is_empty());
            let pack_key = case.points[0].key.pack_key;
            let together = case
                .points
                .iter()
                .all(|point| point.key.pack_key == pack_key);
            assert!(together, "{name}: its trials can be trained side by side");
        }
    }
}
