//! Guards taken away on purpose: the simulation must notice each.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The disk says that a transaction is durable half a second before it is.
    AcknowledgesEarly,
    /// A fenced write is taken as if it came from who holds the trial now.
    NoFence,
    /// A repeated request for trials counts as another one.
    ForgetsRequest,
    /// A worker takes FENCED for an outage and repeats the call.
    RepeatsFenced,
    /// A worker takes a chunk of measurements for delivered that it has never sent.
    LosesChunk,
    /// A trial that starts from its parent's weights starts from none.
    IgnoresParent,
}

/// All of them, and after how many seeds each is noticed at the latest.
pub(crate) const ALL: [(Broken, u64); 6] = [
    (Broken::AcknowledgesEarly, 100),
    (Broken::NoFence, 200),
    (Broken::ForgetsRequest, 200),
    (Broken::RepeatsFenced, 200),
    (Broken::LosesChunk, 20),
    (Broken::IgnoresParent, 50),
];
