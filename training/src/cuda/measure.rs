//! Measuring members on a device: loss and error on every split, and units that are dead.

use descent_spec::outcome::Measurement;
use pulp::bytemuck;

use super::group::{Group, Seat};
use super::machine::{Buffer, Fault, Kernel, Machine, Matrix, SIDE, THREADS};
use super::step::{at, number};
use crate::ending::Tally;

/// Measures the members that are due: their places and numbers. Sums are taken in a fixed order and in double precision.
pub(super) fn measure<M: Machine>(
    group: &Group<M>,
    machine: &mut M,
    epoch: u32,
    due: impl Fn(&Seat) -> bool,
) -> Result<Vec<(usize, Measurement)>, Fault> {
    let chosen: Vec<usize> = (0..group.seats.len())
        .filter(|&member| due(&group.seats[member]))
        .collect();
    // Without anyone to measure there is nothing to pass over.
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let (data, samples, depth) = (&group.data, group.samples, group.plan().depth());
    for (level, &live) in group.buffers.live.iter().enumerate() {
        let zeros = vec![0_u32; group.layout.pitches[level]];
        machine.write(live, bytemuck::cast_slice(&zeros))?;
    }
    // Training labels are each member's own.
    let train = split(group, machine, samples.train, None, data.train_y.len())?;
    let mut live = Vec::with_capacity(depth);
    for (level, &buffer) in group.buffers.live.iter().enumerate() {
        let mut columns = vec![0_u32; group.layout.pitches[level]];
        machine.read(buffer, bytemuck::cast_slice_mut(&mut columns))?;
        live.push(columns);
    }
    let held_out = |machine: &mut M, x, y, count| split(group, machine, x, Some(y), count);
    let validation = held_out(
        machine,
        samples.validation,
        samples.validation_labels,
        data.validation_y.len(),
    )?;
    let test = held_out(
        machine,
        samples.test,
        samples.test_labels,
        data.test_y.len(),
    )?;
    let measurement = |&member: &usize| {
        let plan = &group.seats[member].plan;
        let dead = live.iter().enumerate().map(|(level, live)| {
            let columns = &live[group.layout.columns_of(member, level)];
            columns.iter().filter(|&&live| live == 0).count()
        });
        let measurement = Measurement {
            epoch,
            train_loss: train[member].mean_loss(plan),
            train_error: train[member].error(),
            validation_loss: validation[member].mean_loss(plan),
            validation_error: validation[member].error(),
            test_loss: test[member].mean_loss(plan),
            test_error: test[member].error(),
            dead_units: u32::try_from(dead.sum::<usize>()).ok(),
        };
        (member, measurement)
    };
    Ok(chosen.iter().map(measurement).collect())
}

/// Every member's sums over a split. Without labels: the training samples, where units are watched too.
fn split<M: Machine>(
    group: &Group<M>,
    machine: &mut M,
    x: Buffer,
    y: Option<Buffer>,
    count: usize,
) -> Result<Vec<Tally>, Fault> {
    let (layout, buffers, members) = (&group.layout, &group.buffers, group.seats.len());
    if count == 0 {
        return Ok(vec![Tally::default(); members]);
    }
    let top = layout.levels.len();
    let (mut start, mut tiles) = (0, 0);
    while start < count {
        let rows = buffers.rows.min(count - start);
        let samples = Matrix {
            buffer: x,
            pitch: layout.row,
            first: start,
        };
        machine.multiply(&group.first_layers(samples, rows))?;
        group.forward(machine, rows)?;
        if y.is_none() {
            for (level, &live) in buffers.live.iter().enumerate() {
                machine.launch(
                    Kernel::NoteLive,
                    (layout.columns[level].div_ceil(THREADS), rows.div_ceil(SIDE)),
                    &[
                        at(buffers.sums[level]),
                        number(layout.pitches[level]),
                        number(layout.columns[level]),
                        number(rows),
                        at(live),
                    ],
                )?;
            }
        }
        machine.launch(
            Kernel::Measure,
            (members, rows.div_ceil(THREADS)),
            &[
                at(buffers.levels[top - 1][0]),
                at(buffers.facts),
                at(buffers.sums[top]),
                number(layout.pitches[top]),
                at(y.unwrap_or(buffers.labels)),
                number(count),
                number(usize::from(y.is_none())),
                number(start),
                number(rows),
                at(buffers.losses),
                at(buffers.errors),
                number(tiles),
                number(members),
            ],
        )?;
        start += rows;
        tiles += rows.div_ceil(THREADS);
    }
    machine.launch(
        Kernel::Total,
        (members.div_ceil(THREADS), 1),
        &[
            at(buffers.losses),
            at(buffers.errors),
            number(tiles),
            number(members),
        ],
    )?;
    let (mut losses, mut wrong) = (vec![0.0_f64; members], vec![0_u32; members]);
    machine.read(buffers.losses, bytemuck::cast_slice_mut(&mut losses))?;
    machine.read(buffers.errors, bytemuck::cast_slice_mut(&mut wrong))?;
    let tally = |(loss, wrong)| Tally {
        loss,
        wrong: u64::from(wrong),
        samples: count as u64,
    };
    Ok(losses.into_iter().zip(wrong).map(tally).collect())
}
