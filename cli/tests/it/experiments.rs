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
fn lottery_ticket() {
    for (file, name) in [
        ("lottery-ticket.toml", "lottery-ticket"),
        ("paper/lottery-ticket.toml", "paper-lottery-ticket"),
    ] {
        let is_paper = name.starts_with("paper");
        let text = shrunk(
            file,
            &[
                if is_paper {
                    ("samples = 55000", "samples = 60\ntest_samples = 20")
                } else {
                    ("samples = 3500", "samples = 60")
                },
                if is_paper {
                    ("validation = 5000", "validation = 20")
                } else {
                    ("validation = 500", "validation = 20")
                },
                (
                    if is_paper {
                        "epochs = 55"
                    } else {
                        "epochs = 12"
                    },
                    "epochs = 4",
                ),
                (
                    if is_paper {
                        "every = 100"
                    } else {
                        "every = 20"
                    },
                    "every = 2",
                ),
                ("batch = 60", "batch = 20"),
                ("shape = \"300-100\"", "shape = \"12-8\""),
                (
                    if is_paper {
                        "range = [0, 20]"
                    } else {
                        "range = [0, 16]"
                    },
                    "range = [0, 2]",
                ),
                (
                    if is_paper { "count = 5" } else { "count = 3" },
                    "count = 2",
                ),
            ],
        );
        let text = text.replace("test_samples = 4000", "test_samples = 20");
        let sandbox = Sandbox::new();
        sandbox.file("sweep.toml", &text.replace("\"mnist\"", "\"mnist-4k\""));
        sandbox.ok("run sweep.toml --workers 2");
        // 784·12 + 12·8 + 8·10 weights, of which 0.64 and 0.81 remain after two levels.
        let rows = sandbox.ok(
            "--format csv sql SELECT(control),(level),(n),(early_stop_step_mean),(density)FROM(lottery_ticket)WHERE(level)=2",
        );
        let lines: Vec<&str> = rows.lines().skip(1).collect();
        let draws = if is_paper { 6 } else { 2 };
        let expected = format!("reinit,2,{draws},");
        assert!(
            lines.iter().any(|line| line.starts_with(&expected)),
            "{rows}"
        );
        assert!(
            lines.iter().any(|line| line.starts_with("ticket,2,2,")),
            "{rows}"
        );
        let report = sandbox.ok(&format!("report {name}"));
        assert!(report.contains("same mask, drawn anew"), "{report}");
        for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
            assert!(sandbox.path(&file).exists(), "{file}");
        }
        sandbox.ok(&format!("verify {name}"));
    }
}

#[test]
fn intrinsic_dimension() {
    let shrink = |file: &str, lines: &[(&str, &str)]| {
        let mut all = vec![
            ("epochs = 60", "epochs = 3"),
            ("samples = 4000\ntest", "samples = 60\ntest"),
            ("test_samples = 4000", "test_samples = 30"),
            ("shape = [\"64-64\", \"128\"]", "shape = [\"6-5\", \"7\"]"),
            ("count = 3", "count = 2"),
        ];
        all.extend(lines);
        shrunk(file, &all)
    };
    let grid = shrink(
        "intrinsic-dimension.toml",
        &[("500, 750, 1000, 1500]", "500]")],
    );
    let search = shrink(
        "intrinsic-dimension-search.toml",
        &[
            ("dim = 4000", "dim = 1000"),
            ("range = [0, 7]", "range = [0, 3]"),
        ],
    );
    let sandbox = Sandbox::new();
    for (file, name, text, points) in [
        ("grid.toml", "intrinsic-dimension", grid, 6),
        ("search.toml", "intrinsic-search", search, 3),
    ] {
        sandbox.file(file, &text);
        sandbox.ok(&format!("run {file} --workers 2"));
        let rows = sandbox.ok(&format!(
            "--format csv sql SELECT(COUNT(DISTINCT(dim))),MIN(baseline_mean)FROM(intrinsic_dimension)WHERE(sweep)='{name}'AND(dim)>0"
        ));
        let count: i64 = rows
            .lines()
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(count >= points, "{rows}");
        let report = sandbox.ok(&format!("report {name}"));
        assert!(report.contains("D = 4805, sparse"), "{report}");
        for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
            assert!(sandbox.path(&file).exists(), "{file}");
        }
    }
    // The networks themselves are trained once for both.
    let shared = sandbox
        .ok("--format csv sql SELECT(COUNT(DISTINCT(trial)))FROM(trials)WHERE(subspace_dim)=0");
    assert_eq!(shared.lines().nth(1), Some("4"), "{shared}");
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

/// Runs a sweep file of the tree on a small sample; its report.
fn small(sandbox: &Sandbox, file: &str, name: &str, lines: &[(&str, &str)]) -> String {
    let text = shrunk(file, lines);
    sandbox.file("sweep.toml", &text.replace("\"mnist\"", "\"mnist-4k\""));
    sandbox.ok("run sweep.toml --workers 1");
    for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
        assert!(sandbox.path(&file).exists(), "{file}");
    }
    sandbox.ok(&format!("verify {name}"));
    sandbox.ok(&format!("report {name}"))
}

#[test]
fn description_length() {
    let sandbox = Sandbox::new();
    let report = small(
        &sandbox,
        "description-length.toml",
        "description-length",
        &[
            ("test_samples = 1000", "test_samples = 20\nsamples = 40"),
            ("width = 100", "width = 5"),
            ("epochs = 12", "epochs = 2"),
            ("steps = 400", "steps = 12"),
            ("[0, 500]", "[0, 20]"),
            ("count = 3", "count = 2"),
        ],
    );
    let blocks = sandbox.ok(
        "--format csv sql SELECT(COUNT(*)),MIN(n),MAX(sent),SUM(block_samples)FROM(description_length_blocks)WHERE(labels='true')",
    );
    // Blocks end at 8, 16, 32 and 40 labels; in and out of a subspace.
    assert_eq!(blocks.lines().nth(1), Some("8,2,32,80"), "{blocks}");
    for words in [
        "| two-part-quantised |",
        "| intrinsic-dimension |",
        "| prequential |",
    ] {
        assert!(report.contains(words), "{words} is not in {report}");
    }
    assert!(report.contains("counting bound"), "{report}");
    for (file, name) in [
        ("paper/description-length.toml", "paper-description-length"),
        (
            "paper/description-length-conv.toml",
            "paper-description-length-conv",
        ),
    ] {
        let sandbox = Sandbox::new();
        let (model, small_model) = match name {
            "paper-description-length" => ("\"256-256\"", "\"4-3\""),
            _ => ("[0, 290]", "[0, 9]\nwidth = [1]"),
        };
        let lines = [
            (
                "dataset = \"mnist\"",
                "dataset = \"mnist\"\nsamples = 20\ntest_samples = 9",
            ),
            (model, small_model),
            ("epochs = 12", "epochs = 2"),
            ("steps = 500", "steps = 2"),
            ("count = 3", "count = 1"),
        ];
        let report = small(&sandbox, file, name, &lines);
        assert!(report.contains("| prequential |"), "{report}");
    }
}

#[test]
fn degrees_of_freedom() {
    let sandbox = Sandbox::new();
    let report = small(
        &sandbox,
        "degrees-of-freedom.toml",
        "degrees-of-freedom",
        &[
            ("samples = 500", "samples = 32\ntest_samples = 20"),
            ("draws = 256", "draws = 16"),
            ("epochs = 100", "epochs = 3"),
            ("[2, 5, 10, 20, 50, 100]", "[2, 3]"),
        ],
    );
    let exact = sandbox.ok(
        "--format csv sql SELECT(COUNT(*)),MAX(ABS(freedom_mean/closed_form_mean-1))<1e-6,MAX(ridge)FROM(degrees_of_freedom)WHERE(model='linear')",
    );
    assert!(
        exact
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("5,1,1000")),
        "{exact}"
    );
    assert!(
        report.contains("estimate ÷ closed form, linear, ridge 10.0"),
        "{report}"
    );
    let sandbox = Sandbox::new();
    let lines = [
        ("samples = 10000", "samples = 30\ntest_samples = 9"),
        ("epochs = 100", "epochs = 2"),
        ("draws = 5", "draws = 2"),
        ("count = 3", "count = 1"),
        (
            "\"100\", \"91-91\", \"78-78-78-78\", \"250\", \"200-200\", \"157-157-157-157\"",
            "\"4\"",
        ),
    ];
    let file = "paper/degrees-of-freedom.toml";
    let report = small(&sandbox, file, "paper-degrees-of-freedom", &lines);
    assert!(report.contains("(as many parameters)"), "{report}");
}

#[test]
fn codes_and_repeated_fits_that_cannot_be_are_refused_with_the_way_out() {
    let sandbox = Sandbox::new();
    let codes = "description-length.toml";
    let freedom = "degrees-of-freedom.toml";
    let table = [
        (
            codes,
            "loss = \"cross-entropy\"\n",
            "",
            "loss = \"cross-entropy\" under [train]",
        ),
        (
            codes,
            "first = 8",
            "first = 4000",
            "takes 4000 samples, and there are 4000",
        ),
        (
            codes,
            "points = 16",
            "spread = \"end\"",
            "only the last is measured",
        ),
        (codes, "holdout = 0.2", "holdout = 1.0", "to below 1.0"),
        (codes, "holdout = 0.2", "holdout = 0.0", "code.patience"),
        (codes, "[0, 500]", "[0, 80000]", "asks for 80000 dimensions"),
        (
            codes,
            "kind = \"mlp\"",
            "kind = \"linear\"",
            "does not go with",
        ),
        (
            freedom,
            "loss = \"squared\"",
            "loss = \"cross-entropy\"",
            "real-valued targets",
        ),
        (
            freedom,
            "epochs = 100 }",
            "epochs = 100, stop_at_zero_error = \"always\" }",
            "must not end earlier",
        ),
        (freedom, "epsilon = 0.01", "epsilon = 0.0", "above 0.0"),
        (freedom, "draws = 5", "draws = 0", "from 1"),
    ];
    for (file, from, to, told) in table {
        sandbox.file("bad.toml", &shrunk(file, &[(from, to)]));
        let output = sandbox.run("plan bad.toml");
        let words = stderr(&output)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(2), "{to}: {words}");
        assert!(words.contains(told), "{to}: {words}");
    }
}

#[test]
fn layer_robustness() {
    for (file, name, checkpoints, seeds) in [
        ("layer-robustness.toml", "layer-robustness", "0,1,2", 3),
        (
            "paper/layer-robustness.toml",
            "paper-layer-robustness",
            "0,1,2",
            5,
        ),
        (
            "paper/layer-robustness-article.toml",
            "paper-layer-robustness-article",
            "0",
            5,
        ),
    ] {
        let sandbox = Sandbox::new();
        let text = shrunk(file, &[(&format!("count = {seeds}"), "count = 2")]);
        let mut short = String::new();
        for line in text.lines() {
            let line = match line.split(" = ").next().unwrap_or_default() {
                "dataset" => "dataset = \"mnist-4k\"\nsamples = 60\ntest_samples = 20",
                "samples" | "test_samples" => continue,
                "epochs" => "epochs = 2",
                "checkpoints" => &format!("checkpoints = \"{checkpoints}\""),
                "tested" => "tested = \"1\"",
                "shape" => "shape = [\"6-5\"]",
                _ => line,
            };
            short += line;
            short += "\n";
        }
        sandbox.file("sweep.toml", &short);
        sandbox.ok("run sweep.toml --workers 1");
        let rows = sandbox.ok(
            "--format csv sql SELECT(COUNT(*)),MIN(n),MAX(layer),COUNT(checkpoint),MIN(distance_l2_mean)FROM(layer_robustness)",
        );
        // Three layers, set back and drawn anew; the article's also after an epoch.
        let (all, set_back) = if checkpoints == "0" { (12, 6) } else { (12, 9) };
        let found = rows.lines().nth(1).unwrap_or_default();
        assert!(
            found.starts_with(&format!("{all},2,2,{set_back},")),
            "{rows}"
        );
        let report = sandbox.ok(&format!("report {name}"));
        assert!(report.contains("set back to before training"), "{report}");
        sandbox.ok(&format!("verify {name}"));
        for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
            assert!(sandbox.path(&file).exists(), "{file}");
        }
    }
}

#[test]
fn memorization() {
    for (file, name) in [
        ("memorization.toml", "memorization"),
        ("paper/memorization.toml", "paper-memorization"),
    ] {
        let sandbox = Sandbox::new();
        let text = shrunk(file, &[("count = 3", "count = 2")]);
        let mut short = String::new();
        for line in text.lines() {
            let line = match line.split(" = ").next().unwrap_or_default() {
                "dataset" => {
                    "dataset = \"mnist-4k\"\nsamples = 40\nvalidation = 20\ntest_samples = 20"
                }
                "samples" | "validation" | "test_samples" => continue,
                "epochs" => "epochs = 25",
                "width" => "width = 20",
                "shape" => "shape = [\"20\"]",
                _ => line,
            };
            short += line;
            short += "\n";
        }
        sandbox.file("sweep.toml", &short);
        sandbox.ok("run sweep.toml --workers 2");
        let shown = sandbox.ok(
            "--format csv sql SELECT(inputs),MIN(n),MIN(fitted_share),MIN(fit_step_mean/fit_epoch_mean)FROM(memorization)WHERE(label_noise=0.0)AND(labels='true')AND(weight_decay=0.0)GROUP/**/BY(inputs)ORDER/**/BY(inputs)",
        );
        let inputs: Vec<&str> = shown
            .lines()
            .skip(1)
            .filter_map(|line| line.split(',').next())
            .collect();
        assert_eq!(
            inputs,
            ["gaussian", "random-pixels", "shuffled", "true"],
            "{shown}"
        );
        let report = sandbox.ok(&format!("report {name}"));
        assert!(report.contains("random labels: test error"), "{report}");
        for file in ["svg", "png", "csv"].map(|ending| format!("{name}.{ending}")) {
            assert!(sandbox.path(&file).exists(), "{file}");
        }
    }
}

#[test]
fn what_layers_and_regularisers_cannot_do_is_refused_before_anything_is_trained() {
    let sandbox = Sandbox::new();
    let layers = "layer-robustness.toml";
    let memory = "memorization.toml";
    let checkpoints = "checkpoints = \"0,1,2,3,8,20,40,60\"";
    let table = [
        (
            layers,
            checkpoints,
            "checkpoints = \"0,61\"",
            "training ends after 60",
        ),
        (layers, checkpoints, "checkpoints = \"3,1\"", "ascending"),
        (layers, checkpoints, "", "robustness.checkpoints"),
        (
            layers,
            "kind = \"mlp\"",
            "kind = \"interpolator\"",
            "does not go with",
        ),
        (memory, "validation = 500", "", "holds none out"),
        (memory, "shift = [2]", "shift = [28]", "28 by 28"),
        (memory, "dropout = [0.5]", "dropout = [1.0]", "below 1"),
        (memory, "\"gaussian\"", "\"normal\"", "random-pixels"),
    ];
    for (file, from, to, told) in table {
        sandbox.file("bad.toml", &shrunk(file, &[(from, to)]));
        let output = sandbox.run("plan bad.toml");
        let words = stderr(&output)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(2), "{to}: {words}");
        assert!(words.contains(told), "{to}: {words}");
    }
}
