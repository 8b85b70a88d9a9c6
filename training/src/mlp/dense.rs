//! One layer's numbers in plain order, independent of how they are stacked for training.

/// A matrix `[rows, columns]`, row-major. Rows are inputs, the last one the bias; columns are units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

impl Dense {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// From PyTorch's layout: `weight` `[units, inputs]`, `bias` `[units]`.
    pub(crate) fn from_torch(weight: &[f32], bias: &[f32]) -> Self {
        let columns = bias.len();
        let inputs = weight.len() / columns.max(1);
        let mut dense = Self::zeros(inputs + 1, columns);
        for (unit, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            for (input, &value) in row.iter().enumerate() {
                dense.values[input * columns + unit] = value;
            }
        }
        dense.values[inputs * columns..].copy_from_slice(bias);
        dense
    }

    /// PyTorch's layout of the weights: `[units, inputs]`.
    pub(crate) fn torch_weight(&self) -> Vec<f32> {
        let inputs = self.rows - 1;
        let mut weight = Vec::with_capacity(inputs * self.columns);
        for unit in 0..self.columns {
            weight.extend((0..inputs).map(|input| self.values[input * self.columns + unit]));
        }
        weight
    }

    pub(crate) fn bias(&self) -> &[f32] {
        &self.values[(self.rows - 1) * self.columns..]
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..][..self.columns]
    }
}
