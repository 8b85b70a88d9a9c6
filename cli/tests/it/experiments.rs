//! Every experiment's own sweep file, end to end on a tiny sample: trained, queried, drawn, reported.

use crate::harness::{Sandbox, stderr};

/// A sweep file of the tree with some of its lines replaced.
fn shrunk(file: &str, lines: &[(&str, &str)]) -> String {
    let path = format!("{}/../sweeps/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (from, to) in lines {
        assert!(text.contains(from), "{file} has no line `{from}`");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn expressivity() {
    for (file, name, samples) in [
        (
            "expressivity.toml",
            "expressivity",
            "samples = [1, 10, 100, 300, 1000, 4000]",
        ),
        (
            "paper/expressivity.toml",
            "paper-expressivity",
            "samples = [1, 100, 10000, 60000]",
        ),
    ] {
        let sandbox = Sandbox::new();
        let text = shrunk(
            file,
            &[
                (samples, "samples = [1, 30]"),
                ("test_samples = 1000", "test_samples = 20"),
                ("count = 3", "count = 2"),
            ],
        );
        sandbox.file("sweep.toml", &text.replace("\"mnist\"", "\"mnist-4k\""));
        sandbox.ok("run sweep.toml --workers 1");
        let lost = sandbox.ok(
            "--format csv sql SELECT(SUM(misfits_max)),MIN(exact_share),MIN(parameters),MAX(parameters)FROM(expressivity)WHERE(precision='double-double')",
        );
        assert_eq!(lost.lines().nth(1), Some("0,1.0,786,844"), "{lost}");
        let report = sandbox.ok(&format!("report {name}"));
        assert!(report.contains("| 30 | 844 | 2 | all | 0 |"), "{report}");
        assert!(
            report.contains("Theorem 1 | none: the theorem is exact | 1 | 0 | 2 | yes |"),
            "{report}"
        );
        for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
            assert!(sandbox.path(&file).exists(), "{file}");
        }
    }
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_is() {
    let sandbox = Sandbox::new();
    let table = [
        (
            "samples = [1, 10, 100, 300, 1000, 4000]",
            "samples = [1, 4001]",
            "has 4000",
        ),
        (
            "precision = [\"f32\",",
            "precision = [\"f16\",",
            "double-double",
        ),
        (
            "kind = \"interpolator\"",
            "kind = \"mlp\"",
            "does not go with",
        ),
        ("[axes]", "[axes]\nwidth = [3]", "no effect"),
        (
            "labels = [\"true\", \"random\"]",
            "labels = [\"random\"]\nlabel_noise = [0.1]",
            "no effect",
        ),
    ];
    for (from, to, told) in table {
        sandbox.file("bad.toml", &shrunk("expressivity.toml", &[(from, to)]));
        let output = sandbox.run("plan bad.toml");
        let words = stderr(&output)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(2), "{to}: {words}");
        assert!(words.contains(told), "{to}: {words}");
    }
}
