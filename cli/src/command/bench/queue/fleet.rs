//! Simulated workers: sessions that lease, complete and beat as real ones do, and train nothing.

use std::time::Duration;

use anyhow::Context as _;
use descent_proto::channel::Connection;
use descent_proto::v1;
use descent_proto::v1::work_client::WorkClient;
use descent_spec::NUMERICS_VERSION;

use super::points;
use crate::{VERSION, request};

/// How long one call may take before it counts as failed.
const DEADLINE: Duration = Duration::from_secs(120);

/// One worker with a session.
#[derive(Clone)]
pub(super) struct Worker {
    client: WorkClient<Connection>,
    session: Vec<u8>,
}

/// A trial that a worker holds.
pub(super) struct Held {
    trial: i64,
    attempt: i64,
}

impl Worker {
    /// Opens a session.
    ///
    /// # Errors
    /// When the coordinator refuses.
    pub(super) async fn join(connection: &Connection, name: &str) -> anyhow::Result<Self> {
        let mut client = connection.work();
        let session = request::id();
        let hello = v1::OpenSessionRequest {
            session: session.clone(),
            worker: name.to_owned(),
            version: VERSION.to_owned(),
            protocol: descent_proto::PROTOCOL,
            numerics: NUMERICS_VERSION,
            device: "cpu".to_owned(),
            instruction_set: "bench".to_owned(),
            slots: 1,
            memory_bytes: 1 << 40,
            data: vec![points::data().hash.0.to_vec()],
        };
        client
            .open_session(within(hello))
            .await
            .context("open a session")?;
        Ok(Self { client, session })
    }

    /// The same session over another connection.
    pub(super) fn over(&self, connection: &Connection) -> Self {
        Self {
            client: connection.work(),
            session: self.session.clone(),
        }
    }

    /// Leases up to so many trials.
    ///
    /// # Errors
    /// When the coordinator refuses or is not there.
    pub(super) async fn lease(
        &mut self,
        most: u32,
        wait: Duration,
    ) -> Result<Vec<Held>, tonic::Status> {
        let ask = v1::LeaseRequest {
            session: self.session.clone(),
            request_id: request::id(),
            max_trials: most,
            memory_bytes: 1 << 40,
            data: vec![points::data().hash.0.to_vec()],
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            samples: Vec::new(),
        };
        let granted = self.client.lease(within(ask)).await?.into_inner();
        let held = granted.grants.into_iter().map(|grant| Held {
            trial: grant.trial,
            attempt: grant.attempt,
        });
        Ok(held.collect())
    }

    /// Hands in a result for each; answers how many were accepted.
    ///
    /// # Errors
    /// When the coordinator refuses the call.
    pub(super) async fn complete(&mut self, held: &[Held]) -> anyhow::Result<usize> {
        let completions = held
            .iter()
            .map(|held| v1::Completion {
                fence: Some(v1::Fence {
                    session: self.session.clone(),
                    trial: held.trial,
                    attempt: held.attempt,
                }),
                result: Some(result(held.trial)),
            })
            .collect();
        let request = v1::CompleteRequest { completions };
        let answer = self.client.complete(within(request)).await;
        let verdicts = answer.context("complete")?.into_inner().verdicts;
        let accepted = v1::Verdict::Accepted as i32;
        Ok(verdicts
            .into_iter()
            .filter(|&verdict| verdict == accepted)
            .count())
    }

    /// Beats, listing what it holds.
    ///
    /// # Errors
    /// When the coordinator refuses or is not there.
    pub(super) async fn beat(&mut self, held: &[Held]) -> anyhow::Result<()> {
        let held = held
            .iter()
            .map(|held| v1::Held {
                trial: held.trial,
                attempt: held.attempt,
                epoch: 1,
                step: 1,
            })
            .collect();
        let request = v1::HeartbeatRequest {
            session: self.session.clone(),
            held,
        };
        self.client
            .heartbeat(within(request))
            .await
            .context("beat")?;
        Ok(())
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the coordinator refuses.
    pub(super) async fn leave(mut self) -> anyhow::Result<()> {
        let request = v1::CloseSessionRequest {
            session: self.session,
        };
        self.client
            .close_session(within(request))
            .await
            .context("close the session")?;
        Ok(())
    }
}

fn within<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

/// A result as a small network has it, different for each trial.
fn result(trial: i64) -> v1::TrialResult {
    // Numbers that differ, as real ones do: columns of one value would be kept in less room.
    let spread = (trial.wrapping_mul(0x9E37_79B9) & 0xFFFF) as f64 / 65_536.0;
    v1::TrialResult {
        stop: v1::StopReason::Epochs.into(),
        last: Some(v1::Measurement {
            epoch: 1_000,
            train_loss: Some(0.01 + spread / 10.0),
            train_error: Some(spread / 20.0),
            validation_loss: None,
            validation_error: None,
            test_loss: Some(0.1 + spread / 5.0),
            test_error: Some(0.1 + spread / 10.0),
            dead_units: Some((trial % 7) as u32),
        }),
        diverged: false,
        coefficient_norm: None,
        parameters: 1_000,
        weights: Vec::new(),
        device: "cpu".to_owned(),
        instruction_set: "bench".to_owned(),
        train_ms: 1_000,
        details: String::new(),
    }
}
