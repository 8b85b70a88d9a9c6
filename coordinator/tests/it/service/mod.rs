//! The services as workers and users see them: a real server and real clients over pipes, a store in memory, a clock that is
//! moved by hand, and tokio's time paused, so that waiting takes no time.

mod artifacts;
mod guard;
mod lease;
mod life;
mod operations;
mod query;
mod repeat;
mod several;
mod stale;
mod sweeps;
mod unchanged;
mod verify;
mod world;
