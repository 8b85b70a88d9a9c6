//! Tests of the crate through its public face, in one binary.

mod bad_files;
mod forms;
mod grid;
mod identity;
mod params;
mod plan;
mod reference;
mod robust;
mod samples;
mod schema;
mod stages;
