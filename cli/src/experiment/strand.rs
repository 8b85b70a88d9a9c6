//! Risk curves along something else than the size of a model: the number of samples, or the epoch of one training.

use std::collections::BTreeMap;

use super::Picture;
use crate::figure::{
    Along, Chart, Facet, Hump, Mean, Measured, Number, Series, Spread, shape, words,
};
use crate::output::{Cell, Form, Rows, number};
use crate::report::Report;

/// What risk curves run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Against {
    /// Trained numbers of a model (or random features): model-wise.
    Parameters,
    /// Training samples: sample-wise.
    Samples,
    /// Epochs of one training: epoch-wise.
    Epoch,
}

/// A curve: results that differ in nothing but where they lie and in their seeds.
pub(crate) struct Strand {
    /// The axes that tell it from the others, as words.
    label: String,
    /// Where training samples times outputs meet the parameters, if that lies along it.
    threshold: Option<f64>,
    /// Its points, ascending.
    points: Vec<Point>,
}

struct Point {
    at: f64,
    n: usize,
    /// Mean and standard deviation of each number.
    numbers: BTreeMap<Number, (f64, f64)>,
}

const NUMBERS: [Number; 4] = [
    Number::TestLoss,
    Number::TestError,
    Number::TrainLoss,
    Number::TrainError,
];

/// Strands along the number of training samples.
pub(crate) fn by_samples(results: &[Measured]) -> Vec<Strand> {
    let mut groups: BTreeMap<(String, u64, u64), BTreeMap<u64, Vec<&Measured>>> = BTreeMap::new();
    for result in results {
        let mut axes = result.axes.clone();
        axes.retain(|axis, _| axis.rsplit('.').next() != Some("samples"));
        axes.insert("width".to_owned(), result.width.to_string());
        groups
            .entry((words(&axes), result.parameters, result.outputs))
            .or_default()
            .entry(result.samples)
            .or_default()
            .push(result);
    }
    let strand = |((label, parameters, outputs), sizes): (
        (String, u64, u64),
        BTreeMap<u64, Vec<&Measured>>,
    )| {
        let points = sizes.into_iter().map(|(samples, seeds)| Point {
            at: samples as f64,
            n: seeds.len(),
            numbers: spreads(&seeds),
        });
        Strand {
            label,
            threshold: (outputs > 0).then(|| parameters as f64 / outputs as f64),
            points: points.collect(),
        }
    };
    ordered(groups.into_iter().map(strand).collect())
}

/// Strands along the epoch, from rows of `risk_curve_by_epoch`.
pub(crate) fn by_epoch(rows: &Rows) -> Vec<Strand> {
    let mut strands: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for row in &rows.rows {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let Some(epoch) = cell("epoch").number().filter(|epoch| *epoch > 0.0) else {
            continue;
        };
        let mut axes = super::axes(cell("axes").text().unwrap_or("{}"));
        if let Some(width) = cell("width").int().filter(|width| *width > 0) {
            axes.insert("width".to_owned(), width.to_string());
        }
        let number = |which: Number| {
            let mean = cell(&format!("{}_mean", which.column())).number()?;
            let sd = cell(&format!("{}_sd", which.column())).number();
            Some((which, (mean, sd.unwrap_or(0.0))))
        };
        strands.entry(words(&axes)).or_default().push(Point {
            at: epoch,
            n: cell("n")
                .int()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0),
            numbers: NUMBERS.into_iter().filter_map(number).collect(),
        });
    }
    let strand = |(label, mut points): (String, Vec<Point>)| {
        points.sort_by(|a, b| a.at.total_cmp(&b.at));
        Strand {
            label,
            threshold: None,
            points,
        }
    };
    ordered(strands.into_iter().map(strand).collect())
}

fn spreads(seeds: &[&Measured]) -> BTreeMap<Number, (f64, f64)> {
    let spread = |which: Number| {
        let values: Vec<f64> = seeds
            .iter()
            .filter_map(|seed| seed.numbers.get(&which).copied())
            .collect();
        Spread::of(&values).map(|spread| (which, (spread.mean, spread.sd)))
    };
    NUMBERS.into_iter().filter_map(spread).collect()
}

/// By the numbers in their labels, then by the labels.
fn ordered(mut strands: Vec<Strand>) -> Vec<Strand> {
    let key = |strand: &Strand| -> Vec<f64> {
        let numbers = strand.label.split([' ', ',']);
        numbers.filter_map(|word| word.parse().ok()).collect()
    };
    strands.sort_by(|a, b| {
        let (left, right) = (key(a), key(b));
        let numbers = left.iter().zip(&right).map(|(a, b)| a.total_cmp(b));
        numbers
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then_with(|| a.label.cmp(&b.label))
    });
    strands
}

impl Strand {
    fn means(&self, which: Number) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points
            .filter_map(|point| Some((point.at, point.numbers.get(&which)?.0)))
            .collect()
    }

    fn series(&self, which: Number, dashed: bool) -> Series {
        let mean = |point: &Point| {
            let (mean, sd) = *point.numbers.get(&which)?;
            Some(Mean {
                x: point.at,
                y: mean,
                band: (!dashed && point.n > 1).then_some((mean - sd, mean + sd)),
            })
        };
        Series {
            name: self.label.clone(),
            dashed,
            points: self.points.iter().filter_map(mean).collect(),
        }
    }
}

fn axis(against: Against) -> &'static str {
    match against {
        Against::Parameters => "number of parameters",
        Against::Samples => "training samples n",
        Against::Epoch => "epochs",
    }
}

/// The figure: loss above error, test solid and training dashed.
pub(crate) fn picture(
    title: &str,
    against: Against,
    strands: &[Strand],
) -> Result<Picture, String> {
    let facet = |label: &str, test, train, height| Facet {
        y: (label.to_owned(), Along::FromZero),
        height,
        series: strands
            .iter()
            .flat_map(|strand| [strand.series(test, false), strand.series(train, true)])
            .collect(),
        levels: Vec::new(),
    };
    let mut marks: Vec<(f64, String)> = Vec::new();
    for (at, strand) in strands
        .iter()
        .filter_map(|strand| Some((strand.threshold?, strand)))
    {
        let ends = (strand.points.first(), strand.points.last());
        if let (Some(first), Some(last)) = ends
            && (first.at..=last.at).contains(&at)
            && marks.iter().all(|(other, _)| *other != at)
        {
            marks.push((at, "n·K = parameters".to_owned()));
        }
    }
    let seeds = strands
        .iter()
        .flat_map(|strand| &strand.points)
        .map(|point| point.n);
    let chart = Chart {
        title: title.to_owned(),
        aside: format!(
            "test solid, training dashed; up to {} seeds, band ± 1 standard deviation",
            seeds.max().unwrap_or(0)
        ),
        x: (axis(against).to_owned(), Along::Log),
        facets: vec![
            facet("loss", Number::TestLoss, Number::TrainLoss, 225.0),
            facet(
                "zero-one error",
                Number::TestError,
                Number::TrainError,
                165.0,
            ),
        ],
        marks,
    };
    Ok(Picture {
        figure: chart.draw()?,
        numbers: numbers(against, strands),
    })
}

fn numbers(against: Against, strands: &[Strand]) -> Rows {
    let position = if against == Against::Epoch {
        "epoch"
    } else {
        "samples"
    };
    let mut columns = vec![
        ("curve".to_owned(), Form::Text),
        (position.to_owned(), Form::Count),
        ("n".to_owned(), Form::Count),
    ];
    for which in NUMBERS {
        columns.extend(
            ["mean", "sd"].map(|part| (format!("{}_{part}", which.column()), Form::Number)),
        );
    }
    let mut rows = Rows::of(columns);
    for strand in strands {
        for point in &strand.points {
            let mut row: Vec<Cell> = vec![
                strand.label.as_str().into(),
                (point.at as u64).into(),
                point.n.into(),
            ];
            for which in NUMBERS {
                let spread = point.numbers.get(&which);
                row.extend(spread.map_or([Cell::Null, Cell::Null], |(mean, sd)| {
                    [Cell::Real(*mean), Cell::Real(*sd)]
                }));
            }
            rows.rows.push(row);
        }
    }
    rows
}

/// The report: minimum, hump and end of every curve.
pub(crate) fn report(title: &str, against: Against, strands: &[Strand]) -> Report {
    let mut rows = Rows::new([
        ("curve", Form::Text),
        ("first minimum of test loss", Form::Text),
        ("hump", Form::Text),
        ("last", Form::Text),
        ("hump ÷ first minimum", Form::Number),
        ("last ÷ hump", Form::Number),
    ]);
    for strand in strands {
        let Some(shape) = shape(&strand.means(Number::TestLoss)) else {
            continue;
        };
        let at = |(place, value): (f64, f64)| Cell::Text(format!("{} @ {place}", number(value)));
        let hump = shape.hump.as_ref();
        rows.push([
            strand.label.as_str().into(),
            hump.map(|hump| at(hump.first_minimum))
                .unwrap_or(Cell::Null),
            hump.map_or("none".into(), |hump| at(hump.top)),
            at(shape.last),
            hump.map(Hump::rise).into(),
            hump.map(|hump| shape.last.1 / hump.top.1).into(),
        ]);
    }
    Report {
        title: title.to_owned(),
        about: format!(
            "Test loss (mean over samples, outputs and seeds) along the {}.",
            axis(against)
        ),
        tables: vec![("Measured".to_owned(), rows)],
        quantities: Vec::new(),
        remarks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(samples: u64, test_loss: f64) -> Measured {
        Measured {
            width: 10,
            parameters: 1_000,
            samples,
            outputs: 10,
            axes: [("samples".to_owned(), samples.to_string())].into(),
            numbers: [(Number::TestLoss, test_loss)].into(),
            ..Measured::default()
        }
    }

    #[test]
    fn more_samples_can_hurt_and_the_report_says_where() {
        let results = [
            result(10, 0.9),
            result(50, 0.5),
            result(100, 0.75),
            result(100, 0.85),
            result(1_000, 0.2),
        ];
        let strands = by_samples(&results);
        assert_eq!(strands.len(), 1);
        let text = report("samples", Against::Samples, &strands).markdown();
        let line = "| width 10 | 0.5000 @ 50 | 0.8000 @ 100 | 0.2000 @ 1000 | 1.600 | 0.2500 |";
        assert!(text.contains(line), "{text}");
        let picture = picture("samples", Against::Samples, &strands).expect("four points");
        assert!(picture.figure.svg().contains("n·K = parameters"));
        assert_eq!(picture.numbers.rows.len(), 4);
    }

    #[test]
    fn epochs_are_points_of_the_curve_of_their_axes() {
        let mut rows = Rows::new([
            ("axes", Form::Json),
            ("width", Form::Count),
            ("epoch", Form::Count),
            ("n", Form::Count),
            ("test_loss_mean", Form::Number),
            ("test_loss_sd", Form::Number),
        ]);
        for (width, epoch, loss) in [(3, 10, 0.2), (3, 1, 0.4), (20, 1, 0.3), (3, 0, 0.9)] {
            rows.push([
                format!(r#"{{"width":{width}}}"#).into(),
                Cell::Int(width),
                Cell::Int(epoch),
                Cell::Int(2),
                Cell::Real(loss),
                Cell::Real(0.01),
            ]);
        }
        let strands = by_epoch(&rows);
        let labels: Vec<&str> = strands.iter().map(|strand| strand.label.as_str()).collect();
        assert_eq!(labels, ["width 3", "width 20"]);
        assert_eq!(
            strands[0].means(Number::TestLoss),
            [(1.0, 0.4), (10.0, 0.2)],
            "what was measured before training has no place on a log axis"
        );
    }
}
