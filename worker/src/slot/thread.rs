//! The thread of a slot: training never runs on the runtime's threads, and never waits for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::drive::{After, drive};
use super::prepare::Ready;
use crate::activity::SlotActivity;
use crate::context::Context;

/// A pack to train, and where what comes after it goes.
type Order = (Vec<Ready>, oneshot::Sender<After>);

/// The thread of one slot. It ends when this handle is dropped, after the slice that it is in.
pub(super) struct Thread {
    orders: mpsc::Sender<Order>,
}

impl Thread {
    pub(super) fn start(context: Arc<Context>, number: usize) -> Self {
        let (orders, inbox) = mpsc::channel();
        let span = tracing::Span::current();
        let work = move || {
            let _in_span = span.enter();
            serve(&context, number, &inbox);
        };
        std::thread::Builder::new()
            .name(format!("descent-slot-{number}"))
            .spawn(work)
            .expect("the system has a thread to give at the start of a process");
        Self { orders }
    }

    /// Trains a pack to its end.
    pub(super) async fn train(&self, pack: Vec<Ready>) -> After {
        if pack.is_empty() {
            return After::default();
        }
        let (left, after) = oneshot::channel();
        if self.orders.send((pack, left)).is_err() {
            return After::default();
        }
        after.await.unwrap_or_default()
    }
}

fn serve(context: &Context, number: usize, inbox: &mpsc::Receiver<Order>) {
    let show = |activity: SlotActivity| {
        let board = &context.world.activity;
        board.send_modify(|slots| slots[number] = activity);
    };
    while let Ok((pack, left)) = inbox.recv() {
        tracing::debug!(slot = number, members = pack.len(), "a pack begins");
        // `drive` answers for the trainer's panics. This one is for our own: leases that unwind hand themselves back.
        let place = context.place(number);
        let after = catch_unwind(AssertUnwindSafe(|| drive(context, place, pack, &show)));
        tracing::debug!(slot = number, "the pack has ended");
        show(SlotActivity::default());
        let _ = left.send(after.unwrap_or_default());
    }
}
