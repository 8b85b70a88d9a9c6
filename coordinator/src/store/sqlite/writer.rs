//! The one writer: takes what is waiting, commits it as one transaction, then answers all of it.
//!
//! A durable commit costs a sync of the disk whatever is in it, so what has gathered during one sync goes into the next.
//! Operations are walled off from each other by savepoints. An operation that the database itself failed takes its group
//! with it: SQLite may have rolled the whole transaction back (<https://sqlite.org/lang_transaction.html>, section 3.2).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::super::StoreError;
use super::super::lane::Lane;
use super::epoch;
use crate::fail_point;

/// What an operation does with the connection.
pub(super) type Operation<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// Most operations of one commit.
const GROUP: usize = 256;
/// Operations that may wait in one lane before callers do.
const WAITING: usize = 1024;

/// What to do after the commit: tell the caller how it went.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// An operation with its result's type forgotten. Fails only when the database did.
type Command = Box<
    dyn for<'c> FnOnce(
            &'c mut SqliteConnection,
        ) -> Pin<Box<dyn Future<Output = (Answer, Outcome)> + Send + 'c>>
        + Send,
>;

/// How an operation left its savepoint.
enum Outcome {
    /// To be kept.
    Done,
    /// To be undone; the others are not concerned.
    Refused,
    /// The transaction may be gone.
    Broken,
}

/// Whose the file is.
struct Owner {
    /// The epoch that began when it was opened.
    epoch: i64,
    path: String,
    /// Set once the epoch was found to be over.
    superseded: AtomicBool,
}

impl Owner {
    /// Asserts the epoch, inside a transaction.
    async fn assert(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        if !self.superseded.load(Ordering::Relaxed) {
            if epoch::is_current(conn, self.epoch).await? {
                return Ok(());
            }
            self.superseded.store(true, Ordering::Relaxed);
        }
        Err(self.superseded())
    }

    fn superseded(&self) -> StoreError {
        StoreError::Superseded {
            path: self.path.clone(),
        }
    }

    /// Why an operation was not even tried.
    fn closed(&self) -> StoreError {
        if self.superseded.load(Ordering::Relaxed) {
            return self.superseded();
        }
        StoreError::Unavailable("the store is closed".to_owned())
    }
}

/// Hands operations to the writer's task.
pub(super) struct Writer {
    lanes: Mutex<Option<[mpsc::Sender<Command>; Lane::COUNT]>>,
    owner: Arc<Owner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task that owns the connection, for as long as the file is of this epoch.
    pub(super) fn start(conn: SqliteConnection, epoch: i64, path: String) -> Self {
        let owner = Arc::new(Owner {
            epoch,
            path,
            superseded: AtomicBool::new(false),
        });
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..Lane::COUNT).map(|_| mpsc::channel(WAITING)).unzip();
        let senders = senders.try_into().expect("as many as there are lanes");
        let task = tokio::spawn(run(conn, receivers, Arc::clone(&owner)));
        Self {
            lanes: Mutex::new(Some(senders)),
            owner,
            task: Mutex::new(Some(task)),
        }
    }

    /// Runs an operation in the next group; answers when it is durable.
    pub(super) async fn write<T, F>(&self, lane: Lane, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> Operation<'c, T> + Send + 'static,
    {
        let closed = || self.owner.closed();
        let (answer, answered) = oneshot::channel();
        let command: Command =
            Box::new(move |conn| Box::pin(async move { settle(operation(conn).await, answer) }));
        let sender = {
            let lanes = self
                .lanes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            lanes.as_ref().map(|lanes| lanes[lane.index()].clone())
        };
        sender
            .ok_or_else(closed)?
            .send(command)
            .await
            .map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Finishes what is waiting and closes the connection.
    pub(super) async fn close(&self) {
        let lanes = self
            .lanes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        drop(lanes);
        let task = self
            .task
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // A panic in there has been reported where it happened.
            let _ = task.await;
        }
    }
}

/// Keeps an operation's result until it is durable.
fn settle<T: Send + 'static>(
    result: Result<T, StoreError>,
    answer: oneshot::Sender<Result<T, StoreError>>,
) -> (Answer, Outcome) {
    let outcome = match &result {
        Ok(_) => Outcome::Done,
        Err(error) if error.is_refusal() => Outcome::Refused,
        Err(_) => Outcome::Broken,
    };
    // A caller that has gone away is no reason to undo its work.
    let answer: Answer = Box::new(move |commit| {
        let _ = answer.send(match (result, commit) {
            (Ok(value), Ok(())) => Ok(value),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), _) => Err(error),
        });
    });
    (answer, outcome)
}

/// The task: ends when all senders are gone and nothing is waiting.
async fn run(
    mut conn: SqliteConnection,
    mut lanes: Vec<mpsc::Receiver<Command>>,
    owner: Arc<Owner>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while gather(&mut lanes, &mut group).await {
        let (answers, commit) = commit(&mut conn, &mut group, &owner).await;
        for answer in answers {
            answer(commit.as_ref().copied().map_err(again));
        }
    }
    // Also brings the log back into the database file.
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "close the database");
    }
}

/// The same error for the next of the group.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::DiskFull => StoreError::DiskFull,
        StoreError::ReadOnly(text) => StoreError::ReadOnly(text.clone()),
        other => StoreError::Unavailable(format!("not committed: {other}")),
    }
}

/// Waits for operations and takes what there is, urgent ones first; one of bulk at most, so that no group grows long.
/// Answers whether there will be more.
async fn gather(lanes: &mut [mpsc::Receiver<Command>], group: &mut Vec<Command>) -> bool {
    let mut closed = [false; Lane::COUNT];
    let first = std::future::poll_fn(|context| {
        for (lane, closed) in lanes.iter_mut().zip(&mut closed) {
            match lane.poll_recv(context) {
                std::task::Poll::Ready(Some(command)) => {
                    return std::task::Poll::Ready(Some(command));
                }
                std::task::Poll::Ready(None) => *closed = true,
                std::task::Poll::Pending => {}
            }
        }
        if closed == [true; Lane::COUNT] {
            return std::task::Poll::Ready(None);
        }
        std::task::Poll::Pending
    })
    .await;
    let Some(first) = first else { return false };
    group.push(first);
    for (index, lane) in lanes.iter_mut().enumerate() {
        let most = if index == Lane::Bulk.index() {
            1
        } else {
            GROUP
        };
        let mut taken = 0;
        while group.len() < GROUP && taken < most {
            let Ok(command) = lane.try_recv() else { break };
            group.push(command);
            taken += 1;
        }
    }
    true
}

/// Runs a group as one transaction. Answers whom to tell, and how the commit went.
async fn commit(
    conn: &mut SqliteConnection,
    group: &mut Vec<Command>,
    owner: &Owner,
) -> (Vec<Answer>, Result<(), StoreError>) {
    let mut answers = Vec::with_capacity(group.len());
    let result = attempt(conn, group, &mut answers, owner).await;
    if let Err(error) = &result {
        tracing::error!(%error, "a group of writes was not committed");
        // Nothing to roll back is no news here.
        let _ = sqlx::query("ROLLBACK").execute(&mut *conn).await;
        // Those that did not get their turn are told by their channel.
        group.clear();
    }
    (answers, result)
}

async fn attempt(
    conn: &mut SqliteConnection,
    group: &mut Vec<Command>,
    answers: &mut Vec<Answer>,
    owner: &Owner,
) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    owner.assert(conn).await?;
    let alone = group.len() == 1;
    for command in group.drain(..) {
        if !alone {
            sqlx::query("SAVEPOINT operation")
                .execute(&mut *conn)
                .await?;
        }
        let (answer, outcome) = command(&mut *conn).await;
        answers.push(answer);
        match outcome {
            Outcome::Done if alone => {}
            Outcome::Done => {
                sqlx::query("RELEASE operation").execute(&mut *conn).await?;
            }
            Outcome::Refused if alone => {
                sqlx::query("ROLLBACK").execute(&mut *conn).await?;
                return Ok(());
            }
            Outcome::Refused => {
                sqlx::query("ROLLBACK TO operation")
                    .execute(&mut *conn)
                    .await?;
                sqlx::query("RELEASE operation").execute(&mut *conn).await?;
            }
            Outcome::Broken => {
                let why = "another write of the same commit failed".to_owned();
                return Err(StoreError::Unavailable(why));
            }
        }
    }
    fail_point::pass("before-commit");
    sqlx::query("COMMIT").execute(&mut *conn).await?;
    fail_point::pass("after-commit");
    Ok(())
}
