//! The science: networks, optimizers, data, exact resume. Synchronous; knows no network and no clock.

pub mod data;
pub mod device;
pub mod features;
pub mod pack;
pub mod stream;
