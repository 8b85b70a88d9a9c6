//! Compiles the .proto files without protoc, and keeps the descriptor set for reflection.
use prost::Message;

const FILES: [&str; 3] = [
    "descent/v1/types.proto",
    "descent/v1/work.proto",
    "descent/v1/sweeps.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=descent");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
