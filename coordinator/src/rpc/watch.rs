//! `Watch`: a sweep's status now and at every change.

use std::sync::Arc;

use descent_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;

use super::sweeps;
use crate::service::Service;

/// Looks at the sweep's row twice a second, which costs one indexed read, and sends it when it changed.
pub(super) async fn watch(
    service: &Arc<Service>,
    name: String,
) -> Result<ReceiverStream<Result<v1::WatchResponse, Status>>, Status> {
    let place = Arc::clone(&service.watching)
        .try_acquire_owned()
        .map_err(|_| Status::resource_exhausted("too many watchers: ask again later"))?;
    let mut row = sweeps::find(service, name.clone()).await?;
    let service = Arc::clone(service);
    let (sender, receiver) = mpsc::channel(1);
    let span = tracing::debug_span!("watch", sweep = name);
    tokio::spawn(
        async move {
            let _place = place;
            let mut sent = None;
            loop {
                let sweep = sweeps::wire(&row);
                let over = matches!(
                    sweep.state(),
                    v1::SweepState::Finished | v1::SweepState::Cancelled
                );
                if sent.as_ref() != Some(&sweep) {
                    let message = v1::WatchResponse {
                        sweep: Some(sweep.clone()),
                    };
                    // Nobody listens any more?
                    if sender.send(Ok(message)).await.is_err() {
                        return;
                    }
                    sent = Some(sweep);
                }
                if over {
                    return;
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(service.config.timing.watch) => {}
                    () = sender.closed() => return,
                    () = service.draining.cancelled() => {
                        let _ = sender.send(Err(Service::stopping())).await;
                        return;
                    }
                }
                row = match sweeps::find(&service, name.clone()).await {
                    Ok(row) => row,
                    Err(refusal) => {
                        let _ = sender.send(Err(refusal)).await;
                        return;
                    }
                };
            }
        }
        .instrument(span),
    );
    Ok(ReceiverStream::new(receiver))
}
