//! A coordinator with everything around it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use descent_coordinator::clock::{Clock, ManualClock};
use descent_coordinator::store::Store;
use descent_coordinator::store::memory::MemoryStore;
use descent_coordinator::{Config, ServeError, serve_on};
use descent_proto::channel::Connection;
use descent_proto::v1;
use descent_spec::id::{ContentHash, Timestamp};
use descent_spec::lease::{Claimed, Fence};
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Four trials: two widths, two seeds.
pub(crate) const TOY: &str = r#"
name = "toy"
experiment = "risk-curve"

[data]
dataset = "toy"
samples = 40

[train]
optimizer = { kind = "sgd", lr = 0.1 }
batch = 10
epochs = 3

[axes]
width = [2, 4]
seed = { count = 2 }
"#;

/// A running coordinator.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    dial: Dial,
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
    next_id: AtomicU64,
    _folder: Arc<TempDir>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    /// A coordinator with another configuration.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("artifacts"));
        change(&mut config);
        Self::on(
            Arc::new(MemoryStore::default()),
            Arc::new(ManualClock::new(Timestamp(1_700_000_000_000))),
            config,
            Arc::new(folder),
        )
    }

    /// The same on a SQLite database. Its threads know nothing of paused time.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("descent.db").display());
        let mut config = Config::new(folder.path().join("artifacts"));
        config.database = Some(url.clone());
        let store = descent_coordinator::open_store(&url).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        Self::on(store, clock, config, Arc::new(folder))
    }

    /// One of several coordinators of a PostgreSQL database and a folder, its own clock so far ahead. Time goes by itself here.
    pub(crate) async fn beside(
        url: &str,
        folder: &Arc<TempDir>,
        number: u64,
        ahead_ms: i64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::new(folder.path().join("artifacts"));
        config.database = Some(url.to_owned());
        change(&mut config);
        let store = descent_coordinator::open_store(url).await.unwrap();
        let time = Timestamp(1_700_000_000_000).plus_ms(ahead_ms);
        let clock = Arc::new(ManualClock::new(time));
        let world = Self::on(store, clock, config, Arc::clone(folder));
        world.next_id.store(number << 32, Ordering::SeqCst);
        world
    }

    fn on(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        config: Config,
        folder: Arc<TempDir>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let serving = serve_on(
            config.clone(),
            Arc::clone(&store),
            UnboundedReceiverStream::new(receiver).map(Ok),
            Arc::clone(&clock) as Arc<dyn Clock>,
            shutdown.clone(),
        );
        Self {
            store,
            clock,
            config,
            dial: Dial(sender),
            shutdown,
            task: Some(tokio::spawn(serving)),
            next_id: AtomicU64::new(1),
            _folder: folder,
        }
    }

    /// Stops the coordinator; answers how it ended.
    pub(crate) async fn stop(&mut self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        self.task.take().expect("stopped once").await.unwrap()
    }

    /// Begins the shutdown without waiting for its end.
    pub(crate) fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    /// The next life on the same store and files, with another configuration.
    pub(crate) async fn restart(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.stop().await.unwrap();
        let mut config = self.config.clone();
        change(&mut config);
        let next = Self::on(self.store, self.clock, config, self._folder);
        next.next_id
            .store(self.next_id.load(Ordering::SeqCst), Ordering::SeqCst);
        next
    }

    pub(crate) fn connection(&self) -> Connection {
        self.connection_with(self.config.token.as_deref())
    }

    pub(crate) fn connection_with(&self, token: Option<&str>) -> Connection {
        Connection::from_channels(vec![self.dial.channel()], token).unwrap()
    }

    /// 16 bytes never used before.
    pub(crate) fn fresh(&self) -> Vec<u8> {
        let n = self.next_id.fetch_add(1, Ordering::SeqCst);
        [n.to_be_bytes(), (!n).to_be_bytes()].concat()
    }

    /// Lets time pass, in steps small enough that nobody takes it for a stall.
    pub(crate) async fn pass(&self, mut ms: i64) {
        while ms > 0 {
            let step = ms.min(5_000);
            self.clock.advance_ms(step);
            tokio::time::sleep(self.config.timing.maintain * 2).await;
            ms -= step;
        }
    }

    pub(crate) fn submission(&self, source: &str) -> v1::SubmitRequest {
        v1::SubmitRequest {
            request_id: self.fresh(),
            source: source.to_owned(),
            file: "toy.toml".to_owned(),
            data: HashMap::from([("toy".to_owned(), toy_data())]),
            dry_run: false,
            allow_removal: false,
        }
    }

    pub(crate) async fn submit(&self, source: &str) -> v1::SubmitResponse {
        let request = self.submission(source);
        let mut sweeps = self.connection().sweeps();
        sweeps.submit(request).await.unwrap().into_inner()
    }

    pub(crate) async fn sweep(&self, name: &str) -> v1::Sweep {
        let request = v1::GetRequest {
            sweep: name.to_owned(),
        };
        let mut sweeps = self.connection().sweeps();
        let answer = sweeps.get(request).await.unwrap().into_inner();
        answer.sweep.unwrap()
    }

    /// Waits until the sweep is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&v1::Sweep) -> bool) -> v1::Sweep {
        for _ in 0..1_000 {
            let sweep = self.sweep(name).await;
            if wanted(&sweep) {
                return sweep;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never as wanted: {:?}", self.sweep(name).await);
    }

    /// Submits a sweep and waits until its points are trials.
    pub(crate) async fn expanded(&self, source: &str) -> v1::Sweep {
        let name = self.submit(source).await.name;
        self.until(&name, |sweep| sweep.state() != v1::SweepState::Expanding)
            .await
    }

    pub(crate) async fn worker(&self) -> Worker<'_> {
        Worker::join(self, 1).await
    }
}

/// A worker that says whatever the test wants.
pub(crate) struct Worker<'w> {
    pub(crate) world: &'w World,
    pub(crate) session: Vec<u8>,
    pub(crate) work: v1::work_client::WorkClient<Connection>,
}

impl<'w> Worker<'w> {
    pub(crate) async fn join(world: &'w World, slots: u32) -> Self {
        let session = world.fresh();
        let mut work = world.connection().work();
        work.open_session(opening(&session, slots)).await.unwrap();
        Self {
            world,
            session,
            work,
        }
    }

    pub(crate) fn asking(&self, max_trials: u32, wait_ms: u32) -> v1::LeaseRequest {
        v1::LeaseRequest {
            session: self.session.clone(),
            request_id: self.world.fresh(),
            max_trials,
            memory_bytes: 1 << 30,
            data: vec![toy_data().hash],
            samples: Vec::new(),
            wait_ms,
        }
    }

    /// Leases without waiting.
    pub(crate) async fn lease(&mut self, max_trials: u32) -> Vec<Claimed> {
        let request = self.asking(max_trials, 0);
        self.lease_as(request).await.unwrap()
    }

    pub(crate) async fn lease_as(
        &mut self,
        request: v1::LeaseRequest,
    ) -> Result<Vec<Claimed>, Status> {
        let answer = self.work.lease(request).await?.into_inner();
        let grants = answer.grants.into_iter();
        Ok(grants.map(|grant| grant.try_into().unwrap()).collect())
    }

    /// Leases exactly one trial.
    pub(crate) async fn lease_one(&mut self) -> Claimed {
        let claimed = self.lease(1).await;
        assert_eq!(claimed.len(), 1);
        claimed.into_iter().next().unwrap()
    }

    pub(crate) fn fence(&self, claimed: &Claimed) -> Fence {
        Fence {
            session: descent_spec::id::SessionId::from_slice(&self.session).unwrap(),
            trial: claimed.trial,
            attempt: claimed.attempt,
        }
    }

    pub(crate) async fn beat(&mut self, held: &[&Claimed]) -> v1::HeartbeatResponse {
        let held = held.iter().map(|claimed| v1::Held {
            trial: claimed.trial.0,
            attempt: claimed.attempt.0,
            epoch: 1,
            step: 10,
        });
        let request = v1::HeartbeatRequest {
            session: self.session.clone(),
            held: held.collect(),
        };
        self.work.heartbeat(request).await.unwrap().into_inner()
    }

    /// What the next heartbeat says about one trial.
    pub(crate) async fn directive(&mut self, claimed: &Claimed) -> v1::Directive {
        let answer = self.beat(&[claimed]).await;
        assert_eq!(answer.session(), v1::SessionDirective::None);
        answer.trials[0].directive()
    }

    pub(crate) fn completion(&self, claimed: &Claimed) -> v1::CompleteRequest {
        v1::CompleteRequest {
            completions: vec![(self.fence(claimed), &result()).into()],
        }
    }

    pub(crate) async fn complete(&mut self, claimed: &Claimed) -> v1::Verdict {
        let request = self.completion(claimed);
        let answer = self.work.complete(request).await.unwrap().into_inner();
        answer.verdicts().next().unwrap()
    }

    pub(crate) async fn fail(
        &mut self,
        claimed: &Claimed,
        kind: v1::FailureKind,
    ) -> Result<v1::TrialState, Status> {
        let request = v1::FailRequest {
            fence: Some(self.fence(claimed).into()),
            failure: Some(v1::Failure {
                kind: kind.into(),
                message: "it went wrong".to_owned(),
            }),
        };
        Ok(self.work.fail(request).await?.into_inner().state())
    }

    pub(crate) async fn release(&mut self, claimed: &Claimed) -> v1::Verdict {
        let request = v1::ReleaseRequest {
            fences: vec![self.fence(claimed).into()],
        };
        let answer = self.work.release(request).await.unwrap().into_inner();
        answer.verdicts().next().unwrap()
    }

    pub(crate) async fn metrics(&mut self, claimed: &Claimed, seq: u64) -> Result<u64, Status> {
        let request = v1::AppendMetricsRequest {
            fence: Some(self.fence(claimed).into()),
            seq,
            measurements: vec![(&measurement()).into()],
        };
        Ok(self
            .work
            .append_metrics(request)
            .await?
            .into_inner()
            .last_seq)
    }

    /// Uploads what the header announces, or something else.
    pub(crate) async fn upload(
        &mut self,
        header: v1::commit_artifact_request::Header,
        content: &[u8],
    ) -> Result<(), Status> {
        use v1::commit_artifact_request::Part;
        let chunks = content
            .chunks(descent_proto::CHUNK_BYTES)
            .map(|chunk| Part::Chunk(chunk.to_vec()));
        let parts: Vec<_> = std::iter::once(Part::Header(header))
            .chain(chunks)
            .map(|part| v1::CommitArtifactRequest { part: Some(part) })
            .collect();
        let stream = tokio_stream::iter(parts);
        self.work.commit_artifact(stream).await.map(|_| ())
    }

    pub(crate) fn header(
        &self,
        claimed: &Claimed,
        purpose: v1::ArtifactPurpose,
        content: &[u8],
    ) -> v1::commit_artifact_request::Header {
        v1::commit_artifact_request::Header {
            fence: Some(self.fence(claimed).into()),
            purpose: purpose.into(),
            artifact: Some(v1::ArtifactRef {
                hash: ContentHash::of(content).0.to_vec(),
                bytes: content.len() as u64,
            }),
            epoch: 1,
            step: 10,
        }
    }

    pub(crate) async fn commit(
        &mut self,
        claimed: &Claimed,
        purpose: v1::ArtifactPurpose,
        content: &[u8],
    ) -> Result<(), Status> {
        self.upload(self.header(claimed, purpose, content), content)
            .await
    }

    pub(crate) async fn read(&mut self, hash: ContentHash) -> Result<Vec<u8>, Status> {
        let request = v1::ReadArtifactRequest {
            hash: hash.0.to_vec(),
        };
        let mut stream = self.work.read_artifact(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(message) = stream.message().await? {
            assert!(message.chunk.len() <= descent_proto::CHUNK_BYTES);
            content.extend(message.chunk);
        }
        Ok(content)
    }
}

pub(crate) fn opening(session: &[u8], slots: u32) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest {
        session: session.to_vec(),
        worker: format!("node/{}", session[7]),
        version: "test".to_owned(),
        protocol: descent_proto::PROTOCOL,
        numerics: descent_spec::NUMERICS_VERSION,
        device: "cpu".to_owned(),
        instruction_set: "portable".to_owned(),
        slots,
        memory_bytes: 1 << 30,
        data: vec![toy_data().hash],
    }
}

pub(crate) fn toy_data() -> v1::DataSet {
    v1::DataSet {
        hash: ContentHash::of(b"toy").0.to_vec(),
        inputs: 5,
        outputs: 3,
        train_samples: 100,
        test_samples: 20,
        image: None,
    }
}

pub(crate) fn measurement() -> Measurement {
    Measurement {
        epoch: 3,
        train_loss: Some(0.25),
        train_error: Some(0.5),
        validation_loss: None,
        validation_error: None,
        test_loss: Some(0.5),
        test_error: Some(0.75),
        dead_units: Some(0),
    }
}

pub(crate) fn result() -> TrialResult {
    TrialResult {
        stop: StopReason::Epochs,
        last: measurement(),
        diverged: false,
        coefficient_norm: None,
        details: None,
        parameters: 17,
        weights: None,
        device: "cpu".to_owned(),
        instruction_set: "portable".to_owned(),
        train_ms: 5,
    }
}

/// How many trials of a sweep are in a state.
pub(crate) fn trials(sweep: &v1::Sweep, state: v1::TrialState) -> u64 {
    sweep
        .counts
        .iter()
        .filter(|count| count.state() == state)
        .map(|count| count.trials)
        .sum()
}

/// The field that an INVALID_ARGUMENT names.
pub(crate) fn named_field(refusal: &Status) -> String {
    use tonic_types::StatusExt as _;
    assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
    let details = refusal.get_details_bad_request().unwrap();
    details.field_violations[0].field.clone()
}

/// Opens pipes to the coordinator, as a network would open connections.
#[derive(Clone)]
pub(crate) struct Dial(mpsc::UnboundedSender<DuplexStream>);

impl Dial {
    fn channel(&self) -> Channel {
        Endpoint::from_static("http://coordinator.test").connect_with_connector_lazy(self.clone())
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (client, server) = tokio::io::duplex(1 << 16);
        let opened = self.0.send(server).is_ok();
        Box::pin(async move {
            if opened {
                Ok(TokioIo::new(client))
            } else {
                Err(std::io::ErrorKind::ConnectionRefused.into())
            }
        })
    }
}
