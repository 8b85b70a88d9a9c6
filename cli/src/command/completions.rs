//! `descent completions`: a script that makes the shell complete commands, options and file names.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::global::Global;
use crate::output;

/// Options of `descent completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent completions bash > ~/.local/share/bash-completion/completions/descent\n  descent completions zsh > ~/.zfunc/_descent\n  descent completions fish > ~/.config/fish/completions/descent.fish"
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum, env = "DESCENT_SHELL")]
    shell: Shell,
}

/// Runs the command.
#[allow(clippy::unused_async, reason = "commands share one signature")]
pub(crate) async fn run(args: Args, _global: &Global) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::Args::command(),
        "descent",
        &mut script,
    );
    output::print_text(&String::from_utf8(script)?)?;
    Ok(Exit::Success)
}
