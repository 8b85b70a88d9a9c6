//! stub
use crate::service::Service;
use descent_proto::v1;
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
pub(super) async fn query(
    _: &Arc<Service>,
    _: v1::QueryRequest,
) -> Result<ReceiverStream<Result<v1::QueryResponse, Status>>, Status> {
    Err(Status::unimplemented("stub"))
}
