//! The thread of a slot: training never runs on the runtime's threads, and never waits for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::drive::drive;
use super::prepare::Ready;
use crate::activity::SlotActivity;
use crate::context::Context;
use crate::lease::Lease;

/// A pack to train, and where the leases go that have to start once more.
type Order = (Vec<Ready>, oneshot::Sender<Vec<Lease>>);

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

    /// Trains a pack to its end. Answers the leases that have to start once more, each alone.
    pub(super) async fn train(&self, pack: Vec<Ready>) -> Vec<Lease> {
        if pack.is_empty() {
            return Vec::new();
        }
        let (left, again) = oneshot::channel();
        if self.orders.send((pack, left)).is_err() {
            return Vec::new();
        }
        again.await.unwrap_or_default()
    }
}

fn serve(context: &Context, number: usize, inbox: &mpsc::Receiver<Order>) {
    let show = |activity: SlotActivity| {
        let board = &context.world.activity;
        board.send_modify(|slots| slots[number] = activity);
    };
    while let Ok((pack, left)) = inbox.recv() {
        // `drive` answers for the trainer's panics. This one is for our own: leases that unwind hand themselves back.
        let again = catch_unwind(AssertUnwindSafe(|| drive(context, pack, &show)));
        show(SlotActivity::default());
        let _ = left.send(again.unwrap_or_default());
    }
}
