//! `descent`: sweeps about the generalisation of neural networks. This file only wires.

mod command;
mod embedded;
mod eta;
mod exit;
mod experiment;
mod figure;
mod global;
#[cfg(feature = "worker")]
mod local_worker;
#[cfg(feature = "worker")]
mod memory;
mod mistakes;
mod output;
mod progress;
mod reach;
mod report;
mod request;
mod results;
mod signals;
mod sweep_file;
mod sweep_rows;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

#[cfg(feature = "worker")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Version of the package and commit of the build.
pub(crate) const VERSION: &str = env!("DESCENT_VERSION");

/// Sweeps about the generalisation of neural networks: double descent, resumable, in SQL.
#[derive(Debug, Parser)]
#[command(
    name = "descent",
    version = VERSION,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = "Examples:\n  descent run sweeps/smoke.toml            train a small sweep here, resumable\n  descent plan sweeps/double-descent.toml  what it would train, and what that costs\n  descent plot double-descent -o curve.svg\n  descent sql \"SELECT width, test_loss_mean FROM risk_curve\"\n\nExit codes: 0 all succeeded, 1 some trials did not, 2 bad usage or sweep file, 3 coordinator or database out of reach,\n130/143 interrupted (run the same line again to resume)."
)]
struct Args {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::start(&args.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("start the runtime")),
    };
    let exit =
        runtime.block_on(async { Box::pin(command::dispatch(args.command, &args.global)).await });
    // A task that hangs (a half-open connection, say) must not keep a finished command from exiting.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match exit {
        Ok(exit) => exit.code(),
        Err(error) => exit::report(&error),
    }
}
