//! stub
use crate::service::Service;
use std::sync::Arc;
pub(crate) async fn run(service: Arc<Service>) {
    service.draining.cancelled().await;
}
