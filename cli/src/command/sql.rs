//! `descent sql`: read-only SQL over the documented views.

use std::io::Read as _;

use anyhow::Context as _;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::{output, results};

/// Options of `descent sql`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Views: trials, results, metrics, risk_curve, random_features, sweep_<name>.\n\nExamples:\n  descent sql \"SELECT width, test_loss_mean FROM risk_curve WHERE sweep = 'smoke' ORDER BY width\"\n  descent sql --format csv \"SELECT * FROM sweep_smoke\" > smoke.csv\n  descent sql - < query.sql"
)]
pub(crate) struct Args {
    /// One SELECT statement; `-` reads it from stdin.
    query: String,

    /// Most rows printed; 0 is no limit.
    #[arg(
        long,
        env = "DESCENT_LIMIT",
        default_value_t = 10_000,
        value_name = "ROWS"
    )]
    limit: u32,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut sql = args.query;
    if sql == "-" {
        sql.clear();
        std::io::stdin()
            .read_to_string(&mut sql)
            .context("read the query from stdin")?;
    }
    if sql.trim().is_empty() {
        return Err(Failed::usage(
            "the query is empty: give one SELECT statement",
        ));
    }
    let limit = if args.limit == 0 {
        results::ALL_ROWS
    } else {
        args.limit
    };
    let answer = results::query(global, &sql, limit).await?;
    output::print(&answer.rows, global.format)?;
    if answer.cut {
        output::note(&format!(
            "cut after {limit} rows: there are more; --limit 0 prints all"
        ));
    }
    Ok(Exit::Success)
}
