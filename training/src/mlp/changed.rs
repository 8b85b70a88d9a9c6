//! Networks of dense layers with one layer changed, tested side by side in a bank of their own.

use std::sync::Arc;

use super::bank::Bank;
use super::dense::Dense;
use super::evaluate::{Chosen, tally};
use super::group::Loose;
use super::mask::Mask;
use super::plan::Plan;
use super::state::State;
use super::workspace::{Workspace, stride};
use crate::data::Prepared;
use crate::ending::Tally;
use crate::kernel::Isa;
use crate::notes::Notes;
use crate::robustness::{Anew, Subject};

/// Where networks are tested: what they share with the one that was trained.
pub(super) struct Tester<'a> {
    pub(super) isa: Isa,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) data: &'a Arc<Prepared>,
    pub(super) mask: Option<&'a Mask>,
}

impl Subject for Tester<'_> {
    type Network = Vec<Dense>;

    fn layers(&self) -> usize {
        self.plan.shapes().len()
    }

    fn numbers<'n>(&self, network: &'n Vec<Dense>, layer: usize) -> Vec<&'n [f32]> {
        vec![&network[layer].values]
    }

    fn set(&self, network: &mut Vec<Dense>, layer: usize, from: &Vec<Dense>) {
        network[layer].clone_from(&from[layer]);
    }

    fn redraw(&self, network: &mut Vec<Dense>, layer: usize, anew: &mut Anew<'_>) {
        let (rows, columns) = self.plan.shapes()[layer];
        let fans = ((rows - 1) as f64, columns as f64);
        let weights = anew.weights(fans, (rows - 1) * columns);
        network[layer] = Dense::from_torch(&weights, &anew.biases(columns));
        if let Some(mask) = self.mask {
            mask.apply(network);
        }
    }

    fn test(&mut self, networks: Vec<Vec<Dense>>) -> Vec<Tally> {
        let count = networks.len();
        let loose = networks.into_iter().zip(0..).map(|(layers, key)| Loose {
            key,
            plan: Arc::clone(self.plan),
            data: Arc::clone(self.data),
            labels: Arc::from([]),
            shifts: None,
            mask: None,
            notes: Notes::default(),
            subspace: None,
            state: State::tested(self.plan, layers),
        });
        let mut banks = Bank::cut(self.isa, loose.collect(), stride(self.plan), 0);
        let mut work = Workspace::new(self.plan, &banks, self.isa);
        let stays = self
            .plan
            .robustness
            .as_ref()
            .is_some_and(|spec| spec.dropout);
        let dropout = self.plan.dropout.filter(|_| stays);
        let mut chosen = Vec::with_capacity(count);
        for (bank, seats) in banks.iter().enumerate() {
            let places = 0..seats.seats.len();
            chosen.extend(places.map(|index| Chosen::without_units(bank, index, dropout)));
        }
        let found = tally(
            self.isa,
            self.data.inputs,
            (&self.data.test_x, Some(&self.data.test_y)),
            self.data.test_y.len(),
            (&mut banks, &mut work),
            &mut chosen,
        );
        let mut tallies = vec![Tally::default(); count];
        for (chosen, found) in chosen.iter().zip(found) {
            let key = banks[chosen.bank].seats[chosen.index].key;
            tallies[usize::try_from(key).expect("keys count networks")] = found;
        }
        tallies
    }
}
