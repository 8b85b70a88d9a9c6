//! Calls that overlap on PostgreSQL, one of them held up in the middle of its transaction.
//!
//! No wait is for ever: the server ends a hold-up that is not ended in time, and every statement of the product has a time limit.

use descent_coordinator::store::{Ask, Directive};
use descent_spec::state::TrialState;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;

use super::fixture::{self, Fixture, LEASE_MS, T0, at, data, fence, held, new_trial};

/// Holds claims up where they write down their answer, which is last: trials are taken, and nothing is committed.
struct HoldUp {
    holder: PgConnection,
    watcher: PgConnection,
}

impl HoldUp {
    async fn new(f: &Fixture) -> Self {
        let mut holder = PgConnection::connect(&f.url).await.unwrap();
        for statement in [
            "SET idle_in_transaction_session_timeout = '20s'",
            "BEGIN",
            "LOCK TABLE request_log IN EXCLUSIVE MODE",
        ] {
            sqlx::query(statement).execute(&mut holder).await.unwrap();
        }
        let watcher = PgConnection::connect(&f.url).await.unwrap();
        Self { holder, watcher }
    }

    /// Waits until so many calls wait for locks, or the last of them has ended without.
    async fn until_waiting<T>(&mut self, calls: i64, last: &JoinHandle<T>) {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut self.watcher)
            .await
            .unwrap();
            if waiting >= calls || last.is_finished() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn end(mut self) {
        sqlx::query("ROLLBACK")
            .execute(&mut self.holder)
            .await
            .unwrap();
    }
}

fn ask(f: &Fixture, session: u8) -> Ask {
    Ask {
        session: fixture::session(session),
        request: f.request(),
        max_trials: 1,
        memory: 1 << 30,
        data: vec![data(1)],
        samples: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_claimed_while_its_session_closes_is_handed_back() {
    let Some(f) = fixture::postgres().await else {
        return;
    };
    f.sweep_of("s", vec![new_trial(0)]).await;
    let session = f.open(1).await;
    let mut hold_up = HoldUp::new(&f).await;
    let (store, asking) = (f.store.clone(), ask(&f, 1));
    let claim = tokio::spawn(async move { store.claim(&asking, T0).await });
    hold_up.until_waiting(1, &claim).await;
    let store = f.store.clone();
    let close = tokio::spawn(async move { store.close_session(session, at(1)).await });
    hold_up.until_waiting(2, &close).await;
    hold_up.end().await;
    assert_eq!(claim.await.unwrap().unwrap().claimed.len(), 1);
    close.await.unwrap().unwrap();
    // Held by a closed session it would never expire.
    assert_eq!(f.state(0).await, TrialState::Ready);
}

#[tokio::test]
async fn a_beat_does_not_confirm_what_is_claimed_in_the_same_moment() {
    let Some(f) = fixture::postgres().await else {
        return;
    };
    f.sweep_of("s", vec![new_trial(0)]).await;
    let first = f.open(1).await;
    let claimed = f.claim(first, 1).await.remove(0);
    f.store.maintain(at(31)).await.unwrap();
    let second = f.open(2).await;
    let mut hold_up = HoldUp::new(&f).await;
    let (store, asking) = (f.store.clone(), ask(&f, 2));
    let claim = tokio::spawn(async move { store.claim(&asking, at(32)).await });
    hold_up.until_waiting(1, &claim).await;
    let (store, listed) = (f.store.clone(), [held(&claimed)]);
    let until = at(32).plus_ms(LEASE_MS);
    let beat =
        tokio::spawn(async move { store.heartbeat(first, &listed, until, 10_000, at(32)).await });
    hold_up.until_waiting(2, &beat).await;
    hold_up.end().await;
    let taken = claim.await.unwrap().unwrap().claimed.remove(0);
    assert_eq!(taken.attempt.0, 2);
    assert_eq!(beat.await.unwrap().unwrap(), [Directive::Fenced]);
    let fence = fence(second, &taken);
    assert!(f.store.budget(fence).await.unwrap().is_some());
}
