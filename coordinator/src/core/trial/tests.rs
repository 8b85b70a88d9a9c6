//! The state machine, row by row and then at random.

use descent_spec::id::{AttemptNumber, SessionId, Timestamp};
use descent_spec::outcome::FailureKind;
use descent_spec::state::TrialState;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const ONE: SessionId = SessionId([1; 16]);
const TWO: SessionId = SessionId([2; 16]);

fn by(session: SessionId, attempt: i64) -> Claimant {
    Claimant {
        session,
        attempt: AttemptNumber(attempt),
    }
}

fn trial(phase: TrialPhase) -> Trial {
    Trial {
        attempt: AttemptNumber(3),
        ..Trial::new(phase)
    }
}

/// The state that an event leads to; `None`: it is rejected.
fn after(phase: TrialPhase, event: Event) -> Option<TrialState> {
    let policy = RetryPolicy::default();
    transition(trial(phase), event, NOW, &policy)
        .ok()
        .map(|trial| trial.phase.state())
}

#[test]
fn every_event_leads_where_the_diagram_says_or_nowhere() {
    use TrialState as S;
    let leased = TrialPhase::Leased { holder: ONE };
    let suspect = TrialPhase::Suspect { holder: ONE };
    let due = TrialPhase::Delayed { until: NOW };
    let early = TrialPhase::Delayed {
        until: NOW.plus_ms(1),
    };
    let set_back = TrialPhase::Delayed {
        until: NOW.plus_ms(3_600_000),
    };
    let fail = |kind| Event::Fail {
        by: by(ONE, 3),
        kind,
        uniform: 0.5,
    };
    for (phase, event, expected) in [
        (TrialPhase::Blocked, Event::Unblock, Some(S::Ready)),
        (TrialPhase::Ready, Event::Unblock, None),
        (TrialPhase::Blocked, Event::Skip, Some(S::Skipped)),
        (leased, Event::Skip, None),
        (
            TrialPhase::Ready,
            Event::Claim { session: TWO },
            Some(S::Leased),
        ),
        (suspect, Event::Claim { session: TWO }, Some(S::Leased)),
        (leased, Event::Claim { session: TWO }, None),
        (TrialPhase::Blocked, Event::Claim { session: TWO }, None),
        (TrialPhase::Succeeded, Event::Claim { session: TWO }, None),
        (leased, Event::Expire, Some(S::Ready)),
        (suspect, Event::Expire, None),
        (suspect, Event::Beat(by(ONE, 3)), Some(S::Leased)),
        (leased, Event::Beat(by(TWO, 3)), None),
        (leased, Event::Complete(by(ONE, 3)), Some(S::Succeeded)),
        (suspect, Event::Complete(by(ONE, 3)), Some(S::Succeeded)),
        (leased, Event::Complete(by(ONE, 2)), None),
        (TrialPhase::Ready, Event::Complete(by(ONE, 3)), None),
        (TrialPhase::Cancelled, Event::Complete(by(ONE, 3)), None),
        (leased, fail(FailureKind::Device), Some(S::Delayed)),
        (leased, fail(FailureKind::BadSpec), Some(S::Failed)),
        (TrialPhase::Succeeded, fail(FailureKind::Device), None),
        (leased, Event::Release(by(ONE, 3)), Some(S::Ready)),
        (TrialPhase::Ready, Event::Release(by(ONE, 3)), None),
        (due, Event::Promote, Some(S::Ready)),
        (early, Event::Promote, None),
        (set_back, Event::Promote, Some(S::Ready)),
        (TrialPhase::Ready, Event::Cancel, Some(S::Cancelled)),
        (leased, Event::Cancel, Some(S::Cancelled)),
        (TrialPhase::Succeeded, Event::Cancel, None),
        (
            TrialPhase::Failed,
            Event::Rerun { unblocked: true },
            Some(S::Ready),
        ),
        (
            TrialPhase::Skipped,
            Event::Rerun { unblocked: false },
            Some(S::Blocked),
        ),
        (
            TrialPhase::Succeeded,
            Event::Rerun { unblocked: true },
            None,
        ),
        (leased, Event::Rerun { unblocked: true }, None),
    ] {
        assert_eq!(after(phase, event), expected, "{phase:?} {event:?}");
    }
}

#[test]
fn a_rejected_writer_is_told_what_was_found() {
    let policy = RetryPolicy::default();
    let leased = trial(TrialPhase::Leased { holder: TWO });
    let rejected = transition(leased, Event::Complete(by(ONE, 2)), NOW, &policy).unwrap_err();
    let expected = Rejected::Fenced {
        claimed: by(ONE, 2),
        found: TrialState::Leased,
        current: AttemptNumber(3),
    };
    assert_eq!(rejected, expected);
}

#[test]
fn a_trial_that_takes_its_workers_down_is_poisoned_at_the_claim_that_charges_it() {
    let policy = RetryPolicy {
        max_crashes: Some(2),
        ..RetryPolicy::default()
    };
    let mut trial = Trial::new(TrialPhase::Ready);
    for crashes in 0..2 {
        trial = transition(trial, Event::Claim { session: ONE }, NOW, &policy).unwrap();
        assert_eq!(
            (trial.phase.state(), trial.crashes),
            (TrialState::Leased, crashes)
        );
        trial = transition(trial, Event::Expire, NOW, &policy).unwrap();
    }
    trial = transition(trial, Event::Claim { session: ONE }, NOW, &policy).unwrap();
    assert_eq!((trial.phase, trial.crashes), (TrialPhase::Poisoned, 2));
}

fn event() -> impl Strategy<Value = Event> {
    let session = || prop_oneof![Just(ONE), Just(TWO)];
    let claimant =
        move || (session(), 0..6_i64).prop_map(|(session, attempt)| by(session, attempt));
    prop_oneof![
        Just(Event::Unblock),
        Just(Event::Skip),
        session().prop_map(|session| Event::Claim { session }),
        Just(Event::Expire),
        claimant().prop_map(Event::Beat),
        claimant().prop_map(Event::Complete),
        (claimant(), 0.0..1.0_f64).prop_map(|(by, uniform)| Event::Fail {
            by,
            kind: FailureKind::Device,
            uniform
        }),
        claimant().prop_map(Event::Release),
        Just(Event::Promote),
        Just(Event::Cancel),
        any::<bool>().prop_map(|unblocked| Event::Rerun { unblocked }),
    ]
}

proptest! {
    /// Whatever happens in whatever order: tokens only grow, at claims only; there is one result; only the holder writes.
    #[test]
    fn no_history_breaks_the_promises(events in proptest::collection::vec(event(), 0..60)) {
        let policy = RetryPolicy::default();
        let mut trial = Trial::new(TrialPhase::Ready);
        let mut results = 0;
        for (second, event) in (0_i64..).zip(events) {
            let Ok(next) = transition(trial, event, Timestamp(second * 1000), &policy) else { continue };
            let claimed = matches!(event, Event::Claim { .. });
            prop_assert_eq!(next.attempt.0, trial.attempt.0 + i64::from(claimed));
            if let Event::Beat(by) | Event::Complete(by) | Event::Release(by) | Event::Fail { by, .. } = event {
                prop_assert!(fence::holds(&trial, by));
                prop_assert_eq!(by.attempt, trial.attempt);
            }
            results += u32::from(next.phase == TrialPhase::Succeeded);
            trial = next;
        }
        prop_assert!(results <= 1);
        prop_assert!(trial.failures <= policy.max_failures);
    }
}
