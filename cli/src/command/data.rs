//! `descent data`.

use crate::exit::Exit;
use crate::global::Global;

/// Options of `descent data`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
#[allow(clippy::unused_async, reason = "commands share one signature")]
pub(crate) async fn run(_args: Args, _global: &Global) -> anyhow::Result<Exit> {
    anyhow::bail!("`descent data` is not built yet")
}
