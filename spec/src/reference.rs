//! The tables of settings as Markdown, for the reference in the docs.

use std::fmt::Write as _;

use crate::setting::{Applies, Fallback, SETTINGS};
use crate::sweep::RUN_SETTINGS;

/// One row for each setting: name, type and bounds, default, where it means something, meaning.
#[must_use]
pub fn settings() -> String {
    let mut text = "| setting | short name | value | default | means something where | meaning |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for setting in &SETTINGS {
        let default = match setting.fallback {
            Fallback::Required => "must be given".to_owned(),
            Fallback::RequiredWhere(condition) => format!("must be given where {condition}"),
            Fallback::All => "all".to_owned(),
            Fallback::Absent => "none".to_owned(),
            fallback => fallback
                .value()
                .map_or_else(String::new, |value| format!("`{value}`")),
        };
        let alias = setting
            .alias
            .map_or_else(String::new, |alias| format!("`{alias}`"));
        let applies = match setting.applies {
            Applies::Always => String::new(),
            applies => applies.to_string(),
        };
        let unit = match setting.unit {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        // A bar would end the cell.
        let doc = setting.doc.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {alias} | {}{unit} | {default} | {applies} | {doc} |",
            setting.name, setting.kind
        );
    }
    text
}

/// One row for each key of `[run]`.
#[must_use]
pub fn run_settings() -> String {
    let mut text = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for row in &RUN_SETTINGS {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            row.name, row.kind, row.default, row.doc
        );
    }
    text
}
