//! Workers as people see and steer them.

use std::sync::Arc;

use descent_proto::convert::{InvalidField, digest};
use descent_proto::v1;
use descent_spec::id::RequestId;
use tonic::Status;

use super::status;
use crate::service::Service;
use crate::store::WorkerRow;

/// Everybody who is there.
pub(super) async fn list(service: &Arc<Service>) -> Result<v1::WorkersResponse, Status> {
    let workers = service
        .answer(|store, now| async move { store.workers(now).await })
        .await?;
    Ok(v1::WorkersResponse {
        workers: workers.into_iter().map(wire).collect(),
    })
}

/// Asks a worker to drain; it hears of it with its next beat. Asking twice is asking once.
pub(super) async fn drain(
    service: &Arc<Service>,
    request: v1::DrainRequest,
) -> Result<v1::DrainResponse, Status> {
    digest(&request.request_id, "request_id", RequestId)?;
    let worker = request.worker;
    if worker.is_empty() {
        return Err(InvalidField::missing("worker").into());
    }
    let name = worker.clone();
    let sessions = service
        .answer(|store, _| async move { store.drain(&name).await })
        .await?;
    if sessions == 0 {
        return Err(Status::not_found(format!(
            "there is no worker `{worker}`: `descent workers` lists those that are there"
        )));
    }
    tracing::info!(worker, sessions, "asked to drain");
    service
        .renew_orders()
        .await
        .map_err(|error| status::of_store(&error))?;
    Ok(v1::DrainResponse { sessions })
}

fn wire(row: WorkerRow) -> v1::Worker {
    let (until, reason) = row.quarantine.unzip();
    v1::Worker {
        session: row.session.0.to_vec(),
        worker: row.worker,
        device: row.device,
        instruction_set: row.instruction_set,
        slots: row.slots,
        memory_bytes: row.memory,
        trials: row.trials,
        opened_at_ms: row.opened_at.0,
        lease_until_ms: row.lease_until.0,
        silent: row.expired,
        draining: row.draining,
        quarantined_until_ms: until.map(|at| at.0),
        quarantine: reason,
    }
}
