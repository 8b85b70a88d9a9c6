//! Every guard left out in turn, and the promise that the checker then finds broken.

use super::catch;
use super::flaw::Flaw;
use super::holds::{BUDGETS, CHAIN, FAREWELLS, GROUP_COMMIT, LEASES, TWO_CLAIMS, TWO_COORDINATORS};
use super::promise::Promise;

/// Makes a test for each flaw.
macro_rules! caught {
    ($($name:ident: $flaw:ident in $scope:ident breaks $promise:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            catch($scope, Flaw::$flaw, Promise::$promise);
        })+
    };
}

caught! {
    no_fence: NoFence in LEASES breaks OnlyTheNewest,
    state_without_attempt: StateOnly in LEASES breaks OnlyTheNewest,
    session_without_attempt: AttemptUnchecked in BUDGETS breaks OnlyTheNewest,
    attempt_without_session: SessionUnchecked in BUDGETS breaks OnlyTheNewest,
    sweeper_by_id: SweeperById in LEASES breaks OneResult,
    expiry_that_takes_a_number: SweeperBumps in LEASES breaks SoftExpiry,
    expiry_that_revokes: SweeperRevokes in LEASES breaks SoftExpiry,
    charge_at_expiry: SweeperCharges in LEASES breaks Charges,
    expiry_without_counters: SweeperMiscounts in LEASES breaks Counters,
    promoter_by_id: PromoterById in BUDGETS breaks Durable,
    claim_without_second_look: ClaimUnchecked in TWO_COORDINATORS breaks SoftExpiry,
    claim_without_log: ClaimForgotten in LEASES breaks Repeatable,
    one_request_two_claims: ClaimTwice in TWO_COORDINATORS breaks Repeatable,
    claim_of_a_closed_session: ClosedMayClaim in FAREWELLS breaks Ends,
    claim_while_its_session_closes: SessionUncheckedLater in TWO_CLAIMS breaks Ends,
    beat_that_takes: BeatTakes in LEASES breaks OnlyTheNewest,
    lost_grants_never_taken_back: NothingTakenBack in FAREWELLS breaks Ends,
    report_without_memory: ReportForgotten in LEASES breaks Repeatable,
    hand_back_charged: HandBackCharged in FAREWELLS breaks Charges,
    cancel_of_what_has_ended: CancelUnchecked in FAREWELLS breaks OneResult,
    rerun_from_number_one: RerunRestartsNumbers in BUDGETS breaks NumbersGrow,
    failure_that_unblocks: FailureUnblocks in CHAIN breaks ParentsFirst,
    answer_before_commit: AnsweredEarly in GROUP_COMMIT breaks Durable,
}
