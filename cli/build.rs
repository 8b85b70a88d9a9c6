//! Gives the binary its version: the package's, and the commit where git knows it.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=../.git/HEAD");
    println!("cargo:rerun-if-env-changed=DESCENT_COMMIT");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = std::env::var("DESCENT_COMMIT")
        .ok()
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let package = env!("CARGO_PKG_VERSION");
    let version = commit.map_or_else(
        || package.to_owned(),
        |commit| format!("{package}+{commit}"),
    );
    println!("cargo:rustc-env=DESCENT_VERSION={version}");
}
