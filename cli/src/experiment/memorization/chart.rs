//! The figure: learning curves, and what corrupted labels change.

use std::collections::BTreeMap;

use super::{Point, Task, is_held_back, joined, points};
use crate::experiment::Picture;
use crate::figure::{Along, Chart, Facet, Mean, Series, Spread, stack};
use crate::output::{Cell, Rows};
use crate::report::Measured;

pub(super) fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let points = points(answers);
    let seeds = points.iter().map(|point| point.seeds).max().unwrap_or(0);
    let charts = [
        learning(title, &points, &answers[1], seeds),
        corruption(title, &points, seeds),
    ];
    Ok(Picture {
        figure: stack(&charts)?,
        numbers: answers[0].clone(),
    })
}

/// Training loss against epochs: a curve for each kind of labels and images, of networks that nothing holds back.
fn learning(title: &str, points: &[Point], metrics: &Rows, seeds: i64) -> Chart {
    let mut curves: BTreeMap<BTreeMap<String, String>, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
    for row in &metrics.rows {
        let cell = |name: &str| metrics.column(name).map(|place| &row[place]);
        let axes = crate::experiment::axes(cell("axes").and_then(Cell::text).unwrap_or("{}"));
        let (Some(epoch), Some(value)) = (
            cell("epoch").and_then(Cell::int),
            cell("value").and_then(Cell::number),
        ) else {
            continue;
        };
        let losses = curves.entry(axes).or_default();
        losses.entry(epoch).or_default().push(value);
    }
    let plain = |point: &&Point| {
        let rank = !matches!(point.task, Task::Corrupted(_) | Task::Mixed);
        rank && !is_held_back(point)
    };
    let mut series: Vec<Series> = Vec::new();
    for point in points.iter().filter(plain) {
        let name = joined(point.task.words(), &point.besides);
        let losses = curves.get(&point.axes).into_iter().flatten();
        let means = losses.filter_map(|(&epoch, values)| {
            let spread = Spread::of(values)?;
            Some(Mean {
                x: epoch.max(1) as f64,
                y: spread.mean,
                band: (spread.n > 1).then_some((spread.min, spread.max)),
            })
        });
        // Blocks may come by the same point more than once.
        if !series.iter().any(|series| series.name == name) {
            series.push(Series {
                name,
                dashed: false,
                points: means.collect(),
            });
        }
    }
    Chart {
        title: title.to_owned(),
        aside: format!("training loss; mean of {seeds} seeds, band from least to greatest"),
        x: ("epoch".to_owned(), Along::Log),
        facets: vec![Facet {
            y: ("training loss".to_owned(), Along::FromZero),
            height: 210.0,
            series,
            levels: vec![(0.1, "0.1".to_owned())],
        }],
        marks: Vec::new(),
    }
}

/// Time to fit, and test error, against the share of labels that are corrupted.
fn corruption(title: &str, points: &[Point], seeds: i64) -> Chart {
    let mut names: Vec<&str> = Vec::new();
    for point in points {
        let corrupted = matches!(point.task, Task::Corrupted(_));
        if corrupted && !names.contains(&point.besides.as_str()) {
            names.push(&point.besides);
        }
    }
    let curve = |name: &&str, value: &dyn Fn(&Point) -> Option<Measured>| {
        let mut means: Vec<Mean> = Vec::new();
        let own = points.iter().filter(|point| point.besides == **name);
        for (x, measured) in own.filter_map(|point| Some((point.task.corruption()?, value(point)?)))
        {
            if !means.iter().any(|mean| mean.x == x) {
                means.push(Mean {
                    x,
                    y: measured.mean,
                    band: (measured.n > 1)
                        .then_some((measured.mean - measured.sd, measured.mean + measured.sd)),
                });
            }
        }
        means.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series {
            name: if name.is_empty() {
                "networks that nothing holds back".to_owned()
            } else {
                (*name).to_owned()
            },
            dashed: false,
            points: means,
        }
    };
    let facet = |label: &str, value: &dyn Fn(&Point) -> Option<Measured>| Facet {
        y: (label.to_owned(), Along::FromZero),
        height: 150.0,
        series: names.iter().map(|name| curve(name, value)).collect(),
        levels: Vec::new(),
    };
    Chart {
        title: format!("{title}: corrupted labels"),
        aside: format!("mean of {seeds} seeds, band one standard deviation"),
        x: ("share of corrupted labels".to_owned(), Along::Linear),
        facets: vec![
            facet("epochs until all are fitted", &|point| point.fit),
            facet("test error", &|point| point.test_error),
        ],
        marks: Vec::new(),
    }
}
