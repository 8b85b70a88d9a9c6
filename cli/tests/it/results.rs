//! From results in a database to SQL, exports, imports, figures and reports, through the binary.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use descent_coordinator::store::{
    Ask, Axis, AxisKind, Fence, IfExists, Imported, ImportedResult, NewSession, NewSweep, NewTrial,
    Slice, Store, TrialColumns, open_store,
};
use descent_spec::id::{ContentHash, Identity, PackKey, RequestId, SessionId, Timestamp};
use descent_spec::outcome::{Measurement, StopReason, TrialResult};

const WIDTHS: [i64; 6] = [2, 4, 8, 16, 32, 64];
const SEEDS: i64 = 3;
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DATA: ContentHash = ContentHash([7; 32]);

fn identity(width: i64, seed: i64) -> Identity {
    let hash = ContentHash::of(format!("{width}/{seed}").as_bytes());
    Identity::from_slice(&hash.0[..16]).expect("16 bytes")
}

fn trial(index: usize, width: i64, seed: i64) -> NewTrial {
    NewTrial {
        point: index as u64,
        identity: identity(width, seed),
        pack_key: PackKey([1; 16]),
        data: DATA,
        data_memory: 0,
        device: String::new(),
        instruction_set: String::new(),
        parent: None,
        params: format!(
            r#"{{"data.label_noise":0.2,"data.samples":40,"model.width":{width},"seed":{seed},"train.epochs":5}}"#
        ),
        columns: TrialColumns {
            width,
            depth: 1,
            parameters: 795 * width + 10,
            samples: 4000,
            outputs: 10,
            label_noise: 0.2,
            ridge: 0.0,
            weight_decay: 0.0,
            epochs: 5,
            model: "mlp",
            subspace_dim: 0,
            projection: None,
            density: 1.0,
            seed,
            cost: 1.0,
            memory: 1,
        },
        axes: format!(r#"{{"seed":{seed},"width":{width}}}"#),
        ord: index as i64,
        time_limit_ms: 0,
        stall_ms: 600_000,
        max_failures: 3,
        checkpoint_ms: 30_000,
        checkpoint_epochs: 0,
        keep_weights: false,
    }
}

/// A hump at 16 units, a little apart for each seed.
fn result(width: i64, seed: i64) -> TrialResult {
    let height = [0.09, 0.06, 0.05, 0.08, 0.06, 0.03][WIDTHS
        .iter()
        .position(|w| *w == width)
        .expect("one of ours")];
    let measured = height * (1.0 + 0.01 * seed as f64);
    TrialResult {
        stop: StopReason::Epochs,
        last: Measurement {
            epoch: 5,
            train_loss: Some(0.1 / width as f64),
            train_error: Some(if width < 32 { 0.5 / width as f64 } else { 0.0 }),
            validation_loss: None,
            validation_error: None,
            test_loss: (width > 2 || seed > 0).then_some(measured),
            test_error: (width > 2 || seed > 0).then_some(measured * 5.0),
            dead_units: Some(0),
        },
        diverged: width == 2 && seed == 0,
        coefficient_norm: None,
        details: None,
        parameters: 795 * width as u64 + 10,
        weights: None,
        device: "cpu".to_owned(),
        instruction_set: "avx2".to_owned(),
        train_ms: 12,
    }
}

/// A database with the sweep `hump`, its trials without results.
async fn submitted(url: &str) -> Arc<dyn Store> {
    let store = open_store(url).await.expect("a new database");
    let points: Vec<(i64, i64)> = WIDTHS
        .iter()
        .flat_map(|&width| (0..SEEDS).map(move |seed| (width, seed)))
        .collect();
    let sweep = NewSweep {
        name: "hump".to_owned(),
        experiment: "risk-curve".to_owned(),
        source: "name = \"hump\"".to_owned(),
        data: "{}".to_owned(),
        points: points.len() as u64,
        cost_total: points.len() as f64,
        max_alike_failures: 0,
        priority: 0,
        axes: ["width", "seed"]
            .map(|name| Axis {
                name: name.to_owned(),
                kind: AxisKind::Integer,
            })
            .to_vec(),
    };
    let id = store
        .submit(RequestId([1; 16]), &sweep, IfExists::Refuse, NOW)
        .await
        .expect("a new sweep");
    let trials = points
        .iter()
        .enumerate()
        .map(|(index, &(width, seed))| trial(index, width, seed))
        .collect();
    let slice = Slice {
        sweep: id,
        edition: 1,
        from: 0,
        to: points.len() as u64,
        trials,
        last: true,
    };
    store.expand(&slice, NOW).await.expect("one slice");
    store
}

/// Lets a worker finish every trial.
async fn trained(store: &Arc<dyn Store>) {
    let session = SessionId([3; 16]);
    let new = NewSession {
        id: session,
        worker: "w".to_owned(),
        version: "test".to_owned(),
        device: "cpu".to_owned(),
        instruction_set: "avx2".to_owned(),
        slots: 0,
        memory: 1 << 30,
        data: vec![DATA],
        lease_until: NOW.plus_ms(60_000),
    };
    store.open_session(&new, NOW).await.expect("a session");
    let ask = Ask {
        session,
        request: RequestId([4; 16]),
        max_trials: 100,
        memory: 1 << 30,
        data: vec![DATA],
        samples: Vec::new(),
    };
    let claimed = store.claim(&ask, NOW).await.expect("a claim").claimed;
    assert_eq!(claimed.len(), WIDTHS.len() * 3);
    for claimed in claimed {
        let fence = Fence {
            session,
            trial: claimed.trial,
            attempt: claimed.attempt,
        };
        let points = WIDTHS
            .iter()
            .flat_map(|&width| (0..SEEDS).map(move |seed| (width, seed)));
        let (width, seed) = points
            .into_iter()
            .find(|&(w, s)| identity(w, s) == claimed.identity)
            .expect("ours");
        let result = result(width, seed);
        store
            .append_metrics(fence, 1, std::slice::from_ref(&result.last), NOW)
            .await
            .expect("metrics");
        store
            .complete(&[(fence, result)], NOW)
            .await
            .expect("a result");
    }
}

fn descent(folder: &Path, db: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_descent"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DESCENT_"))
    {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .args(["--db", &format!("sqlite:{db}")])
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// What a command printed, when it ended with this code.
fn printed(folder: &Path, db: &str, code: i32, arguments: &[&str]) -> String {
    let output = descent(folder, db, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// A folder with `a.db`, trained, and `b.db`, only submitted.
async fn two_databases() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, with_results) in [("a.db", true), ("b.db", false)] {
        let store = submitted(&format!("sqlite:{}", folder.path().join(name).display())).await;
        if with_results {
            trained(&store).await;
        }
        store.close().await;
    }
    folder
}

#[tokio::test]
async fn sql_answers_in_every_format_and_changes_nothing() {
    let folder = two_databases().await;
    let query = "SELECT width, COUNT(*) AS n, AVG(test_loss) AS loss FROM results GROUP BY width ORDER BY width";
    let table = printed(folder.path(), "a.db", 0, &["sql", query]);
    assert!(table.starts_with("width  n"), "{table}");
    assert_eq!(table.lines().count(), 2 + WIDTHS.len(), "{table}");
    let csv = printed(folder.path(), "a.db", 0, &["--format", "csv", "sql", query]);
    assert!(csv.starts_with("width,n,loss\n2,3,"), "{csv}");
    let json = printed(
        folder.path(),
        "a.db",
        0,
        &["--format", "json", "sql", query],
    );
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).expect("one document");
    assert_eq!(rows[3]["width"], 16);

    let cut = descent(
        folder.path(),
        "a.db",
        &["sql", "--limit", "4", "SELECT trial FROM trials"],
    );
    assert_eq!(String::from_utf8_lossy(&cut.stdout).lines().count(), 6);
    assert!(String::from_utf8_lossy(&cut.stderr).contains("cut after 4 rows"));

    for attack in [
        "DELETE FROM trial",
        "SELECT 1; DELETE FROM trial",
        "PRAGMA user_version = 7",
        "no such thing",
    ] {
        printed(folder.path(), "a.db", 2, &["sql", attack]);
    }
    assert_eq!(
        printed(
            folder.path(),
            "a.db",
            0,
            &["--format", "csv", "sql", "SELECT COUNT(*) AS n FROM trials"]
        ),
        "n\n18\n"
    );
    printed(folder.path(), "missing.db", 3, &["sql", "SELECT 1"]);
    assert!(
        !folder.path().join("missing.db").exists(),
        "reading makes no database"
    );
}

#[tokio::test]
async fn an_export_taken_in_elsewhere_gives_the_same_results_once() {
    let folder = two_databases().await;
    let all = "SELECT identity, state, stop, last_epoch, train_loss, test_loss, test_error, dead_units, diverged, device FROM trials ORDER BY identity";
    let ours = printed(folder.path(), "a.db", 0, &["--format", "jsonl", "sql", all]);
    for file in ["results.parquet", "results.jsonl"] {
        printed(folder.path(), "a.db", 0, &["export", "hump", "--out", file]);
    }
    let first = printed(
        folder.path(),
        "b.db",
        0,
        &["--format", "csv", "import", "results.parquet"],
    );
    assert!(first.contains("added,18,"), "{first}");
    assert_eq!(
        printed(folder.path(), "b.db", 0, &["--format", "jsonl", "sql", all]),
        ours,
        "every bit came along"
    );
    let again = printed(
        folder.path(),
        "b.db",
        0,
        &["--format", "csv", "import", "results.jsonl"],
    );
    assert!(
        again.contains("same,18,") && !again.contains("added"),
        "{again}"
    );

    let text = std::fs::read_to_string(folder.path().join("results.jsonl")).expect("the export");
    let changed = text.replacen("\"last_epoch\":5", "\"last_epoch\":6", 1);
    std::fs::write(folder.path().join("changed.jsonl"), changed).expect("room");
    let different = printed(
        folder.path(),
        "b.db",
        1,
        &["--format", "csv", "import", "changed.jsonl"],
    );
    assert!(
        different.contains("different,1,") && different.contains("same,17,"),
        "{different}"
    );
    assert_eq!(
        printed(folder.path(), "b.db", 0, &["--format", "jsonl", "sql", all]),
        ours,
        "nothing changed"
    );

    let metrics = printed(
        folder.path(),
        "a.db",
        0,
        &["--format", "csv", "export", "hump", "--table", "metrics"],
    );
    assert!(
        metrics.starts_with("trial,epoch,split,name,value\n"),
        "{metrics}"
    );
    let export = ["export", "hump", "--table", "metrics", "--out"];
    printed(
        folder.path(),
        "a.db",
        0,
        &[&export[..], &["m.parquet"]].concat(),
    );
    let with = |results| ["import", results, "--metrics", "m.parquet"];
    printed(folder.path(), "b.db", 2, &with("changed.jsonl"));
    printed(folder.path(), "b.db", 0, &with("results.parquet"));
    let curves = "SELECT identity, epoch, split, name, value FROM metrics JOIN trials USING (trial) ORDER BY 1, 2, 3, 4";
    let curves = ["--format", "jsonl", "sql", curves];
    assert_eq!(
        printed(folder.path(), "b.db", 0, &curves),
        printed(folder.path(), "a.db", 0, &curves),
        "what was measured on the way came along"
    );
    printed(
        folder.path(),
        "a.db",
        2,
        &["export", "no-such-sweep", "--out", "x.csv"],
    );
    printed(
        folder.path(),
        "a.db",
        2,
        &["export", "hump", "--out", "x.txt"],
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .filter_map(Result::ok)
        .collect();
    assert!(
        left.iter()
            .all(|entry| !entry.file_name().to_string_lossy().contains("partial")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_trial_that_somebody_needs_or_trains_keeps_its_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = submitted(&format!("sqlite:{}", folder.path().join("c.db").display())).await;
    let memory: Arc<dyn Store> = submitted("memory:").await;
    for store in [sqlite, memory] {
        let session = SessionId([3; 16]);
        let new = NewSession {
            id: session,
            worker: "w".to_owned(),
            version: "test".to_owned(),
            device: "cpu".to_owned(),
            instruction_set: "avx2".to_owned(),
            slots: 0,
            memory: 1 << 30,
            data: vec![DATA],
            lease_until: NOW.plus_ms(60_000),
        };
        store.open_session(&new, NOW).await.expect("a session");
        let ask = Ask {
            session,
            request: RequestId([4; 16]),
            max_trials: 1,
            memory: 1 << 30,
            data: vec![DATA],
            samples: Vec::new(),
        };
        let held = store.claim(&ask, NOW).await.expect("a claim").claimed[0].identity;
        let import = |identity, result| {
            [ImportedResult {
                identity,
                result,
                measurements: Vec::new(),
            }]
        };
        let leased = store
            .import_results(&import(held, result(2, 0)), NOW)
            .await
            .expect("an answer");
        assert_eq!(leased, [Imported::Leased]);
        let unknown = store
            .import_results(&import(Identity([9; 16]), result(2, 0)), NOW)
            .await
            .expect("an answer");
        assert_eq!(unknown, [Imported::Unknown]);
        let added = store
            .import_results(&import(identity(64, 2), result(64, 2)), NOW)
            .await
            .expect("an answer");
        assert_eq!(added, [Imported::Added]);
        let twice = [
            import(identity(32, 1), result(32, 1)),
            import(identity(32, 1), result(32, 1)),
        ]
        .concat();
        assert_eq!(
            store.import_results(&twice, NOW).await.expect("an answer"),
            [Imported::Added, Imported::Same]
        );
        let sweep = store.sweep("hump").await.expect("a sweep").expect("hump");
        assert_eq!(
            sweep
                .counts
                .get(&descent_spec::state::TrialState::Succeeded),
            Some(&2),
            "counters follow"
        );
        store.close().await;
    }
}

#[tokio::test]
async fn a_sweep_is_drawn_and_described() {
    let folder = two_databases().await;
    let written = printed(
        folder.path(),
        "a.db",
        0,
        &["plot", "hump", "-o", "hump.svg"],
    );
    assert_eq!(written, "hump.svg\nhump.csv\n");
    let svg = std::fs::read_to_string(folder.path().join("hump.svg")).expect("a figure");
    assert!(
        svg.contains("n·K = 40,000") && svg.contains("training error reaches 0"),
        "thresholds are named"
    );
    let csv = std::fs::read_to_string(folder.path().join("hump.csv")).expect("its numbers");
    assert_eq!(csv.lines().count(), 1 + WIDTHS.len(), "{csv}");
    assert!(
        csv.lines()
            .nth(1)
            .expect("a row")
            .starts_with("4000,10,2,1600,3,1,"),
        "one of three diverged: {csv}"
    );
    printed(
        folder.path(),
        "a.db",
        0,
        &["plot", "hump", "-o", "other.png"],
    );
    assert!(folder.path().join("other.csv").exists() && !folder.path().join("other.svg").exists());
    printed(
        folder.path(),
        "a.db",
        2,
        &["plot", "hump", "-o", "other.pdf"],
    );
    printed(folder.path(), "b.db", 2, &["plot", "hump"]);

    let report = printed(folder.path(), "a.db", 0, &["report", "hump"]);
    for line in [
        "test loss: first minimum | 0.05050 | width 8",
        "test loss: hump | 0.08080 | width 16",
        "Beside the published",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}
