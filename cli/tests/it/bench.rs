//! `descent bench`: what it prints, and what it says of cases that are none.

use serde_json::Value;

use crate::harness::{SMALL, Sandbox, stderr};

#[test]
fn programs_get_every_measurement_with_its_machine() {
    let sandbox = Sandbox::new();
    sandbox.file("small.toml", SMALL);
    for (options, evaluated) in [
        ("--threads 2 --epochs 3", false),
        ("--whole --epochs 20", true),
    ] {
        let line = format!("bench train --case small.toml --repeat 2 --format json {options}");
        let rows: Value = serde_json::from_str(&sandbox.ok(&line)).unwrap();
        let row = &rows[0];
        assert_eq!(row["networks"], 16, "{row}");
        assert_eq!(row["all_epoch_ms"].as_array().unwrap().len(), 2);
        assert_eq!(row["device"], "cpu");
        assert_eq!(row["evaluations"].as_u64().unwrap() > 0, evaluated, "{row}");
        for number in [
            "epoch_ms",
            "step_us",
            "useful_gflops",
            "sgemm_gflops",
            "share_of_sgemm",
        ] {
            assert!(row[number].as_f64().unwrap() > 0.0, "{number}: {row}");
        }
        assert!(row["epoch_ms"].as_f64() <= row["slowest_epoch_ms"].as_f64());
    }
}

#[test]
fn an_unknown_case_is_answered_with_those_there_are() {
    let output = Sandbox::new().run("bench train --case narrow");
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    for word in ["narrow", "widths-24", "small-16", "wide"] {
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn narrower_instructions_are_used_where_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.file("small.toml", SMALL);
    let line = "bench train --case small.toml --epochs 1 --repeat 1 --format json";
    let rows = sandbox.ok(&format!("{line} --instruction-set portable"));
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows[0]["instruction_set"], "portable");
    let output = sandbox.run(&format!("{line} --instruction-set mmx"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mmx"), "{}", stderr(&output));
}

#[test]
fn a_network_that_ends_early_is_no_measurement() {
    let sandbox = Sandbox::new();
    let wild = SMALL.replace(
        "{ kind = \"adam\", lr = 0.002 }",
        "{ kind = \"sgd\", lr = 900.0 }",
    );
    assert_ne!(wild, SMALL);
    sandbox.file("wild.toml", &wild);
    let output = sandbox.run("bench train --case wild.toml --epochs 20");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("ended early"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_would_be_measured_wrongly_is_refused() {
    let sandbox = Sandbox::new();
    let refused = |line: &str, word: &str| {
        let output = sandbox.run(&format!("bench train {line}"));
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(word), "{told}");
    };
    // Steps of different lengths are not as many in an epoch.
    let batches = SMALL
        .replace("batch = 23", "")
        .replace("[axes]", "[axes]\nbatch = [10, 23]");
    assert_ne!(batches, SMALL);
    sandbox.file("batches.toml", &batches);
    refused("--case batches.toml", "train.batch");
    let closed = "name = \"closed\"\nexperiment = \"random-features\"\n[data]\ndataset = \"mnist-4k\"\nsamples = 50\n\
        [model]\nkind = \"relu-features\"\nwidth = 20\n";
    sandbox.file("closed.toml", closed);
    refused("--case closed.toml", "--whole");
    sandbox.file("small.toml", SMALL);
    refused("--case small.toml --threads 100000", "1024");
}

#[test]
fn the_queue_is_measured_in_every_case_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let line = "bench queue --case throughput,claims,million,beats --workers 4 --per-call 4,1 --prepared 200 --seconds 1 \
        --rows 40,80 --claims 10 --trials 300 --beating 8 --folder bench --format json";
    let rows: Value = serde_json::from_str(&sandbox.ok(line)).unwrap();
    let rows = rows.as_array().unwrap();
    for measure in [
        "leased and completed",
        "claim, p99",
        "submit acknowledged",
        "all expanded, from submit",
        "beat while expanding, longest",
        "kill -9 to first lease",
        "mean and sd per point, view risk_curve",
        "deleted",
        "beats",
        "coordinator's memory",
    ] {
        let found = rows.iter().find(|row| row["measure"] == measure);
        let row = found.unwrap_or_else(|| panic!("{measure}: {rows:?}"));
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["durability"], "SQLite, WAL, synchronous=FULL");
    }
    let left = std::fs::read_dir(sandbox.path("bench")).unwrap();
    assert_eq!(left.count(), 0);
}
