//! Brings results to the coordinator, many in one call: what gathers while one call is on its way goes with the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use descent_spec::lease::{Fence, Verdict};
use descent_spec::outcome::TrialResult;
use tokio::sync::{mpsc, oneshot};

use crate::context::{Context, Unanswered};
use crate::link::LinkError;

/// Results in one call: one transaction of bounded length, one message far below the limit.
const BATCH: usize = 64;

/// One result and where its verdict goes.
pub(crate) struct Delivery {
    pub(crate) fence: Fence,
    pub(crate) result: Box<TrialResult>,
    pub(crate) verdict: oneshot::Sender<Result<Verdict, Unanswered>>,
}

/// Runs until nobody can hand in results any more.
pub(crate) async fn deliver(
    context: Arc<Context>,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
) {
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        tokio::select! {
            biased;
            () = context.silence.cancelled() => return,
            received = deliveries.recv_many(&mut batch, BATCH) => if received == 0 { return },
        }
        // Members that ended in the same slice are handed in by tasks that are ready right now: let them.
        tokio::task::yield_now().await;
        while batch.len() < BATCH
            && let Ok(delivery) = deliveries.try_recv()
        {
            batch.push(delivery);
        }
        send(&context, batch).await;
    }
}

async fn send(context: &Context, batch: Vec<Delivery>) {
    let results: Vec<(Fence, TrialResult)> = batch
        .iter()
        .map(|delivery| (delivery.fence, TrialResult::clone(&delivery.result)))
        .collect();
    match complete(context, &results).await {
        Ok(verdicts) => {
            for (delivery, verdict) in batch.into_iter().zip(verdicts) {
                let _ = delivery.verdict.send(Ok(verdict));
            }
        }
        Err(Unanswered::Silenced) => {}
        // One bad result must not take the others with it: each asks for itself.
        Err(Unanswered::No(_)) if 1 < batch.len() => {
            for (delivery, result) in batch.into_iter().zip(results) {
                let answer = complete(context, &[result]).await;
                let _ = delivery.verdict.send(answer.map(|verdicts| verdicts[0]));
            }
        }
        Err(refusal) => {
            if let Some(delivery) = batch.into_iter().next() {
                let _ = delivery.verdict.send(Err(refusal));
            }
        }
    }
}

/// One verdict for each result, or an error for all.
async fn complete(
    context: &Context,
    results: &[(Fence, TrialResult)],
) -> Result<Vec<Verdict>, Unanswered> {
    let ledger = &context.config.ledger;
    let sent_ms = AtomicI64::new(0);
    let verdicts = context
        .until_answered("complete", || {
            sent_ms.store(ledger.now_ms(), Ordering::Relaxed);
            context.world.link.complete(results)
        })
        .await?;
    if verdicts.len() == results.len() {
        for ((fence, _), _) in
            std::iter::zip(results, &verdicts).filter(|(_, verdict)| **verdict == Verdict::Accepted)
        {
            ledger.ack("complete", *fence, sent_ms.load(Ordering::Relaxed), 0);
        }
        return Ok(verdicts);
    }
    Err(Unanswered::No(LinkError::Invalid(format!(
        "{} verdicts for {} results",
        verdicts.len(),
        results.len()
    ))))
}
