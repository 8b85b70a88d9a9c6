//! Stopping: idle, in the middle, in an outage, at once.

use std::time::Duration;

use crate::lab::{Lab, until};

#[tokio::test]
async fn an_idle_worker_ends_at_once() {
    let mut lab = Lab::new();
    lab.config.lease_wait = Duration::from_secs(20);
    let worker = lab.start();
    lab.coordinator
        .until("it asks", |state| !state.asks.is_empty())
        .await;
    let report = worker.drain().await;
    assert_eq!(report, descent_worker::Report::default());
    assert!(lab.coordinator.look().closed);
}

#[tokio::test]
async fn a_drain_in_an_outage_ends_at_its_deadline() {
    let mut lab = Lab::new();
    lab.config.drain_deadline = Duration::from_millis(50);
    lab.add(2, 1000);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    lab.coordinator.change(|state| state.down = true);
    worker.shutdown.drain();
    lab.script.free();
    let report = worker.end().await.unwrap();
    assert_eq!((report.released, report.undelivered), (0, 2));
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_trainer() {
    let lab = Lab::new();
    lab.add(1, 1000);
    lab.script.allow(3);
    let worker = lab.start();
    until("the trainer hangs", || lab.script.is_waiting()).await;
    worker.shutdown.drain();
    worker.shutdown.abort();
    let report = worker.end().await.unwrap();
    assert_eq!(report.undelivered, 1);
    lab.script.free();
}

#[tokio::test]
async fn a_signal_before_the_first_session_is_heard() {
    let lab = Lab::new();
    lab.coordinator.change(|state| state.down = true);
    let report = lab.start().drain().await;
    assert_eq!(report, descent_worker::Report::default());
}
