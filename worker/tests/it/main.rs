//! A worker against a coordinator in memory and a trainer by script: what it promises when calls, trainers and signals misbehave.
#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod coordinator;
mod ending;
mod lab;
mod memory;
mod outage;
mod real;
mod resume;
mod script;
mod steering;
mod training;
