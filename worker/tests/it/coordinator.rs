//! A coordinator in memory that keeps the rules of the real one, checks that the worker does, and fails on command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use descent_spec::id::{AttemptNumber, ContentHash, RequestId, SessionId, TrialId};
use descent_spec::lease::{
    Artifact, Claimed, Directive, Fence, Held, Purpose, SessionDirective, Verdict,
};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;
use descent_worker::link::{
    Ask, Beat, Granted, Hello, Link, LinkError, TrialDirective, Upload, Welcome,
};
use tokio::sync::watch;

/// How long a test waits for what must happen; far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Trial {
    pub(crate) claimed: Claimed,
    pub(crate) state: TrialState,
    owner: Option<SessionId>,
    /// By attempt: the chunks, in order.
    pub(crate) chunks: BTreeMap<i64, Vec<Vec<Measurement>>>,
    /// Epochs at which checkpoints were committed.
    pub(crate) checkpoints: Vec<u32>,
    pub(crate) result: Option<TrialResult>,
    pub(crate) failure: Option<Failure>,
    /// Calls that named an attempt of it.
    pub(crate) calls: u64,
    /// What the next beats say.
    pub(crate) directive: Option<Directive>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) trials: BTreeMap<TrialId, Trial>,
    pub(crate) artifacts: BTreeMap<ContentHash, Vec<u8>>,
    pub(crate) sessions: BTreeSet<SessionId>,
    pub(crate) hellos: Vec<Hello>,
    pub(crate) asks: Vec<Ask>,
    answered: BTreeMap<RequestId, Granted>,
    pub(crate) closed: bool,
    pub(crate) beats: u64,
    pub(crate) missed_beats: u64,
    /// Results in each call that completed something.
    pub(crate) completions: Vec<usize>,
    /// No call is answered.
    pub(crate) down: bool,
    /// Completions wait.
    pub(crate) hold_completions: bool,
    /// Files that are asked for wait.
    pub(crate) hold_reads: bool,
    /// What the newest beat listed.
    pub(crate) held: Vec<Held>,
    /// Every other answer is lost after its call was carried out.
    pub(crate) lossy: bool,
    lost: u64,
    /// Epochs between measurements, where not 1.
    pub(crate) measured_every: u32,
    pub(crate) refusal: Option<String>,
    pub(crate) session_directive: Option<SessionDirective>,
}

pub(crate) struct Coordinator {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }

    pub(crate) fn add(&self, claimed: Claimed) {
        self.change(|state| {
            let trial = Trial {
                state: TrialState::Ready,
                owner: None,
                chunks: BTreeMap::new(),
                checkpoints: Vec::new(),
                result: None,
                failure: None,
                calls: 0,
                directive: None,
                claimed,
            };
            state.trials.insert(trial.claimed.trial, trial);
        });
    }

    pub(crate) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap());
        self.version.send_modify(|version| *version += 1);
        changed
    }

    /// Waits until a condition on the coordinator holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let mut version = self.version.subscribe();
        let waiting = async {
            while !holds(&self.look()) {
                version.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("in vain: {what}"));
    }

    /// All trials are terminal.
    pub(crate) async fn until_done(&self) {
        self.until("all trials are terminal", |state| {
            state.trials.values().all(|trial| trial.state.is_terminal())
        })
        .await;
    }

    /// Carries a call out, unless it gets lost on its way there; its answer may get lost on its way back.
    fn call<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        self.change(|state| {
            if state.down {
                return Err(unavailable());
            }
            let answer = act(state);
            state.lost += u64::from(state.lossy);
            if state.lossy && state.lost % 2 == 1 {
                return Err(unavailable());
            }
            answer
        })
    }
}

fn unavailable() -> LinkError {
    LinkError::Unavailable("by the test".to_owned())
}

impl State {
    /// The trial, when the fence is its current attempt.
    fn fenced(&mut self, fence: Fence) -> Result<&mut Trial, LinkError> {
        if !self.sessions.contains(&fence.session) {
            return Err(LinkError::SessionClosed);
        }
        let trial = self.trials.get_mut(&fence.trial).expect("a trial granted");
        trial.calls += 1;
        let current = trial.claimed.attempt == fence.attempt && trial.owner == Some(fence.session);
        current.then_some(trial).ok_or(LinkError::Fenced)
    }

    pub(crate) fn trial(&self, id: i64) -> &Trial {
        &self.trials[&TrialId(id)]
    }

    pub(crate) fn trial_mut(&mut self, id: i64) -> &mut Trial {
        self.trials.get_mut(&TrialId(id)).unwrap()
    }

    fn grant(&mut self, ask: &Ask) -> Granted {
        let ready = |trial: &&mut Trial| trial.state == TrialState::Ready;
        let key = match self.trials.values_mut().find(ready) {
            Some(trial) => trial.claimed.pack_key,
            None => return Granted::default(),
        };
        let mut granted = Granted::default();
        for trial in self.trials.values_mut().filter(ready) {
            if trial.claimed.pack_key != key || granted.trials.len() == ask.max_trials as usize {
                continue;
            }
            trial.state = TrialState::Leased;
            trial.owner = Some(ask.session);
            trial.claimed.attempt.0 += 1;
            granted.trials.push(trial.claimed.clone());
        }
        granted
    }

    fn release(&mut self, session: SessionId) {
        for trial in self.trials.values_mut() {
            if trial.state == TrialState::Leased && trial.owner == Some(session) {
                trial.state = TrialState::Ready;
                trial.owner = None;
            }
        }
    }

    /// The session is gone, as after a long silence: its trials are anybody's.
    pub(crate) fn forget_sessions(&mut self) {
        for session in std::mem::take(&mut self.sessions) {
            self.release(session);
        }
    }

    /// The fifth trial is anybody's, and nobody's like.
    pub(crate) fn hand_out_the_fifth(&mut self) {
        let trial = self.trial_mut(5);
        trial.state = TrialState::Ready;
        trial.owner = None;
        trial.directive = None;
        trial.claimed.pack_key.0 = [5; 16];
    }

    /// Another worker has the trial.
    pub(crate) fn steal(&mut self, id: i64) {
        let trial = self.trial_mut(id);
        trial.claimed.attempt.0 += 1;
        trial.owner = Some(SessionId([0xee; 16]));
    }
}

impl Trial {
    /// Measured epochs of an attempt, in order of arrival.
    pub(crate) fn epochs(&self, attempt: i64) -> Vec<u32> {
        let chunks = self.chunks.get(&attempt).into_iter().flatten().flatten();
        chunks.map(|measurement| measurement.epoch).collect()
    }
}

#[async_trait]
impl Link for Coordinator {
    async fn open_session(&self, hello: &Hello) -> Result<Welcome, LinkError> {
        self.call(|state| {
            if let Some(refusal) = &state.refusal {
                return Err(LinkError::Refused(refusal.clone()));
            }
            state.hellos.push(hello.clone());
            state.sessions.insert(hello.session);
            Ok(Welcome {
                heartbeat: Duration::from_millis(2),
                lease: Duration::from_secs(30),
                coordinator: "test".to_owned(),
            })
        })
    }

    async fn lease(&self, ask: &Ask) -> Result<Granted, LinkError> {
        let mut version = self.version.subscribe();
        let wait = tokio::time::sleep(ask.wait);
        tokio::pin!(wait);
        self.change(|state| state.asks.push(ask.clone()));
        loop {
            version.borrow_and_update();
            let granted = self.change_quietly(|state| {
                if state.down {
                    return Err(unavailable());
                }
                if !state.sessions.contains(&ask.session) {
                    return Err(LinkError::SessionClosed);
                }
                if let Some(granted) = state.answered.get(&ask.request) {
                    return Ok(granted.clone());
                }
                let granted = state.grant(ask);
                if granted.trials.is_empty() {
                    return Ok(granted);
                }
                state.answered.insert(ask.request, granted.clone());
                state.lost += u64::from(state.lossy);
                if state.lossy && state.lost % 2 == 1 {
                    return Err(unavailable());
                }
                Ok(granted)
            })?;
            if !granted.trials.is_empty() {
                self.change(|_| {});
                return Ok(granted);
            }
            tokio::select! {
                () = &mut wait => return Ok(Granted::default()),
                _ = version.changed() => {}
            }
        }
    }

    async fn heartbeat(&self, session: SessionId, held: &[Held]) -> Result<Beat, LinkError> {
        self.change(|state| state.missed_beats += u64::from(state.down));
        self.call(|state| {
            if !state.sessions.contains(&session) {
                return Err(LinkError::SessionClosed);
            }
            state.beats += 1;
            state.held = held.to_vec();
            let mut trials = Vec::new();
            for held in held {
                let trial = &state.trials[&held.trial];
                let mine = trial.claimed.attempt == held.attempt && trial.owner == Some(session);
                let directive = match trial.directive {
                    Some(directive) => directive,
                    None if mine => Directive::Continue,
                    None => Directive::Fenced,
                };
                trials.push(TrialDirective {
                    trial: held.trial,
                    attempt: held.attempt,
                    directive,
                });
            }
            let session = state.session_directive.unwrap_or(SessionDirective::None);
            Ok(Beat { trials, session })
        })
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Result<(), LinkError> {
        self.call(|state| {
            let trial = state.fenced(fence)?;
            let chunks = trial.chunks.entry(fence.attempt.0).or_default();
            let index = usize::try_from(seq).unwrap() - 1;
            assert!(index <= chunks.len(), "chunk {seq} leaves a gap");
            match chunks.get(index) {
                None => chunks.push(measurements.to_vec()),
                Some(stored) => assert_eq!(stored, measurements, "a repetition says the same"),
            }
            Ok(())
        })
    }

    async fn commit_artifact(&self, upload: &Upload) -> Result<(), LinkError> {
        self.call(|state| {
            let content = upload.content.to_vec();
            let artifact = Artifact {
                hash: ContentHash::of(&content),
                bytes: content.len() as u64,
            };
            assert_eq!(upload.artifact, artifact);
            let every = state.measured_every.max(1);
            let trial = state.fenced(upload.fence)?;
            match upload.purpose {
                Purpose::Checkpoint => {
                    let measured = trial.chunks.values().flatten().flatten();
                    let last = measured.map(|at| at.epoch).max().unwrap_or(0);
                    let due = upload.epoch - upload.epoch % every;
                    assert!(due <= last, "measurements go first");
                    trial.claimed.checkpoint = Some(artifact);
                    trial.checkpoints.push(upload.epoch);
                }
                Purpose::Weights => assert!(trial.claimed.keep_weights),
            }
            state.artifacts.insert(artifact.hash, content);
            Ok(())
        })
    }

    async fn read_artifact(&self, hash: ContentHash) -> Result<Vec<u8>, LinkError> {
        let mut version = self.version.subscribe();
        while self.look().hold_reads {
            version.changed().await.unwrap();
        }
        self.call(|state| {
            let content = state.artifacts.get(&hash).cloned();
            content.ok_or_else(|| LinkError::Artifact(format!("there is no {hash}")))
        })
    }

    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
    ) -> Result<Vec<Verdict>, LinkError> {
        let mut version = self.version.subscribe();
        while self.look().hold_completions {
            version.changed().await.unwrap();
        }
        self.call(|state| {
            state.completions.push(completions.len());
            let mut verdicts = Vec::new();
            for (fence, result) in completions {
                let verdict = match state.fenced(*fence) {
                    Err(_) => Verdict::Fenced,
                    Ok(trial) => {
                        if let Some(stored) = &trial.result {
                            assert_eq!(stored, result, "a repetition says the same");
                        }
                        trial.result = Some(result.clone());
                        trial.state = TrialState::Succeeded;
                        Verdict::Accepted
                    }
                };
                verdicts.push(verdict);
            }
            Ok(verdicts)
        })
    }

    async fn fail(&self, fence: Fence, failure: &Failure) -> Result<TrialState, LinkError> {
        self.call(|state| {
            let trial = state.fenced(fence)?;
            trial.failure = Some(failure.clone());
            trial.state = TrialState::Failed;
            Ok(trial.state)
        })
    }

    async fn release(&self, fences: &[Fence]) -> Result<Vec<Verdict>, LinkError> {
        self.call(|state| {
            let mut verdicts = Vec::new();
            for fence in fences {
                verdicts.push(match state.fenced(*fence) {
                    Err(_) => Verdict::Fenced,
                    Ok(trial) => {
                        trial.state = TrialState::Ready;
                        trial.owner = None;
                        Verdict::Accepted
                    }
                });
            }
            Ok(verdicts)
        })
    }

    async fn close_session(&self, session: SessionId) -> Result<(), LinkError> {
        self.call(|state| {
            state.release(session);
            state.sessions.remove(&session);
            state.closed = true;
            Ok(())
        })
    }
}

impl Coordinator {
    /// A change that nobody needs to be told of.
    fn change_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

/// The attempt number that a first claim gives.
pub(crate) const FIRST: AttemptNumber = AttemptNumber(1);
