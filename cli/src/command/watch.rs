//! `descent watch`: the live view of a sweep.

use std::time::Instant;

use descent_proto::v1::{Sweep, WatchRequest};

use crate::eta::Eta;
use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::progress::{Progress, Style};
use crate::{reach, request, sweep_rows};

/// The live view of a sweep, until it is finished. Without a terminal: one line every 30 s.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent --coordinator http://head:4780 watch double-descent")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
    /// How progress is shown on stderr.
    #[arg(long, env = "DESCENT_PROGRESS", value_enum, default_value_t = Style::Auto)]
    progress: Style,
}

/// Runs the command. A coordinator that goes away is waited for; Ctrl-C ends the view, not the sweep.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let Some(connection) = reach::given_or_running(global)? else {
        return Err(Failed::unreachable(format!(
            "nobody serves {}: start `descent serve`, or give --coordinator",
            global::shown(&global.db)
        )));
    };
    let mut view: Option<(Eta, Instant, Progress)> = None;
    loop {
        let request = WatchRequest {
            sweep: args.sweep.clone(),
        };
        let answer =
            request::repeat(async || connection.sweeps().watch(request.clone()).await).await;
        let mut stream = answer
            .map_err(|status| reach::explain(&status, global))?
            .into_inner();
        // A stream that breaks is asked for again: that is what a restart of the coordinator looks like.
        while let Ok(Some(message)) = stream.message().await {
            let Some(sweep) = message.sweep else { continue };
            let (eta, since, progress) = view.get_or_insert_with(|| {
                (
                    Eta::new(sweep.cost_done, sweep.cost_total),
                    Instant::now(),
                    Progress::start(args.progress),
                )
            });
            let rest = eta.rest(sweep.cost_done, since.elapsed());
            progress.show(
                eta.share(sweep.cost_done),
                &sweep_rows::line(&sweep, eta.share(sweep.cost_done), rest),
            );
            if sweep_rows::is_over(&sweep) {
                progress.end(&sweep_rows::line(&sweep, sweep_rows::share(&sweep), None));
                return Ok(ended(&sweep));
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// The exit code of a sweep that is over.
pub(crate) fn ended(sweep: &Sweep) -> Exit {
    if sweep_rows::without_result(sweep) == 0 {
        Exit::Success
    } else {
        Exit::Incomplete
    }
}
