//! stub
use crate::service::Service;
use descent_proto::v1;
use std::sync::Arc;
use tonic::Status;
pub(super) async fn submit(
    _: &Arc<Service>,
    _: v1::SubmitRequest,
) -> Result<v1::SubmitResponse, Status> {
    Err(Status::unimplemented("stub"))
}
