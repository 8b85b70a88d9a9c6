//! One courier per attempt: brings measurements, checkpoints, weights and the ending to the coordinator, in this order.
//!
//! A checkpoint goes out only after every measurement before it was accepted: whoever resumes from it never measures those
//! epochs again. The ending goes last, and nothing follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use descent_spec::lease::{Artifact, Purpose, Verdict};
use descent_spec::outcome::{Failure, TrialResult};
use tokio::sync::{SemaphorePermit, oneshot};

use crate::account::{Account, Ending, Errand, Snapshot};
use crate::completer::Delivery;
use crate::context::{Context, Unanswered};
use crate::failure::Cause;
use crate::ledger::Ledger;
use crate::link::{LinkError, Upload};
use crate::report::Tally;
use crate::spool::Content;

/// What became of the attempt.
enum Settled {
    Completed,
    Failed,
    Released,
    /// The coordinator took it away.
    Dropped,
    /// The worker stopped before it could tell.
    Untold,
}

/// Serves one account until it is settled, and takes it off the registry.
pub(crate) async fn serve(context: Arc<Context>, account: Arc<Account>) {
    let settled = tokio::select! {
        biased;
        // What was taken away is not spoken of any more, not even half way through a call.
        () = account.dropped.cancelled() => Settled::Dropped,
        settled = work(&context, &account) => settled,
    };
    // Whatever trains it still stops.
    account.dropped.cancel();
    let tally = &context.tally;
    account.span.in_scope(|| match settled {
        Settled::Completed => {
            tracing::debug!("trial completed");
            Tally::count(&tally.completed);
        }
        Settled::Failed => Tally::count(&tally.failed),
        Settled::Released => {
            tracing::info!("trial handed back");
            Tally::count(&tally.released);
        }
        Settled::Dropped => {
            tracing::info!("trial dropped, it is no longer this worker's");
            Tally::count(&tally.dropped);
        }
        Settled::Untold => {}
    });
    if !matches!(settled, Settled::Untold) {
        context.registry.remove(&account);
    }
}

async fn work(context: &Context, account: &Account) -> Settled {
    match deliver(context, account).await {
        Ok(settled) => settled,
        Err(Unanswered::Silenced) => Settled::Untold,
        Err(Unanswered::Lost(reason)) => {
            account
                .span
                .in_scope(|| tracing::error!(reason, "the trial is handed back"));
            match end(context, account, Ending::Released).await {
                Ok(settled) => settled,
                Err(Unanswered::Silenced) => Settled::Untold,
                Err(Unanswered::No(_) | Unanswered::Lost(_)) => Settled::Dropped,
            }
        }
        Err(Unanswered::No(LinkError::Fenced)) => Settled::Dropped,
        Err(Unanswered::No(LinkError::SessionClosed)) => {
            context.beat_now.notify_one();
            Settled::Dropped
        }
        Err(Unanswered::No(error)) => {
            // The coordinator will not take what we have: say so once, where people look for failures.
            let failure = Failure::from(Cause::Invalid(error.to_string()));
            match fail(context, account, &failure).await {
                Ok(settled) => settled,
                Err(Unanswered::Silenced) => Settled::Untold,
                Err(Unanswered::No(_) | Unanswered::Lost(_)) => Settled::Dropped,
            }
        }
    }
}

async fn deliver(context: &Context, account: &Account) -> Result<Settled, Unanswered> {
    let mut seq = 0;
    let mut gathered = false;
    loop {
        match account.next_errand(gathered) {
            Errand::Metrics(measurements) => {
                seq += 1;
                gathered = false;
                let sent = Sent::new(context);
                context
                    .until_answered("append metrics", || {
                        sent.now();
                        let link = &context.world.link;
                        link.append_metrics(account.fence, seq, &measurements)
                    })
                    .await?;
                sent.ack("metrics", account, seq);
            }
            Errand::Checkpoint(snapshot) => checkpoint(context, account, snapshot).await?,
            Errand::End(ending) => return end(context, account, ending).await,
            Errand::Gather => gathered = gather(context, account).await,
            Errand::Wait => account.bell.notified().await,
        }
    }
}

/// Lets measurements gather, unless something urgent happens. Answers whether they have gathered long enough.
async fn gather(context: &Context, account: &Account) -> bool {
    let sleep = tokio::time::sleep(context.config.metrics_interval);
    tokio::pin!(sleep);
    loop {
        tokio::select! {
            biased;
            () = &mut sleep => return true,
            () = account.bell.notified() => if account.is_urgent() { return false },
        }
    }
}

async fn checkpoint(
    context: &Context,
    account: &Account,
    snapshot: Snapshot,
) -> Result<(), Unanswered> {
    let Snapshot {
        content,
        epoch,
        step,
    } = snapshot;
    let uploading = async {
        let file = load(context, content).await?;
        upload(context, account, Purpose::Checkpoint, file, epoch, step).await
    };
    let artifact = tokio::select! {
        biased;
        artifact = uploading => match artifact {
            Err(Unanswered::Lost(reason)) => {
                // The next one is as good.
                account.span.in_scope(|| tracing::error!(reason, "a checkpoint is left out"));
                return Ok(());
            }
            artifact => artifact?,
        },
        // Nobody would go on from this one once the newer one is there.
        () = newer_one(context, account) => return Ok(()),
    };
    account.committed(artifact);
    account
        .span
        .in_scope(|| tracing::debug!(epoch, step, bytes = artifact.bytes, "checkpoint committed"));
    Ok(())
}

/// Waits until the coordinator is silent and a newer checkpoint waits.
async fn newer_one(context: &Context, account: &Account) {
    loop {
        account.bell.notified().await;
        if context.is_silent() && account.has_checkpoint() {
            return;
        }
    }
}

/// A file in memory, its name, and its place among the transfers.
struct Loaded<'c> {
    artifact: Artifact,
    content: Arc<[u8]>,
    _transfer: SemaphorePermit<'c>,
}

async fn load(context: &Context, content: Content) -> Result<Loaded<'_>, Unanswered> {
    let (transfer, content) = turn(context, content).await?;
    // Reading and hashing megabytes takes milliseconds: not on the runtime's threads.
    let loaded = context.compute(move || content.load()).await;
    let (artifact, content) = loaded.ok_or(Unanswered::Silenced)?.map_err(|error| {
        let reason =
            format!("a file that waited on disk for the coordinator cannot be used: {error}");
        Unanswered::Lost(reason)
    })?;
    Ok(Loaded {
        artifact,
        content,
        _transfer: transfer,
    })
}

async fn upload(
    context: &Context,
    account: &Account,
    purpose: Purpose,
    file: Loaded<'_>,
    epoch: u32,
    step: u64,
) -> Result<Artifact, Unanswered> {
    let upload = Upload {
        fence: account.fence,
        purpose,
        artifact: file.artifact,
        epoch,
        step,
        content: Arc::clone(&file.content),
    };
    let sent = Sent::new(context);
    context
        .until_answered("commit artifact", || {
            sent.now();
            context.world.link.commit_artifact(&upload)
        })
        .await?;
    let what = match purpose {
        Purpose::Checkpoint => "checkpoint",
        Purpose::Weights => "weights",
    };
    sent.ack(what, account, step);
    Ok(upload.artifact)
}

/// Waits for a place among the transfers; on disk, while the coordinator is silent.
async fn turn(
    context: &Context,
    content: Content,
) -> Result<(SemaphorePermit<'_>, Content), Unanswered> {
    let closed = |_| Unanswered::Silenced;
    let silence = tokio::select! {
        biased;
        place = context.transfers.acquire() => return Ok((place.map_err(closed)?, content)),
        () = context.silent() => context.spool.is_there(),
    };
    let content = if silence {
        let spool = Arc::clone(&context.spool);
        let spilling = move || content.to_disk(&spool).unwrap_or(content);
        let spilled = context.compute(spilling).await;
        spilled.ok_or(Unanswered::Silenced)?
    } else {
        content
    };
    let place = context.transfers.acquire().await;
    Ok((place.map_err(closed)?, content))
}

async fn end(context: &Context, account: &Account, ending: Ending) -> Result<Settled, Unanswered> {
    match ending {
        Ending::Finished { result, weights } => finish(context, account, result, weights).await,
        Ending::Failed(failure) => fail(context, account, &failure).await,
        Ending::Released => {
            let fences = [account.fence];
            let sent = Sent::new(context);
            let verdicts = context
                .until_answered("release", || {
                    sent.now();
                    context.world.link.release(&fences)
                })
                .await?;
            Ok(match verdicts.first() {
                Some(Verdict::Fenced) => Settled::Dropped,
                Some(Verdict::Accepted) | None => {
                    sent.ack("release", account, 0);
                    Settled::Released
                }
            })
        }
    }
}

async fn finish(
    context: &Context,
    account: &Account,
    result: Box<TrialResult>,
    weights: Option<Content>,
) -> Result<Settled, Unanswered> {
    if let Some(weights) = weights.filter(|_| account.claimed.keep_weights) {
        let held = account.held();
        let file = load(context, weights).await?;
        let found = file.artifact.hash;
        if let Some(told) = result.weights.filter(|told| *told != found) {
            let failure = Failure::from(Cause::Weights(found, told));
            return fail(context, account, &failure).await;
        }
        let (epoch, step) = (held.epoch, held.step);
        upload(context, account, Purpose::Weights, file, epoch, step).await?;
    }
    let (verdict, answer) = oneshot::channel();
    let delivery = Delivery {
        fence: account.fence,
        result,
        verdict,
    };
    let _ = context.completions.send(delivery);
    match answer.await {
        Ok(Ok(Verdict::Accepted)) => Ok(Settled::Completed),
        Ok(Ok(Verdict::Fenced)) => Ok(Settled::Dropped),
        Ok(Err(unanswered)) => Err(unanswered),
        Err(_) => Err(Unanswered::Silenced),
    }
}

async fn fail(
    context: &Context,
    account: &Account,
    failure: &Failure,
) -> Result<Settled, Unanswered> {
    let sent = Sent::new(context);
    let state = context
        .until_answered("fail", || {
            sent.now();
            context.world.link.fail(account.fence, failure)
        })
        .await?;
    sent.ack("fail", account, 0);
    account.span.in_scope(
        || tracing::warn!(kind = %failure.kind, reason = failure.message, now = %state, "attempt failed"),
    );
    Ok(Settled::Failed)
}

/// When the newest try of a call was sent, for the ledger.
struct Sent<'c> {
    ledger: &'c Ledger,
    at_ms: AtomicI64,
}

impl<'c> Sent<'c> {
    fn new(context: &'c Context) -> Self {
        Self {
            ledger: &context.config.ledger,
            at_ms: AtomicI64::new(0),
        }
    }

    fn now(&self) {
        self.at_ms.store(self.ledger.now_ms(), Ordering::Relaxed);
    }

    fn ack(&self, what: &str, account: &Account, number: u64) {
        let at_ms = self.at_ms.load(Ordering::Relaxed);
        self.ledger.ack(what, account.fence, at_ms, number);
    }
}
