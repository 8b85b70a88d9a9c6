//! The real coordinator and the real worker over a simulated network, in simulated time: one seed, one history.
//!
//! ```text
//! cargo test --test simulation                                     the seeds of every change
//! cargo test --release --test simulation -- --seeds 0..1000000     a million
//! cargo test --test simulation -- --seed 17 --trace                one again, with all that happened in it
//! ```
//!
//! * `plan` is what a seed means; `simulate` carries it out on `hosts`; `user` is somebody at the command line.
//! * `check` and `ending` say what must hold. `broken` takes guards away, to see that they do say it.
//! * `shared`, `record`: what outlives a crash. `network`, `device`, `stage`, `trainer`, `link`: the outside, simulated.
#![allow(clippy::unwrap_used, reason = "a test may end here")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is how a test speaks"
)]

mod arguments;
mod broken;
mod chance;
mod check;
mod device;
mod ending;
mod hosts;
mod link;
mod network;
mod panics;
mod plan;
mod record;
mod shared;
mod simulate;
mod stage;
mod tests;
mod trainer;
mod user;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    panics::watch();
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = arguments.seed {
        return tests::replay(seed, arguments.broken.as_deref(), arguments.trace);
    }
    if let Some(seeds) = arguments.seeds {
        return tests::many(seeds, arguments.threads);
    }
    tests::all(&arguments)
}
