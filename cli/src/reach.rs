//! A coordinator to talk to: the one given, the one that has the database open, or one started for the moment.

use std::path::Path;
use std::time::Duration;

use descent_proto::channel::{Connection, Credentials};
use descent_proto::v1::sweeps_client::SweepsClient;
use descent_proto::v1::{GetRequest, SweepState};
use tonic::Status;

use crate::embedded::Embedded;
use crate::exit::{Exit, Failed};
use crate::global::{self, Global};

/// A reachable coordinator, and what keeps it alive if it is ours.
pub(crate) struct Reached {
    /// The connection.
    pub(crate) connection: Connection,
    embedded: Option<Embedded>,
}

impl From<&Embedded> for Reached {
    /// Talks to a coordinator that somebody else stops.
    fn from(embedded: &Embedded) -> Self {
        Self {
            connection: embedded.connection.clone(),
            embedded: None,
        }
    }
}

impl Reached {
    /// The service for people and their tools.
    pub(crate) fn sweeps(&self) -> SweepsClient<Connection> {
        self.connection.sweeps()
    }

    /// Waits until a coordinator that was started for the moment has turned a sweep's points into trials: nobody else would.
    /// What is left when this is interrupted, the next coordinator does.
    pub(crate) async fn expanded(&self, sweep: &str) -> Result<(), Status> {
        while self.embedded.is_some() {
            let request = GetRequest {
                sweep: sweep.to_owned(),
            };
            let answer = self.sweeps().get(request).await?.into_inner();
            if answer
                .sweep
                .is_none_or(|sweep| sweep.state() != SweepState::Expanding)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops a coordinator that was started for the moment.
    pub(crate) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Finds a coordinator for a command that changes something.
///
/// # Errors
/// When none can be reached and none can be started.
pub(crate) async fn coordinator(global: &Global) -> anyhow::Result<Reached> {
    if let Some(connection) = given_or_running(global)? {
        return Ok(Reached {
            connection,
            embedded: None,
        });
    }
    let embedded = Embedded::start(global).await?;
    Ok(Reached {
        connection: embedded.connection.clone(),
        embedded: Some(embedded),
    })
}

/// The coordinator that was given, or the one that has the SQLite file open.
///
/// # Errors
/// When the address or the token cannot be used.
pub(crate) fn given_or_running(global: &Global) -> anyhow::Result<Option<Connection>> {
    let mut urls = global.coordinator.clone();
    if urls.is_empty()
        && let Some(file) = global.db.strip_prefix("sqlite:")
        && let Some(holder) =
            descent_coordinator::store::holder(Path::new(file.trim_start_matches("//")))
        && let Some(address) = holder.address
    {
        urls.push(address);
    }
    if urls.is_empty() {
        return Ok(None);
    }
    connect(&urls, global).map(Some)
}

/// Prepares a connection. Nothing is sent yet.
///
/// # Errors
/// When an address or the token cannot be used.
pub(crate) fn connect(urls: &[String], global: &Global) -> anyhow::Result<Connection> {
    let credentials = Credentials {
        token: global.token.clone(),
        authority: None,
    };
    Connection::new(urls, &credentials).map_err(|error| Failed::usage(error.to_string()))
}

/// What a refused or failed call means to a person.
pub(crate) fn explain(status: &Status, global: &Global) -> anyhow::Error {
    let exit = match status.code() {
        tonic::Code::InvalidArgument
        | tonic::Code::NotFound
        | tonic::Code::AlreadyExists
        | tonic::Code::FailedPrecondition
        | tonic::Code::OutOfRange
        | tonic::Code::Unauthenticated
        | tonic::Code::PermissionDenied => Exit::Usage,
        _ => Exit::Unreachable,
    };
    let whom = if global.coordinator.is_empty() {
        global.db.as_str()
    } else {
        "the coordinator"
    };
    let message = match exit {
        Exit::Usage => status.message().to_owned(),
        _ if status.message().is_empty() => format!(
            "{} cannot be reached: {}",
            global::shown(whom),
            status.code()
        ),
        _ => format!(
            "no answer from {}: {}",
            global::shown(whom),
            status.message()
        ),
    };
    Failed { exit, message }.into()
}
