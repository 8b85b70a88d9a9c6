//! Anything may come in: texts of every kind are answered with a sweep or with mistakes, never with a panic.

use descent_spec::sweep::Sweep;
use proptest::prelude::*;

use crate::samples::{HEAD, data};

/// Reads a text and, if it is a sweep, some of its points.
fn survive(text: &str) {
    match Sweep::parse(text) {
        Err(mistakes) => {
            assert!(!mistakes.list.is_empty());
            for mistake in &mistakes.list {
                assert!(mistake.line >= 1 && mistake.column >= 1);
                assert!(text.get(mistake.span.clone()).is_some(), "{mistake:?}");
            }
            assert!(!mistakes.to_string().is_empty());
        }
        Ok(sweep) => {
            if let Ok(grid) = sweep.grid(&data()) {
                for rank in (0..grid.raw_points()).take(20) {
                    let _ = grid.point(rank);
                }
            }
        }
    }
}

/// Words and signs that sweep files are made of, so that random texts get far.
pub(crate) const WORDS: &[&str] = &[
    "name",
    "=",
    "\"a\"",
    "\n",
    "[axes]\n",
    "[[zip]]\n",
    "[[block]]\n",
    "[[block.block]]\n",
    "[[exclude]]\n",
    "[run]\n",
    "[data]\n",
    "[train]\n",
    "[model]\n",
    "[evaluate]\n",
    "when",
    "axes",
    "width",
    "depth",
    "seed",
    "lr",
    "samples",
    "momentum",
    "label_noise",
    "optimizer",
    "kind",
    "epochs",
    "weight_reuse",
    "\"always\"",
    "\"sgd\"",
    "\"adam\"",
    "\"mnist-4k\"",
    "dataset",
    "[1, 2, 3]",
    "[0.1, 0.5]",
    "{ count = 3 }",
    "{ log = [1, 100], points = 5 }",
    "{ range = [1, 9], step = 2 }",
    "[]",
    "{}",
    "{",
    "}",
    "[",
    "]",
    ",",
    "1",
    "0",
    "-1",
    "1e9",
    "0.5",
    "inf",
    "nan",
    "\"width > 1\"",
    "\"not (seed == 1 or\"",
    "'''",
    "\"",
    "'",
    "#",
    ".",
    "\"model.width\"",
    "max_points",
    "order",
    "\"listed\"",
    "experiment",
    "\"random-features\"",
    "\"relu-features\"",
    "ü",
];

/// Words and signs of conditions.
const CONDITION: &[&str] = &[
    "width",
    "loss",
    "seed",
    "(",
    ")",
    "not",
    "and",
    "or",
    "==",
    "<",
    ">=",
    "!=",
    "3",
    "1e5",
    "-2",
    "'squared'",
    "true",
    "data.centre",
    "é",
    "=",
    "3.1.2",
    "'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC*") {
        survive(&text);
    }

    #[test]
    fn any_bytes_that_are_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..60), behind in any::<bool>()) {
        let head = if behind { HEAD } else { "" };
        survive(&format!("{head}{}", words.join(" ").replace("\n ", "\n")));
    }

    #[test]
    fn any_condition(words in prop::collection::vec(prop::sample::select(CONDITION), 0..20)) {
        survive(&format!("{HEAD}[[exclude]]\nwhen = \"\"\"{}\"\"\"\n", words.join(" ")));
    }

    #[test]
    fn any_cut_or_change_of_a_sound_file(at in 0_usize..400, length in 0_usize..20, put in "\\PC{0,3}") {
        let file = format!("{HEAD}[axes]\nwidth = {{ log = [3, 1000], points = 9 }}\nseed = {{ count = 5 }}\n\
            [[zip]]\nbatch = [10, 20]\nlr = [0.1, 0.2]\n[[block]]\nwhen = \"width > 10\"\naxes = {{ depth = [1, 2] }}\n\
            [[exclude]]\nwhen = \"width > 100 and data.label_noise == 0\"\n[run]\npriority = 3\n");
        let keep = |byte: usize| (0..=byte.min(file.len())).rev().find(|at| file.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (keep(at), keep(at + length));
        survive(&format!("{}{put}{}", &file[..from], &file[to..]));
    }
}
