//! Training one pack on the slot's stage, slice by slice, until it has ended.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::drive::{After, Drive};
use super::prepare::Ready;
use crate::activity::SlotActivity;
use crate::context::Context;
use crate::place::Place;
use crate::stage::Turn;

/// Trains a pack to its end. Training never runs on the runtime's threads, and never waits for them.
pub(super) async fn pack(
    context: &Arc<Context>,
    place: &Arc<Place>,
    number: usize,
    pack: Vec<Ready>,
) -> After {
    if pack.is_empty() {
        return After::default();
    }
    let (left, after) = oneshot::channel();
    let mut left = Some(left);
    let mut waiting = Some(pack);
    let mut drive = None;
    let (shared, place) = (Arc::clone(context), Arc::clone(place));
    let slices = move || {
        let show = |activity: SlotActivity| {
            let board = &shared.world.activity;
            board.send_modify(|slots| slots[number] = activity);
        };
        if let Some(pack) = waiting.take() {
            tracing::debug!(slot = number, members = pack.len(), "a pack begins");
            drive = Some(Drive::new(Arc::clone(&shared), Arc::clone(&place), pack));
        }
        let Some(driven) = &mut drive else {
            return Turn::Over;
        };
        let turn = driven.slice(&show);
        if turn != Turn::Over {
            return turn;
        }
        tracing::debug!(slot = number, "the pack has ended");
        show(SlotActivity::default());
        let over = drive.take().map(Drive::end);
        if let (Some(left), Some(over)) = (left.take(), over) {
            let _ = left.send(over);
        }
        Turn::Over
    };
    context.world.stage.train(number, Box::new(slices)).await;
    after.await.unwrap_or_default()
}
