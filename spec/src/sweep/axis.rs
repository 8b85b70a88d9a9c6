//! Axes: a setting and the values that it takes.

use std::ops::Range;
use std::sync::Arc;

use super::mistake::Report;
use super::read::{self, Entry};
use super::{form, suggest};
use crate::setting::{Key, SETTINGS, Setting};
use crate::value::Value;

/// A swept setting.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The setting.
    pub(crate) key: Key,
    /// Its values, in the order of the file, without repeats.
    pub(crate) values: Arc<[Value]>,
    /// Where its key stands in the file.
    pub(crate) span: Range<usize>,
    /// Where its values stand.
    pub(crate) values_span: Range<usize>,
}

/// Settings that move together: one, or the members of a `[[zip]]`. All have equally many values.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The settings.
    pub(crate) members: Vec<Member>,
}

impl Axis {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.members.first().map_or(0, |member| member.values.len())
    }

    /// Whether the setting moves along this axis.
    pub(crate) fn member(&self, key: Key) -> Option<&Member> {
        self.members.iter().find(|member| member.key == key)
    }
}

/// Reads one entry of `[axes]` or `[[zip]]`.
pub(crate) fn read(report: &mut Report<'_>, path: &str, entry: &Entry<'_, '_>) -> Option<Member> {
    let (name, span, item) = entry;
    let path = read::join(path, name);
    let Some(setting) = Setting::find(name) else {
        unknown_axis(report, &path, entry);
        return None;
    };
    if !setting.sweepable {
        report.add(
            span.clone(),
            &path,
            format!("`{name}` belongs to the whole sweep and has no axis"),
        );
        return None;
    }
    let before = report.len();
    let values = form::values(report, &path, setting, item)?;
    if report.len() > before {
        return None;
    }
    Some(Member {
        key: setting.key,
        values: values.into(),
        span: span.clone(),
        values_span: item.span(),
    })
}

fn unknown_axis(report: &mut Report<'_>, path: &str, entry: &Entry<'_, '_>) {
    let (name, span, item) = entry;
    let prefix = format!("{name}.");
    if item.get_ref().is_table()
        && SETTINGS
            .iter()
            .any(|setting| setting.name.starts_with(&prefix))
    {
        // `data.label_noise = […]` without quotes is a table `data` in TOML.
        let first = item
            .get_ref()
            .as_table()
            .and_then(|table| table.iter().next());
        let inner = first.map_or("…", |(key, _)| key.get_ref());
        report.add_with_help(
            span.clone(),
            path,
            format!("`{name}` is a group of settings, not a setting"),
            format!("put the dotted name in quotes: \"{prefix}{inner}\""),
        );
        return;
    }
    let names = SETTINGS.iter().filter(|setting| setting.sweepable);
    let help = suggest::did_you_mean(
        name,
        names.flat_map(|setting| setting.alias.into_iter().chain([setting.name])),
    );
    report.add_with_help(
        span.clone(),
        path,
        format!("there is no setting `{name}`"),
        help,
    );
}

/// The dotted name of the setting that an axis's name, right or wrong, was probably meant for.
pub(crate) fn meant(name: &str) -> &str {
    let names = || {
        SETTINGS
            .iter()
            .flat_map(|s| s.alias.into_iter().chain([s.name]))
    };
    let closest = Setting::find(name).or_else(|| Setting::find(suggest::closest(name, names())?));
    closest.map_or(name, |setting| setting.name)
}
