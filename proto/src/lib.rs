//! The wire: messages, services, and checked conversions at the edge.

pub mod channel;
pub mod convert;
pub mod reason;
pub mod retry;

/// Generated messages and services of package `descent.v1`.
#[allow(
    clippy::all,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::allow_attributes_without_reason,
    clippy::str_to_string,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("descent.v1");
}

/// Descriptors of all services, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Version of the wire. Coordinator and worker must agree.
pub const PROTOCOL: u32 = 1;

/// Largest message either side accepts, in bytes. Chunks are far smaller; a larger message is a mistake.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Bytes of an artifact in one message.
pub const CHUNK_BYTES: usize = 512 << 10;
