//! Multilayer perceptrons of different widths, trained side by side: the fast path.
//!
//! First layers are stacked into one wide product over shared samples; everything after is each member's own. Explicit forward
//! and backward passes over buffers allocated once; no gradient with respect to the inputs is ever taken.

mod bank;
mod changed;
mod dense;
mod evaluate;
pub(crate) mod flat;
mod group;
mod layer;
pub(crate) mod loss;
pub(crate) mod mask;
mod plan;
pub(crate) mod pruned;
mod seat;
mod stack;
pub(crate) mod state;
mod workspace;

pub(crate) use dense::Dense;
pub(crate) use group::{Group, Loose};
pub(crate) use mask::Mask;
pub(crate) use plan::Plan;
pub(crate) use stack::Stack;
pub(crate) use state::State;
