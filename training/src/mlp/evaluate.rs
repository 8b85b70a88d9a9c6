//! Measuring members of a group: loss and error on every split, and units that are dead.

use std::sync::Arc;

use descent_spec::outcome::Measurement;

use super::layer::Layer;
use super::loss;
use super::seat::Seat;
use super::workspace::Workspace;
use crate::data::Prepared;
use crate::ending::Tally;
use crate::kernel::Isa;

/// Measures the members that are due, all in one pass over the samples. Gives their places and numbers. Sums are taken in the
/// samples' order and in double precision.
pub(crate) fn measure(
    isa: Isa,
    data: &Prepared,
    stacked: &Layer,
    seats: &mut [Seat],
    work: &mut Workspace,
    epoch: u32,
    due: impl Fn(&Seat) -> bool,
) -> Vec<(usize, Measurement)> {
    let chosen: Vec<usize> = (0..seats.len())
        .filter(|&index| due(&seats[index]))
        .collect();
    let mut live: Vec<Vec<bool>> = chosen
        .iter()
        .map(|&index| vec![false; seats[index].plan.hidden.iter().sum()])
        .collect();
    let mut split = |x: &[f32], y: Option<&[u8]>, count: usize| -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); chosen.len()];
        let mut start = 0;
        // Without anyone to measure there is nothing to pass over.
        while !chosen.is_empty() && start < count {
            let rows = work.stride.min(count - start);
            work.gather(x, data.inputs, start..start + rows);
            stacked.forward(isa, &work.inputs, work.stride, rows, &mut work.first);
            for (place, &index) in chosen.iter().enumerate() {
                let seat = &mut seats[index];
                seat.forward(isa, stacked.panels, work, rows);
                if y.is_none() {
                    seat.note_live(work.stride, rows, &mut live[place]);
                }
                let own = Arc::clone(&seat.labels);
                let labels = &y.unwrap_or(&own)[start..start + rows];
                let (outputs, panels) = (seat.plan.outputs, seat.output_panels());
                for (row, &label) in labels.iter().enumerate() {
                    work.read_outputs(panels, row, outputs);
                    let outputs = &work.outputs[..outputs];
                    tallies[place].loss += loss::value(seat.plan.loss, outputs, label);
                    tallies[place].wrong += u64::from(loss::is_wrong(outputs, label));
                    tallies[place].samples += 1;
                }
            }
            start += rows;
        }
        tallies
    };
    // Training labels are each member's own.
    let train = split(&data.train_x, None, data.train_y.len());
    let validation = split(
        &data.validation_x,
        Some(&data.validation_y),
        data.validation_y.len(),
    );
    let test = split(&data.test_x, Some(&data.test_y), data.test_y.len());
    let measurement = |(place, &index): (usize, &usize)| {
        let plan = &seats[index].plan;
        let dead = live[place].iter().filter(|&&live| !live).count();
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
        (index, measurement)
    };
    chosen.iter().enumerate().map(measurement).collect()
}
