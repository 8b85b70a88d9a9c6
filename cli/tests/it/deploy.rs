//! What `deploy/` refers to exists: paths that the Dockerfile copies, scripts, variables of the environment file.

use std::fs;

use super::tidy::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_path_that_the_dockerfile_copies_exists_and_enters_the_build_context() {
    let ignore = read("deploy/Dockerfile.dockerignore");
    let mut copied = Vec::new();
    for line in read("deploy/Dockerfile").lines() {
        let Some(rest) = line.strip_prefix("COPY ") else {
            continue;
        };
        if rest.starts_with("--from=") {
            continue;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        copied.extend(
            words[..words.len() - 1]
                .iter()
                .map(|word| (*word).to_owned()),
        );
    }
    assert!(
        copied.len() > 5,
        "the Dockerfile copies the sources: {copied:?}"
    );
    for path in &copied {
        assert!(
            root().join(path).exists(),
            "the Dockerfile copies {path}, which does not exist"
        );
        assert!(
            ignore.lines().any(|line| line == format!("!{path}")),
            "{path} is kept out of the build context"
        );
    }
    for member in [
        "spec",
        "proto",
        "coordinator",
        "worker",
        "training",
        "cli",
        "migrations",
        "Cargo.lock",
    ] {
        assert!(
            copied.iter().any(|path| path == member),
            "the build needs {member}"
        );
    }
}

#[test]
fn the_image_is_built_with_the_compiler_that_the_workspace_asks_for() {
    let manifest = read("Cargo.toml");
    let wanted = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("a rust-version");
    let image = format!("FROM rust:{}-", wanted.trim_matches('"'));
    assert!(
        read("deploy/Dockerfile").contains(&image),
        "deploy/Dockerfile does not build {image}"
    );
}

#[test]
fn compose_takes_its_secrets_from_a_file_that_git_ignores() {
    let compose = read("deploy/compose.yaml");
    let example = read("deploy/descent.env.example");
    for line in example
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains('='))
    {
        let (name, value) = line.split_once('=').expect("NAME=value");
        assert!(
            !compose.contains(&format!("{name}:")),
            "{name} is set in compose.yaml itself"
        );
        assert!(!value.is_empty(), "{name} has no example");
    }
    assert!(
        read(".gitignore")
            .lines()
            .any(|line| line == "deploy/descent.env")
    );
}

#[test]
fn every_variable_that_deploy_sets_is_one_that_the_command_line_reads() {
    let mut help = String::new();
    for command in ["serve", "worker", "watch"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_descent"))
            .args([command, "--help"])
            .output();
        help.push_str(&String::from_utf8_lossy(
            &output.expect("the binary runs").stdout,
        ));
    }
    // Of the scripts themselves.
    let own = [
        "DESCENT_HOME",
        "DESCENT_PORT",
        "DESCENT_STATE",
        "DESCENT_SWEEP",
        "DESCENT_COMMIT",
    ];
    let files = [
        "deploy/compose.yaml",
        "deploy/descent.env.example",
        "deploy/slurm/coordinator.sbatch",
        "deploy/slurm/workers.sbatch",
        "deploy/Dockerfile",
        "deploy/systemd/descent-coordinator.service",
        "deploy/systemd/descent-worker@.service",
    ];
    for file in files {
        for rest in read(file).split("DESCENT_").skip(1) {
            let end = rest
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(rest.len());
            let name = format!("DESCENT_{}", rest[..end].trim_end_matches('_'));
            if own.contains(&name.as_str()) || rest[..end].ends_with('_') || rest[..end].is_empty()
            {
                continue;
            }
            assert!(
                help.contains(&name),
                "{file} sets {name}, which no command reads"
            );
        }
    }
}
