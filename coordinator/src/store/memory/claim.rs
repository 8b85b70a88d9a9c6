//! Claims in the memory store: the most urgent trials that fit a worker, and the same ones again for a repeated request.

use std::collections::BTreeSet;

use descent_spec::id::{AttemptNumber, ContentHash, SessionId, Timestamp, TrialId};
use descent_spec::state::{SweepState, TrialState};

use super::super::{Ask, Claim, Claimed, Lost, NewSession, StoreError};
use super::tables::{AttemptEntry, Class, Reply, SessionEntry, SweepEntry, Tables, Urgency};
use crate::core::lease::SessionPhase;
use crate::core::poison::{self, Losses};
use crate::core::retry::RetryPolicy;
use crate::core::share::{self, Candidate, Room, Work};
use crate::core::sweep::hands_out;
use crate::core::trial::{Event, TrialPhase};

/// How a claim is told from other calls.
const CALL: &str = "claim";

impl Tables {
    pub(super) fn claim(&mut self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
        if let Some(Reply::Claimed(claimed)) = self.replied(ask.request, CALL)? {
            let claimed = claimed
                .iter()
                .filter(|(trial, _)| self.trials.contains_key(&trial.0));
            let claimed = claimed
                .map(|&(trial, attempt)| self.claimed(trial, attempt))
                .collect();
            return Ok(Claim {
                claimed,
                ..Claim::default()
            });
        }
        let session = self
            .sessions
            .get_mut(&ask.session)
            .ok_or(StoreError::SessionClosed(ask.session))?;
        match session.phase {
            SessionPhase::Open { .. } => {}
            SessionPhase::Expired => return Ok(Claim::default()),
            SessionPhase::Closed => return Err(StoreError::SessionClosed(ask.session)),
        }
        let worker = &session.new.worker;
        let quarantined = self.quarantine.get(worker);
        if session.draining || quarantined.is_some_and(|(until, _)| *until > now) {
            return Ok(Claim::default());
        }
        session.new.data.clone_from(&ask.data);
        let session = &self.sessions[&ask.session].new;
        let Some(most_urgent) = self.pick(session, ask, None) else {
            let fitting = self.ready.keys().filter(|class| class.fits(session));
            let mut missing: Vec<ContentHash> = fitting.map(|class| class.data).collect();
            missing.sort_unstable();
            missing.dedup();
            return Ok(Claim {
                missing_data: missing,
                ..Claim::default()
            });
        };
        let chosen = self.choose(session, most_urgent, ask, now);
        let (taken, lost) = self.revoke(chosen, now);
        let mut grants = Vec::new();
        for id in taken {
            self.apply(
                id,
                Event::Claim {
                    session: ask.session,
                },
                now,
            );
            let entry = self.trial_mut(id);
            entry.leased_at = now;
            entry.attempts.push(AttemptEntry {
                number: entry.trial.attempt,
                session: ask.session,
                started_at: now,
                ended_at: None,
                outcome: "active",
                failure: None,
                message: None,
                metric_seq: 0,
            });
            grants.push((TrialId(id), entry.trial.attempt));
        }
        let claimed = grants
            .iter()
            .map(|&(trial, attempt)| self.claimed(trial, attempt))
            .collect();
        if !grants.is_empty() {
            self.reply(ask.request, CALL.to_owned(), Reply::Claimed(grants), now);
        }
        Ok(Claim {
            claimed,
            lost,
            ..Claim::default()
        })
    }

    /// Ends the attempts of those chosen whose workers fell silent. Answers which of them are to be taken: not those that are given
    /// up with it, and one that may be what kills workers only alone.
    fn revoke(&mut self, mut chosen: Vec<i64>, now: Timestamp) -> (Vec<i64>, Vec<Lost>) {
        let mut ids = chosen.clone();
        ids.sort_unstable();
        let mut lost: Vec<Lost> = ids.iter().filter_map(|&id| self.losing(id)).collect();
        let poisoned = |trial: i64| {
            lost.iter()
                .any(|lost| lost.trial.0 == trial && lost.poisoned)
        };
        chosen.retain(|&trial| !poisoned(trial));
        poison::set_apart(&mut chosen, |&trial| {
            poison::ALONE_FROM <= self.crashes(trial)
        });
        lost.retain(|lost| lost.poisoned || chosen.contains(&lost.trial.0));
        for lost in &lost {
            let id = lost.trial.0;
            self.end_attempt(id, "lost", None, now);
            if lost.poisoned {
                self.change(id, |entry| {
                    entry.trial.crashes += 1;
                    entry.trial.phase = TrialPhase::Poisoned;
                });
                self.skip_below([id]);
            }
        }
        if lost.iter().any(|lost| lost.poisoned) {
            self.settle(now);
        }
        (chosen, lost)
    }

    /// Lost attempts of a trial, the one that its next claim ends included.
    fn crashes(&self, id: i64) -> u32 {
        let trial = &self.trial(id).trial;
        let suspect = matches!(trial.phase, TrialPhase::Suspect { .. });
        trial.crashes + u32::from(suspect)
    }

    /// What the claim of a trial takes from a worker that fell silent.
    fn losing(&self, id: i64) -> Option<Lost> {
        let entry = self.trial(id);
        let TrialPhase::Suspect { holder } = entry.trial.phase else {
            return None;
        };
        let crashes = self.crashes(id);
        let name = |session: &SessionId| self.sessions[session].new.worker.clone();
        let lost = |attempt: &&AttemptEntry| matches!(attempt.outcome, "lost" | "suspect");
        let losers = entry.attempts.iter().rev().filter(lost);
        let workers: BTreeSet<String> = losers
            .take(crashes as usize)
            .map(|attempt| name(&attempt.session))
            .collect();
        let open = |session: &&SessionEntry| matches!(session.phase, SessionPhase::Open { .. });
        let mut others = self.sessions.values().filter(open);
        let losses = Losses {
            crashes,
            workers: u32::try_from(workers.len()).unwrap_or(u32::MAX),
            others: others.any(|session| !workers.contains(&session.new.worker)),
        };
        Some(Lost {
            trial: TrialId(id),
            session: holder,
            worker: name(&holder),
            poisoned: poison::is_poisoned(losses, &RetryPolicy::default()),
        })
    }

    /// The class of the most urgent trial that fits and, where there is a limit, finds room in so many bytes.
    fn pick(&self, session: &NewSession, ask: &Ask, limit: Option<u64>) -> Option<&Class> {
        let served = self
            .ready
            .iter()
            .filter(|(class, _)| class.fits(session) && ask.data.contains(&class.data));
        let first = |(class, trials): (_, &BTreeSet<Urgency>)| {
            let fits = |place: &&Urgency| self.finds_room(**place, ask, limit);
            Some((*trials.iter().find(fits)?, class))
        };
        served.filter_map(first).min().map(|(_, class)| class)
    }

    /// What the samples of a trial take of the asker's memory.
    fn shared(&self, (.., id): Urgency, ask: &Ask) -> u64 {
        let new = &self.trial(id).new;
        if ask.samples.contains(&new.pack_key) {
            0
        } else {
            new.data_memory
        }
    }

    fn finds_room(&self, place: Urgency, ask: &Ask, limit: Option<u64>) -> bool {
        let memory = self.candidate(place).memory;
        let room = |limit: u64| limit.checked_sub(self.shared(place, ask));
        limit.is_none_or(|limit| room(limit).is_some_and(|room| memory <= room))
    }

    /// The trials that one claim takes: of the most urgent class, unless what is too large for this worker, but not for another,
    /// stands in the way there.
    fn choose(
        &self,
        session: &NewSession,
        most_urgent: &Class,
        ask: &Ask,
        now: Timestamp,
    ) -> Vec<i64> {
        let (mut workers, mut slots, memory) = self.workers(most_urgent);
        let most = memory <= ask.memory;
        let (mut class, mut limit) = (most_urgent, None);
        if !most {
            limit = Some(ask.memory);
            let Some(fitting) = self.pick(session, ask, limit) else {
                return Vec::new();
            };
            class = fitting;
            (workers, slots, _) = self.workers(class);
        }
        let trials = &self.ready[class];
        let shared = trials.first().map_or(0, |&place| self.shared(place, ask));
        let room = Room {
            trials: ask.max_trials,
            memory: ask.memory.saturating_sub(shared),
            most,
        };
        let ready = self.ready_trials();
        let first = || -> Vec<Candidate> {
            let all = trials.iter().map(|&place| self.candidate(place));
            let fitting = all.filter(|trial| most || trial.memory <= room.memory);
            fitting.take(ask.max_trials as usize).collect()
        };
        if !share::is_near_end(ready, ask.max_trials, slots) {
            return share::fitting(&first(), room);
        }
        let mut front: Vec<(Urgency, &Class)> = Vec::new();
        for (class, trials) in &self.ready {
            front.extend(trials.iter().map(|&place| (place, class)));
        }
        front.sort_unstable_by_key(|(place, _)| *place);
        front.truncate(share::FRONT_MOST as usize);
        let seen = front.len();
        front.retain(|(place, class)| {
            class.fits(session)
                && ask.data.contains(&class.data)
                && self.finds_room(*place, ask, limit)
        });
        let costs = front.iter().map(|(place, _)| self.candidate(*place).cost);
        let (mut trials, mut work) = share::all_work(costs, seen, ready);
        let alike = front.iter().filter(|(_, of)| *of == class);
        let mut alike: Vec<Candidate> = alike.map(|(place, _)| self.candidate(*place)).collect();
        if alike.is_empty() {
            alike = first();
            trials = alike.len() as u64;
            work = alike.iter().map(|candidate| candidate.cost).sum();
        }
        let costliest = share::costliest_first(alike);
        if workers == 1 {
            let ready = Work { trials, cost: work };
            let begun = self.begun(ask.session, now);
            return share::fitting(&share::even_share(costliest, ready, begun, slots), room);
        }
        let share = share::share(&costliest, trials, work, slots);
        let trials = share.min(ask.max_trials);
        share::fitting(&costliest, Room { trials, ..room })
    }

    /// What a session took a moment ago.
    fn begun(&self, session: SessionId, now: Timestamp) -> Work {
        let since = now.plus_ms(-share::MOMENT_MS);
        let held = self.trials.values().filter(|entry| {
            let phase = entry.trial.phase;
            phase == (TrialPhase::Leased { holder: session }) && entry.leased_at > since
        });
        held.fold(Work::default(), |work, entry| Work {
            trials: work.trials + 1,
            cost: work.cost + entry.new.columns.cost,
        })
    }

    /// Of the workers at hand that a class fits: how many there are, their slots, and the most memory that one has.
    fn workers(&self, class: &Class) -> (u64, u64, u64) {
        let open = |session: &&SessionEntry| matches!(session.phase, SessionPhase::Open { .. });
        let alive = self.sessions.values().filter(open);
        let alive = alive.map(|session| &session.new);
        alive
            .filter(|new| class.fits(new) && new.data.contains(&class.data))
            .fold((0, 0, 0), |(workers, slots, most), new| {
                (
                    workers + 1,
                    slots + u64::from(new.slots),
                    most.max(new.memory),
                )
            })
    }

    /// Trials that sweeps at work have ready; a trial that two sweeps share counts twice.
    fn ready_trials(&self) -> u64 {
        let at_work = |sweep: &&SweepEntry| {
            matches!(sweep.state, SweepState::Expanding | SweepState::Running)
        };
        let at_work = self.sweeps.values().filter(at_work);
        at_work
            .filter_map(|sweep| sweep.counts.get(&TrialState::Ready))
            .sum()
    }

    fn candidate(&self, (.., id): Urgency) -> Candidate {
        let entry = self.trial(id);
        Candidate {
            trial: id,
            priority: entry.priority,
            cost: entry.new.columns.cost,
            memory: entry.new.columns.memory,
        }
    }

    /// What a worker needs to know of a trial that it got.
    fn claimed(&self, trial: TrialId, attempt: AttemptNumber) -> Claimed {
        let entry = self.trial(trial.0);
        let Class { pack_key, data, .. } = entry.class;
        let wanting = entry.sweeps.iter().map(|id| &self.sweeps[id]);
        let sweep = wanting.min_by_key(|sweep| (!hands_out(sweep.state), sweep.id));
        Claimed {
            trial,
            attempt,
            identity: entry.new.identity,
            pack_key,
            data,
            params: entry.new.params.clone(),
            checkpoint: entry.checkpoint,
            parent_weights: entry.parent.and_then(|parent| self.trial(parent).weights),
            time_limit_ms: entry.new.time_limit_ms,
            checkpoint_ms: entry.new.checkpoint_ms,
            checkpoint_epochs: entry.new.checkpoint_epochs,
            keep_weights: entry.new.keep_weights || !entry.children.is_empty(),
            sweep: sweep
                .map(|sweep| sweep.new.name.clone())
                .unwrap_or_default(),
        }
    }
}
