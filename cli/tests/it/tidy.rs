//! The house rules that a compiler does not hold: who may use what, and how files begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("cli/ lies in the workspace");
    root.to_path_buf()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--locked",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Packages of the workspace with the names of what each depends on, for shipping or for tests.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let list = package["dependencies"]
                .as_array()
                .expect("a list of dependencies");
            (
                text(&package["name"]),
                list.iter().map(|d| text(&d["name"])).collect(),
            )
        })
        .collect()
}

/// Every `.rs` file of a folder of the workspace, by its path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .display()
                    .to_string();
                found.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found.sort();
    found
}

const CRATES: [&str; 6] = ["spec", "proto", "coordinator", "worker", "training", "cli"];

fn all_sources() -> Vec<(String, String)> {
    CRATES.iter().flat_map(|folder| sources(folder)).collect()
}

/// The part of a file before its unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Lines of code without what stands in comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = shipped(text).lines().enumerate();
    lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or(line)))
}

fn report(mistakes: &[String], rule: &str) {
    assert!(mistakes.is_empty(), "{rule}:\n{}", mistakes.join("\n"));
}

#[test]
fn crates_import_only_what_lies_below_them() {
    let allowed = BTreeMap::from([
        ("descent-spec", vec![]),
        ("descent-proto", vec!["descent-spec"]),
        ("descent-training", vec!["descent-spec"]),
        ("descent-coordinator", vec!["descent-spec", "descent-proto"]),
        (
            "descent-worker",
            vec!["descent-spec", "descent-proto", "descent-training"],
        ),
        (
            "descent",
            vec![
                "descent-spec",
                "descent-proto",
                "descent-training",
                "descent-coordinator",
                "descent-worker",
            ],
        ),
    ]);
    let found = dependencies(&metadata());
    assert_eq!(
        found.len(),
        allowed.len(),
        "a new crate needs its place in this table"
    );
    let mut mistakes = Vec::new();
    for (name, dependencies) in &found {
        let allowed = &allowed[name.as_str()];
        for other in dependencies
            .iter()
            .filter(|other| other.starts_with("descent"))
        {
            if !allowed.contains(&other.as_str()) {
                mistakes.push(format!("{name} imports {other}"));
            }
        }
    }
    report(&mistakes, "layering");
}

#[test]
fn libraries_stay_with_the_crate_that_wraps_them() {
    let owners = [
        ("sqlx", "descent-coordinator"),
        ("object_store", "descent-coordinator"),
        ("candle-core", "descent-training"),
        ("faer", "descent-training"),
        ("gemm", "descent-training"),
        ("kuva", "descent"),
        ("clap", "descent"),
    ];
    let mut mistakes = Vec::new();
    for (name, dependencies) in dependencies(&metadata()) {
        for (library, owner) in owners {
            // Integration tests may look at a database or a tensor with their own eyes.
            let shipped = sources(folder_of(&name))
                .into_iter()
                .filter(|(path, _)| !path.contains("/tests/"));
            let used = shipped
                .into_iter()
                .any(|(_, text)| text.contains(&format!("{}::", library.replace('-', "_"))));
            if dependencies.contains(library) && used && name != owner {
                mistakes.push(format!("{name} uses {library}, which only {owner} names"));
            }
        }
    }
    report(&mistakes, "owners of libraries");
    let drawing = sources("cli/src")
        .into_iter()
        .filter(|(_, text)| text.contains("kuva::"));
    assert_eq!(
        drawing.map(|(path, _)| path).collect::<Vec<_>>(),
        ["cli/src/figure/canvas.rs"]
    );
}

fn folder_of(package: &str) -> &str {
    package.strip_prefix("descent-").unwrap_or("cli")
}

#[test]
fn the_pure_parts_take_clock_network_and_disk_from_nobody() {
    let impure = [
        "async ",
        ".await",
        "tokio",
        "sqlx",
        "tonic",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::",
        "println!",
        "tracing::",
    ];
    let mut mistakes = Vec::new();
    for (path, text) in [sources("spec/src"), sources("coordinator/src/core")].concat() {
        for (line, words) in code(&text) {
            for word in impure.iter().filter(|word| words.contains(*word)) {
                mistakes.push(format!("{path}:{line} has {word}"));
            }
        }
    }
    report(
        &mistakes,
        "spec and coordinator/src/core decide without I/O",
    );
}

#[test]
fn training_knows_no_network_and_no_runtime() {
    let mut mistakes = Vec::new();
    for (path, text) in sources("training/src") {
        for (line, words) in code(&text) {
            for word in [
                "tokio",
                "tonic",
                ".await",
                "SystemTime::now",
                "Instant::now",
            ]
            .iter()
            .filter(|word| words.contains(*word))
            {
                mistakes.push(format!("{path}:{line} has {word}"));
            }
        }
    }
    report(&mistakes, "training is synchronous and offline");
}

#[test]
fn every_module_says_first_what_it_is() {
    let mistakes: Vec<String> = all_sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| format!("{path} does not begin with a `//!` line"))
        .collect();
    report(&mistakes, "first lines");
}

#[test]
fn files_hold_one_noun() {
    const LIMIT: usize = 400;
    let mistakes: Vec<String> = all_sources()
        .into_iter()
        .filter(|(path, _)| !path.contains("/tests/") && !path.contains("/benches/"))
        .filter_map(|(path, text)| {
            let lines = shipped(&text).lines().count();
            (lines > LIMIT).then(|| {
                format!("{path} has {lines} lines without its tests: look for the second noun")
            })
        })
        .collect();
    report(&mistakes, "length");
}

#[test]
fn tests_run_and_nothing_is_left_for_later() {
    let mut mistakes = Vec::new();
    // Written apart, so that this file does not find itself. Longer runs of a test that runs may wait for a command: `= "minutes: …"`.
    let longer = ["#[ig", "nore = \"minutes: "].concat();
    let banned = [
        ["#[ig", "nore"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["dbg", "!("],
    ];
    for (path, text) in all_sources() {
        for (line, words) in text.lines().enumerate() {
            for word in banned
                .iter()
                .map(|halves| halves.concat())
                .filter(|word| words.contains(word) && !words.contains(&longer))
            {
                mistakes.push(format!("{path}:{} has {word}", line + 1));
            }
        }
    }
    report(&mistakes, "unfinished");
}

#[test]
fn unsafe_code_stays_in_the_cuda_launch_module() {
    let mut mistakes = Vec::new();
    for (path, text) in all_sources() {
        for (line, words) in code(&text) {
            let found = words.contains(concat!("unsafe", " {"))
                || words.contains(concat!("unsafe", " fn"))
                || words.contains(concat!("unsafe", " impl"));
            if found && !path.starts_with("training/src/cuda") {
                mistakes.push(format!("{path}:{line}"));
            }
        }
    }
    report(&mistakes, "unsafe code");
}

#[test]
fn crates_share_licence_and_lints() {
    let metadata = metadata();
    let mut mistakes = Vec::new();
    for package in metadata["packages"].as_array().expect("a list of packages") {
        let name = package["name"].as_str().expect("a name");
        if package["license"] != "MIT OR Apache-2.0" {
            mistakes.push(format!("{name}: licence {}", package["license"]));
        }
        let manifest = package["manifest_path"].as_str().expect("a path");
        let text = fs::read_to_string(manifest).expect("a readable manifest");
        if !text.contains("[lints]\nworkspace = true") {
            mistakes.push(format!("{name} does not take the workspace's lints"));
        }
        if package["description"].as_str().is_none_or(str::is_empty) {
            mistakes.push(format!("{name} does not say what it is"));
        }
    }
    report(&mistakes, "manifests");
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(root().join(licence).is_file(), "{licence} is missing");
    }
}

/// Files that git knows or would add.
fn listed(patterns: &[&str]) -> Vec<String> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .args(patterns)
        .current_dir(root())
        .output();
    let Ok(output) = output else {
        return Vec::new();
    };
    let names = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    names
        .into_iter()
        .filter(|name| root().join(name).is_file())
        .collect()
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let homes = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/home", "/runner"),
    ];
    let mut mistakes = Vec::new();
    for name in listed(&[
        "*.rs",
        "*.toml",
        "*.md",
        "*.sh",
        "*.sbatch",
        "*.yaml",
        "*.proto",
        "*.sql",
        "*.py",
        "*.service",
    ]) {
        let Ok(text) = fs::read_to_string(root().join(&name)) else {
            continue;
        };
        for (line, words) in text.lines().enumerate() {
            if homes.iter().any(|home| words.contains(home)) {
                mistakes.push(format!("{name}:{}: {words}", line + 1));
            }
        }
    }
    report(&mistakes, "paths of one machine");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut mistakes = Vec::new();
    for name in listed(&["*.md"]) {
        let text = fs::read_to_string(root().join(&name)).expect("a readable document");
        let folder = Path::new(&name)
            .parent()
            .unwrap_or(Path::new(""))
            .to_path_buf();
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !root().join(&folder).join(target).exists() {
                mistakes.push(format!("{name}: {target}"));
            }
        }
    }
    report(&mistakes, "dead links");
}
