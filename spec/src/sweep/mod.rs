//! The sweep file: TOML in, a checked sweep or every mistake out.

mod axis;
mod block;
mod check;
pub(crate) mod expression;
mod form;
mod mistake;
mod path;
mod read;
mod run;
mod suggest;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

pub use block::{MAX_BLOCK_DEPTH, MAX_BLOCKS, MAX_TABLES};
pub use expression::MAX_CONDITION_BYTES;
pub use form::MAX_AXIS_VALUES;
pub use mistake::{MAX_MISTAKES, Mistake, Mistakes};
pub use run::{Artifacts, Order, RUN_SETTINGS, RunSetting, RunSettings};

pub(crate) use block::Block;
pub(crate) use check::{is_required, missing};
pub(crate) use mistake::Report;
pub(crate) use path::{Path, Source, each_path, may_apply, source};

use crate::data::KnownData;
use crate::grid::Grid;
use crate::setting::Key;
use crate::trial::Experiment;
use crate::value::Value;
use expression::Condition;
use read::Item;

/// Largest sweep file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Longest name of a sweep: its view `sweep_<name>` must fit PostgreSQL's 63 bytes.
pub const MAX_NAME_BYTES: usize = 57;

/// A sweep as its file describes it, checked as far as that goes without looking at data.
#[derive(Clone, Debug)]
pub struct Sweep {
    source: Arc<str>,
    name: String,
    experiment: Experiment,
    run: RunSettings,
    pub(crate) root: Block,
    pub(crate) exclude: Vec<Condition>,
    /// Where the excluding conditions stand.
    pub(crate) exclude_span: Option<Range<usize>>,
    /// The run setting that pins trials to CUDA, and where it stands.
    pub(crate) cuda_pin: Option<(&'static str, Range<usize>)>,
}

impl Sweep {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(source: &str) -> Result<Self, Mistakes> {
        let mut report = Report::new(source);
        if source.len() > MAX_FILE_BYTES {
            let message = format!(
                "a sweep file has at most {MAX_FILE_BYTES} bytes, this one {}",
                source.len()
            );
            report.add(0..0, "", message);
            return Err(report.finish().expect_err("a mistake was noted"));
        }
        let (table, errors) = DeTable::parse_recoverable(source);
        for error in &errors {
            let end = source.len();
            report.add(error.span().unwrap_or(end..end), "", error.message());
        }
        let syntax = report.len();
        let sweep = read_file(&mut report, source, table.get_ref());
        if syntax == 0 {
            check::check(&mut report, &sweep);
        } else {
            report.drop_consequences(syntax);
        }
        report.finish().map(|()| sweep)
    }

    /// The file's text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its name: lower-case letters, digits and hyphens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of question that it asks.
    #[must_use]
    pub const fn experiment(&self) -> Experiment {
        self.experiment
    }

    /// How it is carried out.
    #[must_use]
    pub const fn run(&self) -> &RunSettings {
        &self.run
    }

    /// The data sets that it names, sorted. Whoever submits it looks each of them up.
    #[must_use]
    pub fn data_sets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .root
            .everything(Key::DataDataset)
            .into_iter()
            .filter_map(|(value, _)| value.as_text())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The sweep's axes by the names that points and views use, the outermost first.
    #[must_use]
    pub fn axis_names(&self) -> Vec<&'static str> {
        fn collect(block: &Block, names: &mut Vec<&'static str>) {
            for member in block.axes.iter().flat_map(|axis| &axis.members) {
                let name = member.key.setting().short();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            for inner in &block.blocks {
                collect(inner, names);
            }
        }
        let mut names = Vec::new();
        collect(&self.root, &mut names);
        names
    }

    /// The sweep's points over known data.
    ///
    /// # Errors
    /// When a data set is unknown or has too few samples, a point describes no trial, or every point is excluded.
    pub fn grid(&self, data: &BTreeMap<String, KnownData>) -> Result<Grid, Mistakes> {
        Grid::new(self, data)
    }
}

impl Block {
    /// Every value that this body or one inside gives a setting, and where it stands.
    pub(crate) fn everything(&self, key: Key) -> Vec<(&Value, Range<usize>)> {
        let fixed = self
            .fixed
            .iter()
            .filter(|given| given.key == key)
            .map(|given| (&given.value, given.value_span.clone()));
        let swept = self
            .axes
            .iter()
            .filter_map(|axis| axis.member(key))
            .flat_map(|member| {
                member
                    .values
                    .iter()
                    .map(|value| (value, member.values_span.clone()))
            });
        let inner = self.blocks.iter().flat_map(|block| block.everything(key));
        fixed.chain(swept).chain(inner).collect()
    }
}

const TOP_KEYS: [&str; 4] = ["name", "experiment", "run", "exclude"];

fn read_file(report: &mut Report<'_>, source: &str, table: &DeTable<'_>) -> Sweep {
    let mut sweep = Sweep {
        source: source.into(),
        name: String::new(),
        experiment: Experiment::RiskCurve,
        run: RunSettings::default(),
        root: Block::new(String::new(), 0..0),
        exclude: Vec::new(),
        exclude_span: None,
        cuda_pin: None,
    };
    let mut named = false;
    for entry in read::entries(table) {
        let (key, span, item) = &entry;
        match *key {
            "name" => {
                named = true;
                sweep.name = read_name(report, item);
            }
            "experiment" => {
                let setting = Key::Experiment.setting();
                match read::value(report, "experiment", setting.kind, item) {
                    Some(value) => {
                        sweep.experiment = value
                            .as_text()
                            .and_then(Experiment::from_word)
                            .expect("the table lists every experiment");
                    }
                    None => sweep.root.broken.push(Key::Experiment),
                }
            }
            "run" => read_run(report, &mut sweep, item),
            "exclude" => {
                sweep.exclude_span = Some(span.clone());
                sweep.exclude = read_exclude(report, item);
            }
            _ => {
                if !sweep.root.read_key(report, &entry, 0) {
                    sweep.root.breaks_unknown(key);
                    let known = TOP_KEYS.into_iter().chain(Block::KEYS);
                    read::unknown_key(report, span.clone(), key, known);
                }
            }
        }
    }
    if !named {
        let help = "begin the file with: name = \"my-sweep\"".to_owned();
        report.add_with_help(0..0, "name", "the sweep has no name", help);
    }
    sweep
}

fn read_name(report: &mut Report<'_>, item: &Item<'_>) -> String {
    let Some(name) = read::text(report, "name", item) else {
        return String::new();
    };
    let fits = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        let message = format!(
            "a name is 1 to {MAX_NAME_BYTES} lower-case letters, digits and hyphens, a letter first"
        );
        let tidy: String = name
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .skip_while(|c| !c.is_ascii_lowercase())
            .take(MAX_NAME_BYTES)
            .collect();
        let help = (!tidy.is_empty()).then(|| format!("for example \"{tidy}\""));
        report.add_with_help(item.span(), "name", message, help);
    }
    name.to_owned()
}

fn read_run(report: &mut Report<'_>, sweep: &mut Sweep, item: &Item<'_>) {
    let Some(table) = read::table(report, "run", item) else {
        return;
    };
    for (key, span, item) in read::entries(table) {
        let path = read::join("run", key);
        match RUN_SETTINGS.iter().find(|row| row.name == key) {
            Some(row) => {
                if let Some(value) = read::value(report, &path, row.kind, item) {
                    let pinned = value.as_text().is_some_and(|text| text.starts_with("cuda"));
                    if pinned && matches!(row.name, "device" | "instruction_set") {
                        sweep.cuda_pin = Some((row.name, item.span()));
                    }
                    sweep.run.set(row, value);
                }
            }
            None => {
                let names = RUN_SETTINGS.iter().map(|row| row.name);
                read::unknown_key(report, span, &path, names);
            }
        }
    }
}

fn read_exclude(report: &mut Report<'_>, item: &Item<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (span, table) in read::tables(report, "exclude", "exclude", item, MAX_TABLES) {
        let mut found = false;
        for (key, span, item) in read::entries(table) {
            if key == "when" {
                found = true;
                conditions.extend(block::condition(report, "exclude.when", item));
            } else {
                read::unknown_key(report, span, &read::join("exclude", key), ["when"]);
            }
        }
        if !found {
            let help = "write when = \"width > 100 and seed > 2\"".to_owned();
            report.add_with_help(
                span,
                "exclude",
                "this excludes nothing: `when` is missing",
                help,
            );
        }
    }
    conditions
}
