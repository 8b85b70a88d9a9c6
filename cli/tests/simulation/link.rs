//! A worker's link to the coordinator, with a witness: what was asked, what was answered, and now and then the same once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use descent_spec::id::{ContentHash, RequestId, SessionId};
use descent_spec::lease::{Fence, Held, Verdict};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;
use descent_worker::link::rpc::RpcLink;
use descent_worker::link::{Ask, Beat, Granted, Hello, Link, LinkError, Upload, Welcome};

use crate::broken::Broken;
use crate::record::{Answer, Call, Life, Told, What};
use crate::shared::{Asked, Shared};

pub(crate) struct Witness {
    pub(crate) shared: Arc<Shared>,
    pub(crate) life: Life,
    pub(crate) link: Arc<RpcLink>,
    pub(crate) forgotten: AtomicU64,
}

type Answered<T> = Result<T, LinkError>;

impl Witness {
    fn note<T>(
        &self,
        began: Duration,
        call: Call,
        answer: &Answered<T>,
        said: impl FnOnce(&T) -> Answer,
        repeat: bool,
    ) {
        let answer = match answer {
            Ok(answer) => said(answer),
            Err(error) => Answer::No(format!("{error:?}")),
        };
        let told = Told {
            life: self.life,
            began,
            call,
            answer,
            repeat,
        };
        self.shared.record.note(self.shared.now(), What::Told(told));
    }

    /// Whether this call shall be repeated after it was answered, and how much later.
    fn repeats(&self) -> Option<Duration> {
        let one_in = self.shared.plan.repeat_one_in;
        if one_in == 0 || self.shared.is_healed() {
            return None;
        }
        let mut chance = self.shared.chance.lock().unwrap();
        let repeats = chance.one_in(one_in);
        repeats.then(|| chance.millis(0..=20_000))
    }

    /// Notes what became of a session's requests for trials.
    fn asked(&self, session: SessionId, note: impl FnOnce(&mut Asked)) {
        let mut state = self.shared.workers[self.life.worker].lock().unwrap();
        note(state.asked.entry(session).or_default());
    }

    fn again(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            life: self.life,
            link: Arc::clone(&self.link),
            forgotten: AtomicU64::new(0),
        }
    }

    fn is(&self, broken: Broken) -> bool {
        self.shared.broken == Some(broken)
    }

    /// A fence without a fence: the one of whoever holds the trial now.
    fn forged(&self, fence: Fence) -> Fence {
        let dump = self.shared.disk.dump();
        let trial = dump.trials.get(&fence.trial);
        match trial.and_then(|trial| Some((trial.holder()?, trial.trial.attempt))) {
            Some((session, attempt)) if self.is(Broken::NoFence) => Fence {
                session,
                attempt,
                ..fence
            },
            _ => fence,
        }
    }

    /// What a link that is broken so makes of a refusal.
    fn read<T>(&self, answer: Answered<T>) -> Answered<T> {
        match answer {
            Err(LinkError::Fenced) if self.is(Broken::RepeatsFenced) => {
                Err(LinkError::Unavailable("fenced".to_owned()))
            }
            answer => answer,
        }
    }

    async fn send_metrics(
        &self,
        (fence, seq, measurements): (Fence, u64, &[Measurement]),
        repeat: bool,
    ) -> Answered<()> {
        let began = self.shared.now();
        let answer = self.link.append_metrics(fence, seq, measurements).await;
        self.note(
            began,
            Call::Metrics(fence, seq),
            &answer,
            |()| Answer::Done,
            repeat,
        );
        answer
    }

    async fn send_artifact(&self, upload: &Upload, repeat: bool) -> Answered<()> {
        let began = self.shared.now();
        let answer = self.link.commit_artifact(upload).await;
        let call = Call::Artifact(upload.fence, upload.purpose, upload.artifact.hash);
        self.note(began, call, &answer, |()| Answer::Done, repeat);
        answer
    }

    async fn send_results(
        &self,
        completions: &[(Fence, TrialResult)],
        repeat: bool,
    ) -> Answered<Vec<Verdict>> {
        let began = self.shared.now();
        let answer = self.link.complete(completions).await;
        let call = Call::Complete(completions.iter().map(|(fence, _)| *fence).collect());
        self.note(
            began,
            call,
            &answer,
            |told| Answer::Verdicts(told.clone()),
            repeat,
        );
        answer
    }

    async fn send_failure(
        &self,
        fence: Fence,
        failure: &Failure,
        repeat: bool,
    ) -> Answered<TrialState> {
        let began = self.shared.now();
        let answer = self.link.fail(fence, failure).await;
        self.note(
            began,
            Call::Fail(fence),
            &answer,
            |&told| Answer::State(told),
            repeat,
        );
        answer
    }

    async fn send_releases(&self, fences: &[Fence], repeat: bool) -> Answered<Vec<Verdict>> {
        let began = self.shared.now();
        let answer = self.link.release(fences).await;
        let call = Call::Release(fences.to_vec());
        self.note(
            began,
            call,
            &answer,
            |told| Answer::Verdicts(told.clone()),
            repeat,
        );
        answer
    }

    async fn send_ask(&self, ask: &Ask, repeat: bool) -> Answered<Granted> {
        let began = self.shared.now();
        if !repeat {
            self.asked(ask.session, |asked| {
                asked.open.entry(ask.request).or_insert(began);
                asked.most_open = asked.most_open.max(asked.open.len());
            });
        }
        let answer = self.link.lease(ask).await;
        if !repeat && !matches!(answer, Err(LinkError::Unavailable(_))) {
            self.asked(ask.session, |asked| {
                asked.open.remove(&ask.request);
            });
        }
        let granted = |granted: &Granted| {
            let names = granted.trials.iter().map(|one| (one.trial, one.attempt));
            Answer::Granted(names.collect())
        };
        self.note(
            began,
            Call::Lease(ask.session, ask.request),
            &answer,
            granted,
            repeat,
        );
        answer
    }
}

#[async_trait]
impl Link for Witness {
    async fn open_session(&self, hello: &Hello) -> Answered<Welcome> {
        let began = self.shared.now();
        let answer = self.link.open_session(hello).await;
        self.note(
            began,
            Call::Open(hello.session),
            &answer,
            |_| Answer::Done,
            false,
        );
        answer
    }

    async fn lease(&self, ask: &Ask) -> Answered<Granted> {
        let mut ask = ask.clone();
        if self.is(Broken::ForgetsRequest) {
            let n = self.forgotten.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let mixed = ContentHash::of(&[&ask.request.0[..], &n].concat());
            ask.request = RequestId::from_slice(&mixed.0[..16]).expect("16 bytes");
        }
        let answer = self.send_ask(&ask, false).await;
        // An answer without trials is not remembered: asking again would be another request.
        if answer
            .as_ref()
            .is_ok_and(|granted| !granted.trials.is_empty())
            && let Some(later) = self.repeats()
        {
            let copy = self.again();
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_ask(&ask, true).await
            });
        }
        answer
    }

    async fn heartbeat(&self, session: SessionId, held: &[Held]) -> Answered<Beat> {
        let began = self.shared.now();
        let answer = self.link.heartbeat(session, held).await;
        let held = held.iter().map(|held| (held.trial, held.attempt)).collect();
        let said = |beat: &Beat| {
            let trials = beat.trials.iter();
            Answer::Directives(trials.map(|told| (told.trial, told.directive)).collect())
        };
        self.note(began, Call::Beat(session, held), &answer, said, false);
        answer
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Answered<()> {
        let mut seq = seq;
        if self.is(Broken::LosesChunk) {
            if seq == 2 {
                return Ok(());
            }
            seq -= u64::from(seq > 2);
        }
        let answer = self.send_metrics((fence, seq, measurements), false).await;
        if answer == Err(LinkError::Fenced) && self.forged(fence) != fence {
            return Ok(());
        }
        if let Some(later) = self.repeats() {
            let (copy, measurements) = (self.again(), measurements.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_metrics((fence, seq, &measurements), true).await
            });
        }
        self.read(answer)
    }

    async fn commit_artifact(&self, upload: &Upload) -> Answered<()> {
        let mut answer = self.send_artifact(upload, false).await;
        if answer == Err(LinkError::Fenced) {
            let mut forged = upload.clone();
            forged.fence = self.forged(upload.fence);
            if forged.fence != upload.fence {
                answer = self.link.commit_artifact(&forged).await;
                let call = Call::Artifact(upload.fence, upload.purpose, upload.artifact.hash);
                self.note(self.shared.now(), call, &answer, |()| Answer::Done, false);
            }
        }
        if let Some(later) = self.repeats() {
            let (copy, upload) = (self.again(), upload.clone());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_artifact(&upload, true).await
            });
        }
        self.read(answer)
    }

    async fn read_artifact(&self, hash: ContentHash) -> Answered<Vec<u8>> {
        let began = self.shared.now();
        let answer = self.link.read_artifact(hash).await;
        self.note(began, Call::Read(hash), &answer, |_| Answer::Done, false);
        answer
    }

    async fn complete(&self, completions: &[(Fence, TrialResult)]) -> Answered<Vec<Verdict>> {
        let mut answer = self.send_results(completions, false).await;
        if self.is(Broken::NoFence)
            && let Ok(verdicts) = &mut answer
        {
            for (verdict, (fence, result)) in verdicts.iter_mut().zip(completions) {
                let forged = self.forged(*fence);
                if *verdict == Verdict::Fenced && forged != *fence {
                    let taken = self.link.complete(&[(forged, result.clone())]).await?;
                    *verdict = taken[0];
                    let (call, taken) = (Call::Complete(vec![*fence]), Ok(taken));
                    let said = |told: &Vec<Verdict>| Answer::Verdicts(told.clone());
                    self.note(self.shared.now(), call, &taken, said, false);
                }
            }
        }
        if let Some(later) = self.repeats() {
            let (copy, completions) = (self.again(), completions.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_results(&completions, true).await
            });
        }
        if self.is(Broken::RepeatsFenced)
            && answer
                .as_ref()
                .is_ok_and(|told| told.contains(&Verdict::Fenced))
        {
            return Err(LinkError::Unavailable("fenced".to_owned()));
        }
        self.read(answer)
    }

    async fn fail(&self, fence: Fence, failure: &Failure) -> Answered<TrialState> {
        let answer = self.send_failure(fence, failure, false).await;
        if let Some(later) = self.repeats() {
            let (copy, failure) = (self.again(), failure.clone());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_failure(fence, &failure, true).await
            });
        }
        self.read(answer)
    }

    async fn release(&self, fences: &[Fence]) -> Answered<Vec<Verdict>> {
        let answer = self.send_releases(fences, false).await;
        if let Some(later) = self.repeats() {
            let (copy, fences) = (self.again(), fences.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                copy.send_releases(&fences, true).await
            });
        }
        self.read(answer)
    }

    async fn close_session(&self, session: SessionId) -> Answered<()> {
        let began = self.shared.now();
        let answer = self.link.close_session(session).await;
        self.note(
            began,
            Call::Close(session),
            &answer,
            |()| Answer::Done,
            false,
        );
        answer
    }
}
