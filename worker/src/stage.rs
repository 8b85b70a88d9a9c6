//! Where the worker computes: training on threads of their own, short work beside the runtime. Handed in, so that a simulation can
//! do all of it on one thread and in simulated time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

/// Training in slices: does one with each call, and answers how to go on.
pub type Slices = Box<dyn FnMut() -> Turn + Send>;

/// How training goes on after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// With the next slice.
    More,
    /// With the next slice, after a rest.
    Rest(Duration),
    /// It has ended.
    Over,
}

/// Where the worker computes.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// Does slice after slice for this slot until there is none left. The runtime never waits for a slice.
    async fn train(&self, slot: usize, slices: Slices);
    /// Does something that takes milliseconds.
    async fn compute(&self, work: Box<dyn FnOnce() + Send>);
}

/// Slices to do, and whom to tell that they are done.
type Order = (Slices, tracing::Span, oneshot::Sender<()>);

/// One thread for each slot, and the runtime's own threads for what is short.
#[derive(Debug, Default)]
pub struct Threads {
    slots: Mutex<BTreeMap<usize, mpsc::Sender<Order>>>,
}

impl Threads {
    /// The way to a slot's thread, which starts with the first order. It ends with this value, after the slice that it is in.
    fn slot(&self, number: usize) -> mpsc::Sender<Order> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let (orders, inbox) = mpsc::channel();
            std::thread::Builder::new()
                .name(format!("descent-slot-{number}"))
                .spawn(move || serve(&inbox))
                .expect("the system has a thread to give at the start of a process");
            orders
        };
        slots.entry(number).or_insert_with(start).clone()
    }
}

#[async_trait]
impl Stage for Threads {
    async fn train(&self, slot: usize, slices: Slices) {
        let (done, over) = oneshot::channel();
        let order = (slices, tracing::Span::current(), done);
        if self.slot(slot).send(order).is_ok() {
            // A thread that is gone has dropped the slices.
            let _ = over.await;
        }
    }

    async fn compute(&self, work: Box<dyn FnOnce() + Send>) {
        // Who wants to know how a panic ended notices that nothing came of the work.
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

fn serve(inbox: &mpsc::Receiver<Order>) {
    while let Ok((mut slices, span, done)) = inbox.recv() {
        let _in_span = span.enter();
        // Who gives an order answers for the trainer's panics. This one is for our own: leases that unwind hand themselves back.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match slices() {
                    Turn::More => {}
                    Turn::Rest(time) => std::thread::park_timeout(time),
                    Turn::Over => break,
                }
            }
        }));
        drop(slices);
        let _ = done.send(());
    }
}
