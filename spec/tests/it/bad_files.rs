//! Files with mistakes: every mistake at once, at its place, with the way out.
//!
//! `bad_files.txt` holds each file and its report. After a change of words, `DESCENT_BLESS=1 cargo test -p descent-spec`
//! writes the reports anew, to be read before they are committed.

use descent_spec::sweep::{MAX_FILE_BYTES, MAX_MISTAKES, Sweep};

use crate::samples::{HEAD, bless, data};

/// The rendered report of a file: of the file alone, or else of its points over the data.
fn report(file: &str) -> String {
    let mistakes = match Sweep::parse(file) {
        Err(mistakes) => mistakes,
        Ok(sweep) => sweep
            .grid(&data())
            .err()
            .unwrap_or_else(|| panic!("no mistake in:\n{file}")),
    };
    mistakes.to_string()
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let expected = include_str!("bad_files.txt");
    let mut found = String::new();
    for case in expected.split("=== ").skip(1) {
        let (kind, rest) = case.split_once('\n').expect("a kind");
        let (file, _) = rest.split_once("--- report\n").expect("a report");
        // The head has 8 lines; what stands behind it begins on line 9.
        let head = if kind == "file" { "" } else { HEAD };
        let report = report(&format!("{head}{file}"));
        found += &format!("=== {kind}\n{file}--- report\n{report}\n");
    }
    bless("tests/it/bad_files.txt", expected, &found);
}

#[test]
fn a_report_has_an_end() {
    let many: String = (0..MAX_MISTAKES + 20)
        .map(|i| format!("x{i} = 1\n"))
        .collect();
    let mistakes = Sweep::parse(&many).unwrap_err();
    assert_eq!(mistakes.list.len(), MAX_MISTAKES);
    assert!(
        mistakes
            .to_string()
            .ends_with(&format!("and {} more", mistakes.left_out))
    );
}

#[test]
fn everything_has_a_limit() {
    let too_much = |file: String, message: &str| {
        let report = report(&file);
        assert!(report.contains(message), "{message} is not in {report}");
    };
    too_much(
        format!("# {}\n", "x".repeat(MAX_FILE_BYTES)),
        "at most 1048576 bytes",
    );
    too_much(
        format!("name = \"{}\"\n", "a".repeat(58)),
        "1 to 57 lower-case letters",
    );
    let nested: String = (1..=9)
        .map(|i| format!("[[{}]]\n", vec!["block"; i].join(".")))
        .collect();
    too_much(format!("{HEAD}{nested}"), "blocks nest at most 8 deep");
    too_much(
        format!("{HEAD}{}", "[[block]]\n".repeat(65)),
        "at most 64 are allowed, found 65",
    );
    let when = |condition: String| format!("{HEAD}[[exclude]]\nwhen = \"{condition}width == 1\"\n");
    too_much(
        when("width == 1 or ".repeat(300)),
        "a condition has at most 4096 bytes",
    );
    too_much(
        when("not ".repeat(100)),
        "a condition nests at most 64 deep",
    );
    let brackets = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    too_much(
        format!("{HEAD}[axes]\nwidth = {brackets}\n"),
        "max recursion depth met",
    );
    let values: String = (0..1_000_001)
        .map(|i| format!("{},", i % 9))
        .take(200_000)
        .collect();
    too_much(
        format!("{HEAD}[axes]\nwidth = [{values}]\n"),
        "is listed twice",
    );
}
