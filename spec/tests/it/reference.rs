//! The reference in the docs: its tables come from the code, and its examples are read by the parser.

use descent_spec::reference;
use descent_spec::sweep::Sweep;

use crate::samples::{HEAD, bless, data};

const DOCS: &str = include_str!("../../../docs/sweep-file.md");

/// The text with what stands between two marks replaced.
fn with(text: &str, mark: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {mark} -->\n"),
        format!("<!-- end of {mark} -->"),
    );
    let from = text.find(&begin).expect("the docs have the mark") + begin.len();
    let to = text.find(&end).expect("the docs have the end of the mark");
    format!("{}\n{table}\n{}", &text[..from], &text[to..])
}

#[test]
fn tables_are_those_of_the_code() {
    let generated = with(DOCS, "settings", &reference::settings());
    let generated = with(&generated, "run settings", &reference::run_settings());
    bless("../docs/sweep-file.md", DOCS, &generated);
}

#[test]
fn examples_are_sweep_files() {
    let mut whole = 0;
    let mut parts = 0;
    for example in DOCS.split("```toml\n").skip(1) {
        let (example, _) = example.split_once("```").expect("an example ends");
        // An example with a name is a whole file; others stand behind a head.
        let file = if example.contains("name = ") {
            whole += 1;
            example.to_owned()
        } else {
            parts += 1;
            format!("{HEAD}{example}")
        };
        let grid = Sweep::parse(&file).and_then(|sweep| sweep.grid(&data()));
        let grid = grid.unwrap_or_else(|mistakes| panic!("{mistakes}\nin\n{file}"));
        assert!(grid.count() > 0);
    }
    assert!(
        whole >= 1 && parts >= 7,
        "{whole} whole files, {parts} parts"
    );
}
