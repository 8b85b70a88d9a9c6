//! Measuring members of a group: loss and error on every split, and units that are dead.

use descent_spec::outcome::Measurement;

use super::bank::Bank;
use super::loss;
use super::seat::Seat;
use super::workspace::{Workspace, gather};
use crate::data::Prepared;
use crate::dropout::Dropout;
use crate::ending::Tally;
use crate::kernel::Isa;

/// Measures the members that are due, all in one pass over the samples. Gives their banks, their places there and their
/// numbers. Sums are taken in the samples' order and in double precision.
pub(crate) fn measure(
    isa: Isa,
    data: &Prepared,
    banks: &mut [Bank],
    work: &mut Workspace,
    epoch: u32,
    due: impl Fn(&Seat) -> bool,
) -> Vec<(usize, usize, Measurement)> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for (bank, seats) in banks.iter().enumerate() {
        for (index, seat) in seats.seats.iter().enumerate().filter(|(_, seat)| due(seat)) {
            chosen.push(Chosen {
                bank,
                index,
                live: vec![false; seat.plan.hidden.iter().sum()],
                dropout: None,
            });
        }
    }
    let mut split = |x: &[f32], y: Option<&[u8]>, count: usize| {
        let over = (&mut *banks, &mut *work);
        tally(isa, data.inputs, (x, y), count, over, &mut chosen)
    };
    // Training labels are each member's own.
    let train = split(&data.train_x, None, data.train_y.len());
    let (x, y) = (&data.validation_x, &data.validation_y);
    let validation = split(x, Some(y), y.len());
    let test = split(&data.test_x, Some(&data.test_y), data.test_y.len());
    let measurement = |(place, chosen): (usize, &Chosen)| {
        let plan = &banks[chosen.bank].seats[chosen.index].plan;
        let dead = chosen.live.iter().filter(|&&live| !live).count();
        let measurement = Measurement {
            epoch,
            train_loss: train[place].mean_loss(plan),
            train_error: train[place].error(),
            validation_loss: validation[place].mean_loss(plan),
            validation_error: validation[place].error(),
            test_loss: test[place].mean_loss(plan),
            test_error: test[place].error(),
            dead_units: u32::try_from(dead).ok(),
        };
        (chosen.bank, chosen.index, measurement)
    };
    chosen.iter().enumerate().map(measurement).collect()
}

/// Sums over the first `count` samples for each of the chosen members. Without labels, the samples are those that members train
/// on: each has its own labels, and notes which of its units live.
pub(super) fn tally(
    isa: Isa,
    inputs: usize,
    (x, y): (&[f32], Option<&[u8]>),
    count: usize,
    (banks, work): (&mut [Bank], &mut Workspace),
    chosen: &mut [Chosen],
) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); chosen.len()];
    let mut start = 0;
    // Without anyone to measure there is nothing to pass over.
    while !chosen.is_empty() && start < count {
        let rows = work.stride.min(count - start);
        gather(isa, x, inputs, start..start + rows, &mut work.batches[0]);
        let mut forwarded = None;
        for (chosen, tally) in chosen.iter_mut().zip(&mut tallies) {
            let bank = &mut banks[chosen.bank];
            if forwarded != Some(chosen.bank) {
                forwarded = Some(chosen.bank);
                bank.forward(isa, work, 0, rows);
            }
            let (stacked, seat) = (bank.stacked.panels, &mut bank.seats[chosen.index]);
            let dropping = chosen.dropout.map(|dropout| dropout.of_tested(start));
            seat.forward(isa, stacked, work, rows, dropping);
            if y.is_none() {
                seat.note_live(stacked, work, rows, &mut chosen.live);
            }
            let labels = &y.unwrap_or(&seat.labels)[start..start + rows];
            let (outputs, panels) = (seat.plan.outputs, seat.output_panels());
            for (row, &label) in labels.iter().enumerate() {
                work.read_outputs(panels, row, outputs);
                let outputs = &work.outputs[..outputs];
                tally.loss += loss::value(seat.plan.loss, outputs, label);
                tally.wrong += u64::from(loss::is_wrong(outputs, label));
                tally.samples += 1;
            }
        }
        start += rows;
    }
    tallies
}

/// Loss and error of some members, by bank and place there, on samples whose labels are the same for all.
pub(crate) fn tallies(
    isa: Isa,
    (x, y): (&[f32], &[u8]),
    inputs: usize,
    over: (&mut [Bank], &mut Workspace),
    members: &[(usize, usize)],
) -> Vec<Tally> {
    let chosen = members.iter();
    let chosen = chosen.map(|&(bank, index)| Chosen::without_units(bank, index, None));
    let mut chosen: Vec<Chosen> = chosen.collect();
    tally(isa, inputs, (x, Some(y)), y.len(), over, &mut chosen)
}

/// A member that is measured.
pub(super) struct Chosen {
    pub(super) bank: usize,
    pub(super) index: usize,
    /// Hidden units that were not zero on some training sample.
    live: Vec<bool>,
    /// Dropout that stays on.
    dropout: Option<Dropout>,
}

impl Chosen {
    /// One whose units nobody asks about.
    pub(super) const fn without_units(bank: usize, index: usize, dropout: Option<Dropout>) -> Self {
        Self {
            bank,
            index,
            live: Vec::new(),
            dropout,
        }
    }
}
