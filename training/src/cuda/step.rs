//! One step of a group: what is launched, in order.
//!
//! Gather the batch; one product for all first layers; each member's later layers, forward and backward; one product for the gradient of all first
//! layers; the optimizer; the clock. Nothing in it depends on the host, so it is recorded once and replayed.

use descent_spec::trial::Optimizer;

use super::coefficients::COEFFICIENTS;
use super::group::Group;
use super::machine::{Arg, Buffer, Fault, Kernel, Machine, Matrix, Product, SIDE, THREADS};

impl<M: Machine> Group<M> {
    /// Takes the step that the clock on the device points at, over `rows` samples.
    pub(super) fn train_batch(&mut self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        match self.recordings.get(&rows) {
            Some(Some(recording)) => machine.replay(recording),
            Some(None) => {
                machine.record()?;
                // Also after a fault: a device left recording does nothing else.
                let asked = self.step_of(machine, rows);
                let recording = machine.recorded();
                asked?;
                let recording = recording?;
                machine.replay(&recording)?;
                self.recordings.insert(rows, Some(recording));
                Ok(())
            }
            None => {
                self.step_of(machine, rows)?;
                self.recordings.insert(rows, None);
                Ok(())
            }
        }
    }

    fn step_of(&self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        let (layout, buffers) = (&self.layout, &self.buffers);
        machine.launch(
            Kernel::Gather,
            (rows, 1),
            &[
                at(self.samples.train),
                at(buffers.order),
                at(buffers.clock),
                number(self.plan().batch),
                number(layout.row / 4),
                at(buffers.inputs),
            ],
        )?;
        let inputs = Matrix {
            buffer: buffers.inputs,
            pitch: layout.row,
            first: 0,
        };
        machine.multiply(&self.first_layers(inputs, rows))?;
        if layout.levels.len() == 1 {
            self.middle(machine, rows)?;
        } else {
            self.later(machine, rows)?;
        }
        machine.multiply(&Product {
            left: inputs,
            transposed: true,
            right: self.matrix(buffers.sums[0]),
            out: self.matrix(buffers.gradients),
            rows: layout.row,
            columns: layout.pitches[0],
            depth: rows,
        })?;
        self.descend(machine, rows)?;
        machine.launch(Kernel::Tick, (1, 1), &[at(buffers.clock)])
    }

    /// The sums of all first layers over rows of samples.
    pub(super) fn first_layers(&self, samples: Matrix, rows: usize) -> Product {
        Product {
            left: samples,
            transposed: false,
            right: self.matrix(self.buffers.weights),
            out: self.matrix(self.buffers.sums[0]),
            rows,
            columns: self.layout.pitches[0],
            depth: self.layout.row,
        }
    }

    /// A buffer as a matrix with the first layers' columns.
    fn matrix(&self, buffer: Buffer) -> Matrix {
        Matrix {
            buffer,
            pitch: self.layout.pitches[0],
            first: 0,
        }
    }

    fn middle(&self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        let (layout, buffers) = (&self.layout, &self.buffers);
        machine.launch(
            Kernel::Middle,
            (self.seats.len(), layout.tiles(rows)),
            &[
                at(buffers.levels[0][0]),
                at(buffers.facts),
                at(buffers.weights),
                at(buffers.sums[0]),
                number(layout.pitches[0]),
                at(buffers.labels),
                number(self.plan().samples),
                at(buffers.order),
                at(buffers.clock),
                number(self.plan().batch),
                number(rows),
                number(layout.tile),
                at(buffers.gradients),
                number(layout.later),
                at(buffers.diverged),
            ],
        )
    }

    /// Later layers of every level, forward and backward, and the loss between.
    fn later(&self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        let (layout, buffers) = (&self.layout, &self.buffers);
        self.forward(machine, rows)?;
        let top = layout.levels.len();
        machine.launch(
            Kernel::Lose,
            (self.seats.len(), rows.div_ceil(THREADS)),
            &[
                at(buffers.levels[top - 1][0]),
                at(buffers.facts),
                at(buffers.sums[top]),
                number(layout.pitches[top]),
                at(buffers.labels),
                number(self.plan().samples),
                at(buffers.order),
                at(buffers.clock),
                number(self.plan().batch),
                number(rows),
                at(buffers.diverged),
            ],
        )?;
        for level in (0..top).rev() {
            let [layers, _, inwards, over] = buffers.levels[level];
            let (below, above) = (buffers.sums[level], buffers.sums[level + 1]);
            let (below_pitch, above_pitch) = (layout.pitches[level], layout.pitches[level + 1]);
            machine.launch(
                Kernel::Weigh,
                (layout.levels[level].over.len() / 3, 1),
                &[
                    at(layers),
                    at(over),
                    at(below),
                    number(below_pitch),
                    at(above),
                    number(above_pitch),
                    number(rows),
                    at(buffers.gradients),
                ],
            )?;
            machine.launch(
                Kernel::Backward,
                (layout.levels[level].inwards.len() / 3, rows.div_ceil(SIDE)),
                &[
                    at(layers),
                    at(inwards),
                    at(buffers.weights),
                    at(below),
                    number(below_pitch),
                    at(above),
                    number(above_pitch),
                    number(rows),
                ],
            )?;
        }
        Ok(())
    }

    /// From the first layers' sums to the outputs.
    pub(super) fn forward(&self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        let (layout, buffers) = (&self.layout, &self.buffers);
        for (level, &[layers, across, _, _]) in buffers.levels.iter().enumerate() {
            machine.launch(
                Kernel::Forward,
                (layout.levels[level].across.len() / 3, rows.div_ceil(SIDE)),
                &[
                    at(layers),
                    at(across),
                    at(buffers.weights),
                    at(buffers.sums[level]),
                    number(layout.pitches[level]),
                    at(buffers.sums[level + 1]),
                    number(layout.pitches[level + 1]),
                    number(rows),
                ],
            )?;
        }
        Ok(())
    }

    fn descend(&self, machine: &mut M, rows: usize) -> Result<(), Fault> {
        let (layout, buffers) = (&self.layout, &self.buffers);
        let kernel = match self.plan().optimizer {
            Optimizer::Sgd { .. } => Kernel::Momentum,
            Optimizer::Adam { .. } => Kernel::Adam,
        };
        let last = usize::try_from(self.plan().steps_per_epoch() - 1);
        let moving = if self.moving() { self.seats.len() } else { 0 };
        let mut args = vec![
            at(buffers.parts),
            at(buffers.chunks),
            at(buffers.coefficients),
            number(moving),
            at(buffers.clock),
            number(last.expect("fewer steps than samples")),
            at(buffers.trained),
            Arg::Number(u32::from(buffers.masked)),
            at(buffers.gradients),
            number(layout.tiles(rows)),
            number(layout.later),
            at(buffers.weights),
        ];
        args.extend(buffers.moments.iter().copied().map(at));
        args.push(at(buffers.diverged));
        machine.launch(kernel, (layout.chunks.len() / 2, 1), &args)
    }
}

// The table's rows are counted in members on the device.
const _: () = assert!(COEFFICIENTS == 8);

pub(super) const fn at(buffer: Buffer) -> Arg {
    Arg::Start(buffer)
}

/// A count that was checked to fit when the group was laid out.
pub(super) fn number(count: usize) -> Arg {
    Arg::Number(u32::try_from(count).expect("counts on the device fit 32 bits"))
}
