//! What `pause`, `resume` and `cancel` share: one call to a coordinator, and the sweep's row afterwards.

use descent_proto::channel::Connection;
use descent_proto::v1;
use descent_proto::v1::sweeps_client::SweepsClient;

use crate::exit::Exit;
use crate::global::Global;
use crate::{output, reach, request, sweep_rows};

/// Makes one call, repeating it with the same request id while the coordinator is out of reach, and prints the sweep.
pub(crate) async fn run(
    global: &Global,
    call: impl AsyncFn(SweepsClient<Connection>, Vec<u8>) -> Result<Option<v1::Sweep>, tonic::Status>,
) -> anyhow::Result<Exit> {
    let reached = reach::coordinator(global).await?;
    let id = request::id();
    let answer = request::repeat(async || call(reached.sweeps(), id.clone()).await).await;
    reached.close().await;
    let sweep = answer.map_err(|status| reach::explain(&status, global))?;
    let sweeps: Vec<v1::Sweep> = sweep.into_iter().collect();
    output::print(&sweep_rows::rows(&sweeps), global.format)?;
    Ok(Exit::Success)
}
