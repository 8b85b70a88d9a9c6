//! Trains a case again and again, by the clock.

use std::num::NonZeroU32;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use descent_spec::shape;
use descent_spec::trial::{EvaluateSpec, Spread, TrialSpec};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::pack::{Event, Member, Pack};

use super::case::Case;
use super::machine;
use super::together::together;
use crate::exit::Failed;

/// How long one measurement shall take at least, where nobody says how many epochs it has.
const MEASUREMENT: Duration = Duration::from_millis(400);

/// Epochs of a training that never ends by itself.
const ENDLESS: u32 = 1_000_000_000;

/// How a case is measured.
pub(super) struct Effort {
    /// Packs trained at the same time, one thread each.
    pub(super) threads: u32,
    /// Measurements.
    pub(super) repeat: NonZeroU32,
    /// Epochs of one measurement.
    pub(super) epochs: Option<NonZeroU32>,
    /// Whether whole trials are trained, evaluations included.
    pub(super) whole: bool,
    /// The instruction set on the processor, where it shall not be the widest.
    pub(super) instruction_set: Option<String>,
}

/// What was measured of a case.
pub(super) struct Measured {
    pub(super) case: String,
    pub(super) networks: usize,
    pub(super) parameters: u64,
    pub(super) samples: u32,
    pub(super) batch: u32,
    /// Epochs of one measurement.
    pub(super) epochs: u32,
    /// Evaluations of every network within one measurement.
    pub(super) evaluations: usize,
    pub(super) threads: u32,
    pub(super) device: String,
    pub(super) instruction_set: String,
    /// Useful floating-point operations of one measurement of one pack.
    pub(super) flops: f64,
    /// Wall time of each measurement: all threads' packs.
    pub(super) seconds: Vec<f64>,
    /// The rate of a large product on as many threads, just before.
    pub(super) sgemm_gflops: f64,
    pub(super) peak_memory_mib: Option<u64>,
}

impl Measured {
    /// Milliseconds that an epoch of one whole case took in each measurement. Threads share the work: two packs in the time of one halve it.
    pub(super) fn all_ms_per_epoch(&self) -> Vec<f64> {
        let share = f64::from(self.epochs) * f64::from(self.threads);
        self.seconds.iter().map(|took| took * 1e3 / share).collect()
    }

    /// Their median.
    pub(super) fn ms_per_epoch(&self) -> f64 {
        median(self.all_ms_per_epoch())
    }

    /// Useful operations a second over all threads, in 10⁹.
    pub(super) fn gflops(&self) -> f64 {
        self.flops / f64::from(self.epochs) / self.ms_per_epoch() / 1e6
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Measures a case.
///
/// # Errors
/// When a trial cannot start, fails, or ends early, because then less was trained than is counted.
pub(super) fn measure(
    case: &Case,
    data: &DataStore,
    device: Device,
    effort: &Effort,
) -> anyhow::Result<Measured> {
    machine::forget_peak_memory();
    let sgemm_gflops = machine::sgemm_gflops(effort.threads)?;
    let bench = Bench {
        case,
        data,
        device,
        effort,
    };
    let (epochs, seconds) = if effort.whole {
        bench.whole()?
    } else {
        bench.steps()?
    };
    let first = &case.points[0];
    let flops = case.points.iter().map(|point| {
        let spec = bench.spec(&point.spec, 0, epochs);
        if effort.whole {
            shape::cost_flops(&spec, &point.shape)
        } else {
            // The only difference between two and one epochs is an epoch: both are measured at their end.
            let cost = |epochs| shape::cost_flops(&at_end(spec.clone(), epochs), &point.shape);
            (cost(2) - cost(1)) * f64::from(epochs)
        }
    });
    Ok(Measured {
        case: case.name.clone(),
        networks: case.points.len(),
        parameters: case.points.iter().map(|point| point.parameters).sum(),
        samples: first.shape.train_samples,
        batch: first.spec.train.batch,
        epochs,
        evaluations: match effort.whole {
            true => first.spec.evaluate.epochs(epochs).len(),
            false => 0,
        },
        threads: effort.threads,
        device: device.to_string(),
        instruction_set: match &effort.instruction_set {
            Some(set) => set.clone(),
            None => device.instruction_set(),
        },
        flops: flops.sum(),
        seconds,
        sgemm_gflops,
        peak_memory_mib: machine::peak_memory_mib(),
    })
}

/// A trial of so many epochs that is measured at its end only.
fn at_end(mut spec: TrialSpec, epochs: u32) -> TrialSpec {
    spec.train.epochs = epochs;
    spec.evaluate = EvaluateSpec {
        spread: Spread::End,
        points: 0,
        every: 0,
    };
    spec
}

struct Bench<'a> {
    case: &'a Case,
    data: &'a DataStore,
    device: Device,
    effort: &'a Effort,
}

impl Bench<'_> {
    /// Steps alone: packs that never end are pulled forward by whole epochs.
    fn steps(&self) -> anyhow::Result<(u32, Vec<f64>)> {
        let mut packs = self.open(ENDLESS)?;
        // Once to have everything in memory, once to see how long it takes.
        self.advance(&mut packs, 1)?;
        let epochs = match self.effort.epochs {
            Some(epochs) => epochs.get(),
            None => {
                let took = self.advance(&mut packs, 1)?;
                (MEASUREMENT.as_secs_f64() / took).ceil().clamp(1.0, 1e4) as u32
            }
        };
        let repeat = 0..self.effort.repeat.get();
        let seconds = repeat.map(|_| self.advance(&mut packs, epochs));
        Ok((epochs, seconds.collect::<anyhow::Result<_>>()?))
    }

    /// Whole trials, opened anew for each measurement; opening is not timed.
    fn whole(&self) -> anyhow::Result<(u32, Vec<f64>)> {
        let epochs = match self.effort.epochs {
            Some(epochs) => epochs.get(),
            None => self.case.points[0].spec.train.epochs,
        };
        let repeat = 0..self.effort.repeat.get();
        let seconds = repeat.map(|_| self.advance(&mut self.open(epochs)?, epochs));
        Ok((epochs, seconds.collect::<anyhow::Result<_>>()?))
    }

    /// A trial of the case as a thread trains it: with other seeds than the other threads'.
    fn spec(&self, spec: &TrialSpec, thread: u32, epochs: u32) -> TrialSpec {
        let mut spec = spec.clone();
        spec.seed += u64::from(thread) * 1_000_003;
        if self.effort.whole {
            spec.train.epochs = epochs;
            spec
        } else {
            at_end(spec, epochs)
        }
    }

    /// One pack for each thread.
    fn open(&self, epochs: u32) -> anyhow::Result<Vec<Box<dyn Pack>>> {
        let open = |thread| {
            let member = |(point, key)| {
                let point: &descent_spec::grid::Point = point;
                Member {
                    key,
                    spec: self.spec(&point.spec, thread, epochs),
                    data: point.key.data,
                    checkpoint: None,
                    parent_weights: None,
                }
            };
            let members = self.case.points.iter().zip(0..).map(member).collect();
            let (pack, events) = match &self.effort.instruction_set {
                None => descent_training::open(members, self.data, &self.device),
                Some(set) => {
                    descent_training::open_with(members, self.data, set).ok_or_else(|| {
                        Failed::usage(format!(
                            "--instruction-set {set}: this processor has no such one; its widest is {}",
                            Device::Cpu.instruction_set()
                        ))
                    })?
                }
            };
            self.no_failure(&events)?;
            Ok(pack)
        };
        (0..self.effort.threads).map(open).collect()
    }

    /// Trains every pack by so many epochs on a thread of its own: the wall time in seconds.
    fn advance(&self, packs: &mut [Box<dyn Pack>], epochs: u32) -> anyhow::Result<f64> {
        let first = &self.case.points[0];
        let per_epoch = first.shape.train_samples.div_ceil(first.spec.train.batch);
        let train = |pack| {
            move |all: &Barrier| {
                let pack: &mut Box<dyn Pack> = pack;
                all.wait();
                // Taken here and not by whoever waits for all: on one core it would look at the clock too late.
                let start = Instant::now();
                let mut events = Vec::new();
                for _ in 0..epochs {
                    events.extend(pack.advance(per_epoch));
                }
                (events, start, Instant::now())
            }
        };
        let ended = together(packs.iter_mut().map(train).collect())
            .with_context(|| format!("train {}", self.case.name))?;
        let start = ended.iter().map(|(_, start, _)| *start).min();
        let end = ended.iter().map(|(_, _, end)| *end).max();
        let took = start
            .zip(end)
            .map_or(Duration::ZERO, |(start, end)| end - start);
        let events: Vec<Event> = ended.into_iter().flat_map(|(events, ..)| events).collect();
        self.no_failure(&events)?;
        let expected = if self.effort.whole {
            0
        } else {
            self.case.points.len()
        };
        anyhow::ensure!(
            packs.iter().all(|pack| pack.progress().len() == expected)
                && !events.iter().any(diverged),
            "{}: a network ended early, so that this measurement means nothing; lower its learning rate",
            self.case.name
        );
        Ok(took.as_secs_f64())
    }

    fn no_failure<'e>(&self, events: impl IntoIterator<Item = &'e Event>) -> anyhow::Result<()> {
        for event in events {
            if let Event::Failed { key, error } = event {
                anyhow::bail!("{}: trial {key}: {error}", self.case.name);
            }
        }
        Ok(())
    }
}

fn diverged(event: &Event) -> bool {
    matches!(event, Event::Finished { result, .. } if result.diverged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
