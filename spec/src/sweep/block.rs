//! The body of a sweep file and of its blocks: fixed settings, axes, and blocks for some points only.

use std::ops::Range;

use toml::de::DeTable;

use super::axis::{self, Axis};
use super::expression::{self, Condition};
use super::mistake::Report;
use super::read::{self, Entry, Item};
use crate::setting::{Key, SETTINGS, Setting};
use crate::value::Value;

/// Most blocks beside each other.
pub const MAX_BLOCKS: usize = 64;
/// Deepest nesting of blocks.
pub const MAX_BLOCK_DEPTH: usize = 8;
/// Most `[[zip]]` groups of one body, and most `[[exclude]]`.
pub const MAX_TABLES: usize = 256;

/// One value for all points of a body.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The setting.
    pub(crate) key: Key,
    /// Its value.
    pub(crate) value: Value,
    /// Where its key stands.
    pub(crate) span: Range<usize>,
    /// Where its value stands.
    pub(crate) value_span: Range<usize>,
}

/// The whole sweep (the root), or what holds for some of its points.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Dotted path in the file, empty for the root.
    pub(crate) path: String,
    /// For which points of the outer body; all when `None`.
    pub(crate) when: Option<Condition>,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// Its tables of settings, such as `train`, and where they stand.
    pub(crate) groups: Vec<(String, Range<usize>)>,
    /// Fixed settings.
    pub(crate) fixed: Vec<Given>,
    /// Settings that are given, but wrongly: noted already, and not to be called missing on top.
    pub(crate) broken: Vec<Key>,
    /// Axes in the order of the file.
    pub(crate) axes: Vec<Axis>,
    /// Blocks inside.
    pub(crate) blocks: Vec<Block>,
}

impl Block {
    pub(crate) fn new(path: String, span: Range<usize>) -> Self {
        Self {
            path,
            when: None,
            span,
            groups: Vec::new(),
            fixed: Vec::new(),
            broken: Vec::new(),
            axes: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// The keys that every body may have.
    pub(crate) const KEYS: [&'static str; 13] = [
        "data",
        "model",
        "mask",
        "subspace",
        "train",
        "evaluate",
        "code",
        "freedom",
        "robustness",
        "seed",
        "axes",
        "zip",
        "block",
    ];

    /// Reads one key of a body; false when it is not a body's.
    pub(crate) fn read_key(
        &mut self,
        report: &mut Report<'_>,
        entry: &Entry<'_, '_>,
        depth: usize,
    ) -> bool {
        let (name, span, item) = entry;
        let path = read::join(&self.path, name);
        match *name {
            "data" | "model" | "mask" | "subspace" | "train" | "evaluate" | "code" | "freedom"
            | "robustness" => {
                self.groups.push(((*name).to_owned(), span.clone()));
                match read::table(report, &path, item) {
                    Some(table) => self.settings(report, &path, name, table),
                    None => self.breaks(name),
                }
            }
            "seed" => self.setting(report, &path, Key::Seed.setting(), span.clone(), item),
            "axes" => {
                let Some(table) = read::table(report, &path, item) else {
                    self.breaks("");
                    return true;
                };
                for entry in read::entries(table) {
                    match axis::read(report, &path, &entry) {
                        Some(member) => self.axes.push(Axis {
                            members: vec![member],
                        }),
                        None => self.breaks(axis::meant(entry.0)),
                    }
                }
            }
            "zip" => {
                if !item.get_ref().is_array() {
                    self.breaks("");
                }
                for (span, table) in read::tables(report, &path, &path, item, MAX_TABLES) {
                    self.zip(report, &path, span, table);
                }
            }
            "block" => self.read_blocks(report, &path, item, depth),
            _ => return false,
        }
        true
    }

    /// Reads a table of fixed settings; `group` is its dotted name among the settings.
    fn settings(&mut self, report: &mut Report<'_>, path: &str, group: &str, table: &DeTable<'_>) {
        for (name, span, item) in read::entries(table) {
            let dotted = read::join(group, name);
            let path = read::join(path, name);
            let prefix = format!("{dotted}.");
            let is_group = SETTINGS
                .iter()
                .any(|setting| setting.name.starts_with(&prefix));
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == dotted) {
                self.setting(report, &path, setting, span, item);
            } else if is_group && item.get_ref().is_table() {
                if let Some(table) = item.get_ref().as_table() {
                    self.settings(report, &path, &dotted, table);
                }
            } else if is_group {
                let message = format!("expected a table, found {}", read::type_of(item.get_ref()));
                let help = format!("{name} = {{ kind = … }}");
                report.add_with_help(item.span(), &path, message, help);
                self.breaks(&dotted);
            } else {
                // A group such as `train.optimizer` before the settings in it.
                let groups = siblings(group)
                    .into_iter()
                    .map(|name| read::join(group, name));
                let known: Vec<String> = groups
                    .chain(SETTINGS.iter().map(|setting| setting.name.to_owned()))
                    .collect();
                let meant = super::suggest::closest(&dotted, known.iter().map(String::as_str));
                let help = match meant {
                    Some(meant) => {
                        self.breaks(meant);
                        format!("did you mean `{meant}`?")
                    }
                    None => format!("known here: {}", siblings(group).join(", ")),
                };
                report.add_with_help(span, &path, "this key is not known here", help);
            }
        }
    }

    fn setting(
        &mut self,
        report: &mut Report<'_>,
        path: &str,
        setting: &'static Setting,
        span: Range<usize>,
        item: &Item<'_>,
    ) {
        match read::value(report, path, setting.kind, item) {
            Some(value) => {
                let value_span = item.span();
                self.fixed.push(Given {
                    key: setting.key,
                    value,
                    span,
                    value_span,
                });
            }
            None => self.broken.push(setting.key),
        }
    }

    /// Marks the settings of a name or group (all, when empty) as given wrongly.
    pub(crate) fn breaks(&mut self, name: &str) {
        let prefix = format!("{name}.");
        let named = SETTINGS.iter().filter(|setting| {
            name.is_empty() || setting.name == name || setting.name.starts_with(&prefix)
        });
        self.broken.extend(named.map(|setting| setting.key));
    }

    /// Marks what an unknown key of this body was probably meant for.
    pub(crate) fn breaks_unknown(&mut self, name: &str) {
        match super::suggest::closest(name, Self::KEYS) {
            Some("axes" | "zip") => self.breaks(""),
            Some(group) => self.breaks(group),
            None => {}
        }
    }

    fn zip(
        &mut self,
        report: &mut Report<'_>,
        path: &str,
        span: Range<usize>,
        table: &DeTable<'_>,
    ) {
        let before = report.len();
        let members: Vec<_> = read::entries(table)
            .iter()
            .filter_map(|entry| axis::read(report, path, entry))
            .collect();
        if report.len() > before {
            for (name, ..) in read::entries(table) {
                self.breaks(axis::meant(name));
            }
            return;
        }
        if members.len() < 2 {
            let help = "one axis alone belongs under [axes]".to_owned();
            report.add_with_help(span, path, "a zip joins two axes or more", help);
            return;
        }
        let length = members[0].values.len();
        for member in &members[1..] {
            if member.values.len() != length {
                let message = format!(
                    "axes that move together have equally many values: `{}` has {length}, `{}` has {}",
                    members[0].key.setting().short(),
                    member.key.setting().short(),
                    member.values.len()
                );
                let help = "whole numbers that coincide after rounding are merged: list the values instead";
                let generated = members
                    .iter()
                    .any(|m| !report.source()[m.values_span.clone()].starts_with('['));
                report.add_with_help(
                    member.values_span.clone(),
                    &read::join(path, member.key.setting().short()),
                    message,
                    generated.then(|| help.to_owned()),
                );
                return;
            }
        }
        self.axes.push(Axis { members });
    }

    fn read_blocks(&mut self, report: &mut Report<'_>, path: &str, item: &Item<'_>, depth: usize) {
        if depth >= MAX_BLOCK_DEPTH {
            report.add(
                item.span(),
                path,
                format!("blocks nest at most {MAX_BLOCK_DEPTH} deep"),
            );
            return;
        }
        for (span, table) in read::tables(report, path, path, item, MAX_BLOCKS) {
            let mut block = Self::new(path.to_owned(), span);
            for entry in read::entries(table) {
                let (name, span, item) = &entry;
                if *name == "when" {
                    block.when = condition(report, &read::join(path, "when"), item);
                } else if !block.read_key(report, &entry, depth + 1) {
                    block.breaks_unknown(name);
                    let known = ["when"].into_iter().chain(Self::KEYS);
                    let path = read::join(path, name);
                    let help =
                        super::suggest::did_you_mean(name, known.clone()).unwrap_or_else(|| {
                            format!("known here: {}", known.collect::<Vec<_>>().join(", "))
                        });
                    report.add_with_help(span.clone(), &path, "this key is not known here", help);
                }
            }
            self.blocks.push(block);
        }
    }
}

/// Names of the settings and groups in a group.
fn siblings(group: &str) -> Vec<&'static str> {
    let prefix = format!("{group}.");
    let mut names: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|setting| setting.name.strip_prefix(&prefix)?.split('.').next())
        .collect();
    names.dedup();
    names
}

/// Reads the condition of a `when`; mistakes are placed inside the text where the file has it as it is.
pub(crate) fn condition(report: &mut Report<'_>, path: &str, item: &Item<'_>) -> Option<Condition> {
    let text = read::text(report, path, item)?;
    match expression::parse(text) {
        Ok(condition) => Some(condition),
        Err(flaws) => {
            let span = item.span();
            let raw = &report.source()[span.clone()];
            // Without escapes the text stands in the file as it is, after one or three quotes.
            let inside = raw.find(text).filter(|_| raw.len() <= text.len() + 7);
            for flaw in flaws {
                let span = match inside {
                    Some(at) => span.start + at + flaw.at.start..span.start + at + flaw.at.end,
                    None => span.clone(),
                };
                report.add_with_help(span, path, flaw.message, flaw.help);
            }
            None
        }
    }
}
