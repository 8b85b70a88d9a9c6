//! Verify, backup and collection: what is whole is called whole, what is damaged is named.

use std::path::{Path, PathBuf};

use crate::harness::{SMALL, Sandbox};

/// A sandbox with a finished sweep of seconds.
fn finished() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", &SMALL.replace("epochs = 600", "epochs = 6"));
    sandbox.ok("run sweep.toml --workers 2 --progress none --no-figure");
    sandbox
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_file_and_a_missing_one_are_found() {
    let sandbox = finished();
    sandbox.ok("verify small");
    let stored = files(&sandbox.path("descent.db.artifacts"));
    assert_eq!(stored.len(), 16, "one weights file a trial");
    let mut bytes = std::fs::read(&stored[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&stored[0], bytes).unwrap();
    std::fs::remove_file(&stored[1]).unwrap();
    let output = sandbox.run("--format csv verify small");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("files match their hashes,16,2"), "{told}");
    assert!(told.contains("counters equal rows,16,0"), "{told}");
}

#[test]
fn an_edited_file_says_what_it_adds_keeps_and_removes_and_does_it() {
    let sandbox = finished();
    let edited = SMALL
        .replace("epochs = 600", "epochs = 6")
        .replace("width = [1, 3, 8, 40]", "width = [1, 3, 8, 9, 10]");
    sandbox.file("sweep.toml", &edited);
    let answer = "sweep,added,kept,removed\nsmall,8,12,4\n";
    assert_eq!(
        sandbox.ok("--format csv submit sweep.toml --dry-run"),
        answer
    );
    let refused = sandbox.run("submit sweep.toml");
    assert_eq!(refused.status.code(), Some(2));
    let told = crate::harness::stderr(&refused);
    for part in ["lost 4 of the points", "added 8, kept 12", "--yes"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(
        sandbox
            .ok("--format csv status small")
            .contains("small,finished,16,16,16")
    );
    assert_eq!(sandbox.ok("--format csv submit sweep.toml --yes"), answer);
    sandbox.ok("run sweep.toml --workers 2 --progress none --no-figure");
    assert!(
        sandbox
            .ok("--format csv status small")
            .contains("small,finished,20,20,20")
    );
    sandbox.ok("verify small");
}

#[test]
fn a_backup_is_whole_and_never_overwrites() {
    let sandbox = finished();
    sandbox.ok("db backup copy");
    sandbox.ok("--db sqlite:copy/descent.db verify");
    assert_eq!(
        sandbox.numbers("sqlite:copy/descent.db"),
        sandbox.numbers("sqlite:descent.db")
    );
    assert_eq!(sandbox.run("db backup copy").status.code(), Some(2));
}

#[test]
fn deleting_a_sweep_leaves_files_for_the_collection() {
    let sandbox = finished();
    let refused = sandbox.run("delete small");
    assert_eq!(refused.status.code(), Some(2), "deleting asks first");
    sandbox.ok("db gc");
    assert_eq!(
        files(&sandbox.path("descent.db.artifacts")).len(),
        16,
        "what is in use stays"
    );
    sandbox.ok("delete small --yes");
    sandbox.ok("db gc");
    assert_eq!(
        files(&sandbox.path("descent.db.artifacts")),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn pause_holds_back_resume_lets_go_cancel_gives_up_rerun_tries_again() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("submit sweep.toml");
    let state = |line: &str| sandbox.ok(&format!("--format csv {line}"));
    assert!(state("pause small").contains("small,paused"));
    assert!(state("resume small").contains("small,running"));
    let cancelled = state("cancel small");
    assert!(cancelled.contains("small,cancelled"), "{cancelled}");
    assert!(
        state("explain 1").starts_with("attempt,"),
        "no attempt was made, only the header is there"
    );
    assert_eq!(state("rerun small --missing"), "sweep,trials\nsmall,16\n");
    assert!(state("status small").contains("small,running"));
}
