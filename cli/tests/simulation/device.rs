//! The coordinator's disk: it takes its time, and sometimes a long one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use descent_coordinator::store::memory::Device;

use crate::broken::Broken;
use crate::shared::Shared;

pub(crate) struct Flash(pub(crate) Arc<Shared>);

#[async_trait]
impl Device for Flash {
    async fn flush(&self, number: u64) {
        let shared = &self.0;
        let most = shared.plan.flush_ms;
        let takes = shared.chance.lock().unwrap().millis(0..=most);
        if shared.broken == Some(Broken::AcknowledgesEarly) {
            let disk = Arc::clone(&shared.disk);
            tokio::spawn(async move {
                tokio::time::sleep(takes + Duration::from_millis(500)).await;
                disk.sync(number);
            });
            tokio::time::sleep(takes.max(Duration::from_millis(5))).await;
            return;
        }
        tokio::time::sleep(takes).await;
        loop {
            let until = Duration::from_millis(shared.stalled_until.load(Ordering::Relaxed));
            let Some(wait) = until.checked_sub(shared.now()) else {
                break;
            };
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
        shared.disk.sync(number);
    }
}
