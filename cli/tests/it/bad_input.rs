//! Bad input: one clear error with the way out, the right exit code, and nothing half done.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::harness::{Process, SMALL, Sandbox, stderr};

/// The command fails with this exit code, says all of `words`, and does not panic.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    let flat = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(flat.contains(word), "`{word}` is missing in: {told}");
    }
}

#[test]
fn every_mistake_of_a_sweep_file_is_told_at_once() {
    let sandbox = Sandbox::new();
    let bad = SMALL
        .replace("samples = 200", "sampels = 200")
        .replace("batch = 23", "batch = \"many\"")
        .replace("width = [1, 3, 8, 40]", "width = []");
    sandbox.file("bad.toml", &bad);
    for command in ["run bad.toml", "plan bad.toml", "submit bad.toml"] {
        let output = sandbox.run(command);
        refused(
            &output,
            2,
            &[
                "bad.toml:6:",
                "sampels",
                "samples",
                "bad.toml:10:",
                "batch",
                "width",
            ],
        );
    }
    assert!(
        !sandbox.path("descent.db").exists(),
        "a refused sweep leaves no database"
    );
}

#[test]
fn a_typo_a_million_fold_is_refused_with_the_limit_to_raise() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "big.toml",
        &SMALL.replace("seed = { count = 2 }", "seed = { count = 200000 }"),
    );
    refused(&sandbox.run("submit big.toml"), 2, &["max_points"]);
}

#[test]
fn a_missing_sweep_file_is_named() {
    refused(
        &Sandbox::new().run("run nowhere.toml"),
        2,
        &["nowhere.toml"],
    );
}

#[test]
fn missing_data_says_how_to_get_it() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", &SMALL.replace("mnist-4k", "fashion-mnist"));
    let output = sandbox
        .descent(["run", "sweep.toml"])
        .env("HOME", sandbox.path("home"))
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    refused(&output, 2, &["fashion-mnist", "descent data fetch"]);
}

#[test]
fn corrupt_data_names_the_file() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("broken")).unwrap();
    for file in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        sandbox.file(&format!("broken/{file}"), "not an image");
    }
    sandbox.file("sweep.toml", &SMALL.replace("mnist-4k", "./broken"));
    refused(&sandbox.run("run sweep.toml"), 2, &["idx"]);
}

#[test]
fn a_file_that_is_no_database_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    let text = "a thesis, not a database\n".repeat(100);
    let path = sandbox.file("thesis.txt", &text);
    refused(
        &sandbox.run("--db sqlite:thesis.txt run sweep.toml"),
        3,
        &["thesis.txt"],
    );
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_read_only_folder_is_told() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    std::fs::create_dir(sandbox.path("locked")).unwrap();
    std::fs::set_permissions(
        sandbox.path("locked"),
        std::fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    let output = sandbox.run("--db sqlite:locked/descent.db run sweep.toml");
    if std::fs::write(sandbox.path("locked/probe"), "").is_ok() {
        return; // This user may write anywhere (root): there is nothing to refuse.
    }
    refused(&output, 3, &["locked/descent.db"]);
}

#[test]
fn a_second_coordinator_on_one_file_names_the_first() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    let mut first = Process::start(sandbox.descent(["serve", "--listen", "127.0.0.1:0"]));
    first.until(" on 127.0.0.1:");
    refused(
        &sandbox.run("serve --listen 127.0.0.1:0"),
        3,
        &["descent.db", "127.0.0.1:"],
    );
    refused(
        &sandbox.run("run sweep.toml"),
        3,
        &["descent.db", "127.0.0.1:"],
    );
}

#[test]
fn a_coordinator_out_of_reach_is_told() {
    let sandbox = Sandbox::new();
    // A port that was just free: nobody answers there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    refused(
        &sandbox.run(&format!("--coordinator http://{address} status")),
        3,
        &["coordinator"],
    );
    refused(
        &sandbox.run(&format!(
            "--coordinator http://{address} worker --connect-s 1"
        )),
        3,
        &["out of reach"],
    );
}

#[test]
fn a_port_in_use_is_told() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    refused(
        &sandbox.run(&format!("serve --listen {address}")),
        3,
        &[&address.to_string(), "--listen"],
    );
    assert!(
        !sandbox.path("descent.db").exists(),
        "a coordinator that cannot listen makes no database"
    );
}

#[test]
fn beyond_this_machine_a_token_is_needed() {
    refused(
        &Sandbox::new().run("serve --listen 0.0.0.0:0"),
        2,
        &["DESCENT_TOKEN", "--insecure"],
    );
}

#[test]
fn a_wrong_token_is_refused() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.descent(["serve", "--listen", "127.0.0.1:0"]);
    command.env("DESCENT_TOKEN", "right");
    let mut coordinator = Process::start(command);
    let line = coordinator.until(" on 127.0.0.1:");
    let address = line.rsplit(' ').next().unwrap().trim().to_owned();
    refused(
        &sandbox.run(&format!("--coordinator http://{address} status")),
        2,
        &["token"],
    );
    refused(
        &sandbox.run(&format!(
            "--coordinator http://{address} --token wrong worker"
        )),
        2,
        &["token"],
    );
    sandbox.ok(&format!(
        "--coordinator http://{address} --token right status"
    ));
}

#[test]
fn a_device_that_is_not_there_is_told() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    let features = if cfg!(feature = "cuda") {
        ""
    } else {
        "--features cuda"
    };
    for device in ["cuda:9", "cpu,cuda:9"] {
        let run = sandbox.run(&format!("run sweep.toml --device {device}"));
        refused(&run, 2, &["cuda:9", features]);
    }
    if !cfg!(feature = "cuda") {
        let run = sandbox.run("run sweep.toml --device cuda:0");
        refused(&run, 2, &["cuda:0", features, "`cpu`"]);
        // Before anybody is asked: nobody listens there.
        let worker = "--coordinator http://127.0.0.1:9 worker --device cuda:0";
        refused(&sandbox.run(worker), 2, &["cuda:0", features]);
    }
    refused(
        &sandbox.run("run sweep.toml --device cuda:0,cuda:1 --workers 1"),
        2,
        &["2 devices", "--workers"],
    );
    refused(
        &sandbox.run("run sweep.toml --device cpu,cpu"),
        2,
        &["cpu,cpu", "several"],
    );
    assert!(
        !sandbox.path("descent.db").exists(),
        "nothing was submitted, no session opened"
    );
    refused(
        &sandbox.run("run sweep.toml --device abacus"),
        2,
        &["abacus", "cpu"],
    );
}

#[test]
fn an_edit_that_removes_points_asks_first() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("submit sweep.toml");
    sandbox.file(
        "sweep.toml",
        &SMALL.replace("width = [1, 3, 8, 40]", "width = [1, 3, 9]"),
    );
    refused(
        &sandbox.run("submit sweep.toml"),
        2,
        &["--yes", "has lost 8"],
    );
    let edited = sandbox.ok("--format csv submit sweep.toml --yes");
    assert!(edited.contains("small,4,8,8"), "{edited}");
    let same = sandbox.ok("--format csv submit sweep.toml");
    assert!(same.contains("small,0,12,0"), "{same}");
}

#[test]
fn sql_cannot_change_anything() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("submit sweep.toml");
    for query in [
        "DELETE FROM trial",
        "DROP VIEW results",
        "UPDATE sweep SET name = 'x'",
        "SELECT 1; DELETE FROM trial",
        "PRAGMA query_only = 0",
        "ATTACH 'other.db' AS other",
    ] {
        let output = sandbox.descent(["sql", query]).output().unwrap();
        assert!(!output.status.success(), "`{query}` was let through");
    }
    let count = sandbox
        .descent(["--format", "csv", "sql", "SELECT count(*) AS n FROM trials"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&count.stdout), "n\n16\n");
}

#[test]
fn a_trial_larger_than_the_memory_fails_and_the_others_are_trained() {
    let sandbox = Sandbox::new();
    // Width 4,000 takes some 50 MiB.
    let sweep = SMALL
        .replace("width = [1, 3, 8, 40]", "width = [1, 3, 4000]")
        .replace("epochs = 600", "epochs = 2")
        .replace("[run]", "[run]\nmax_failures = 1");
    sandbox.file("sweep.toml", &sweep);
    // 2⁶⁴ bytes, which is no number of bytes.
    let run = sandbox.run("run sweep.toml --memory-mib 17592186044416 --no-figure");
    refused(&run, 2, &["--memory-mib", "1073741824"]);
    let run = sandbox.run("run sweep.toml --memory-mib 32 --no-figure");
    refused(&run, 1, &["MiB", "--memory-mib"]);
    let counts = sandbox.ok(
        "--format csv sql SELECT/**/width,state,COUNT(*)/**/FROM/**/trials/**/GROUP/**/BY/**/width,state/**/ORDER/**/BY/**/width",
    );
    let lines: Vec<&str> = counts.lines().skip(1).collect();
    assert_eq!(lines, ["1,succeeded,4", "3,succeeded,4", "4000,failed,4"]);
    // With more memory, what failed is made up for.
    sandbox.ok("rerun small --failed");
    let output = sandbox.run("run sweep.toml --memory-mib 512 --no-figure");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_pack_bigger_than_the_memory_is_cut_when_it_is_formed() {
    let sandbox = Sandbox::new();
    // Width 1,000 takes some 12 MiB: two at a time.
    let sweep = SMALL
        .replace("width = [1, 3, 8, 40]", "width = [1000]")
        .replace("epochs = 600", "epochs = 2");
    sandbox.file("sweep.toml", &sweep);
    sandbox.ok("run sweep.toml --memory-mib 40 --no-figure");
    // Nobody took what it could not start: every trial was claimed once.
    let sql = "SELECT/**/COUNT(*),MAX(attempts)/**/FROM/**/trials/**/WHERE/**/state='succeeded'";
    let counts = sandbox.ok(&format!("--format csv sql {sql}"));
    assert_eq!(counts.lines().nth(1), Some("4,1"));
}

#[test]
fn a_sweep_can_pin_the_instruction_set_and_results_record_it() {
    let sandbox = Sandbox::new();
    let sweep = SMALL
        .replace("epochs = 600", "epochs = 1")
        .replace("[run]", "[run]\ninstruction_set = \"abacus\"");
    let other = sweep.replace("small", "other");
    sandbox.file(
        "other.toml",
        &other.replace("samples = 200", "samples = 180"),
    );
    sandbox.ok("submit other.toml");
    let here = SMALL.replace("epochs = 600", "epochs = 1");
    sandbox.file("here.toml", &here);
    sandbox.ok("run here.toml --no-figure");
    let sql = "SELECT/**/DISTINCT/**/instruction_set/**/FROM/**/results";
    let sets = sandbox.ok(&format!("--format csv sql {sql}"));
    let own = sets.lines().nth(1).expect("a result").to_owned();
    assert!(
        ["avx512", "avx2", "neon", "portable"].contains(&own.as_str()),
        "{own}"
    );
    // Pinned to this machine's, it is trained here.
    let pinned = sweep
        .replace("abacus", &own)
        .replace("small", "pinned")
        .replace("samples = 200", "samples = 190");
    sandbox.file("pinned.toml", &pinned);
    sandbox.ok("run pinned.toml --no-figure");
    // Pinned to another's, it waits for it.
    let sql = "SELECT/**/DISTINCT/**/state/**/FROM/**/trials/**/WHERE/**/sweep='other'";
    let states = sandbox.ok(&format!("--format csv sql {sql}"));
    assert_eq!(states.lines().skip(1).collect::<Vec<_>>(), ["ready"]);
}
