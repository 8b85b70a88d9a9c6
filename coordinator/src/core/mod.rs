//! Decisions, apart from everything that waits: state and event in, state out. No async, no SQL, no clock, no randomness.
//!
//! ```text
//! blocked ──parent succeeded──► ready ──claim──► leased ──complete──► succeeded
//!    │                          ▲ ▲ ▲              │ ├───fail, for good──► failed
//!    │                          │ │ └──release─────┤ ├───fail, retryable─► delayed ──time──► ready
//!    │                          │ └───expire (soft)┘ │
//!    │                          └──────rerun───────── failed, poisoned, cancelled, skipped
//!    └─parent cannot succeed──► skipped            any that is not terminal ──cancel──► cancelled
//! ```
//!
//! Expiry is soft: a trial whose lease ran out is `ready` and *suspect*, its attempt number unchanged. Its worker keeps the
//! right to write about it until somebody else claims it, and only that claim revokes.

pub mod breaker;
pub mod conduct;
pub mod fence;
pub mod lease;
pub mod poison;
pub mod progress;
pub mod retry;
pub mod share;
pub mod sweep;
pub mod trial;

/// How long a call with a request id may be repeated and is answered as before.
pub const REQUESTS_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
