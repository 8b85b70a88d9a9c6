//! Lottery tickets: accuracy and early stop against density, controls beside the tickets.

use std::collections::{BTreeMap, BTreeSet};

use descent_spec::details::{Details, EarlyStop};

use super::{Picture, Shown};
use crate::figure::{Along, Chart, Facet, Mean, Series, Spread, words};
use crate::output::{Cell, Form, Rows};
use crate::report::{Expected, Measured, Quantity, Report};

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture,
    report,
};

const PAPER: &str = "Frankle & Carbin 2019, quoted by an independent re-run";
/// Largest relative distance of a density from the one that a number is published for.
const SAME_DENSITY: f64 = 0.04;

fn queries(sweep: &str) -> Vec<String> {
    vec![format!(
        "SELECT density, seed, axes, params, details, test_error FROM results WHERE sweep = {sweep} ORDER BY trial"
    )]
}

/// One trained network.
#[derive(Clone)]
struct Trained {
    density: f64,
    seed: i64,
    accuracy: f64,
    early: Option<EarlyStop>,
}

impl Trained {
    fn early_step(&self) -> Option<f64> {
        self.early.as_ref().map(|early| early.step as f64)
    }

    fn early_accuracy(&self) -> Option<f64> {
        let error = self.early.as_ref().and_then(|early| early.test_error)?;
        Some(1.0 - error)
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "one of several values, of which some are not there"
    )]
    fn accuracy(&self) -> Option<f64> {
        Some(self.accuracy)
    }
}

/// One of the values of a network that are shown.
type Value = fn(&Trained) -> Option<f64>;

/// Networks that differ in density and seed alone: tickets, or a control. The dense network is part of each.
struct Ladder {
    /// `ticket`, `reinit`, `random` or `sign`.
    control: String,
    /// What else tells it from others.
    label: String,
    trained: Vec<Trained>,
}

impl Ladder {
    fn name(&self) -> String {
        let control = match self.control.as_str() {
            "ticket" => "ticket: set back",
            "reinit" => "same mask, drawn anew",
            "random" => "random mask",
            "sign" => "same mask and signs, drawn anew",
            other => other,
        };
        if self.label.is_empty() {
            control.to_owned()
        } else {
            format!("{control}, {}", self.label)
        }
    }

    /// Values by descending density.
    fn points(&self, value: Value) -> Vec<(f64, Spread)> {
        let mut densities: Vec<f64> = self.trained.iter().map(|one| one.density).collect();
        densities.sort_by(|a, b| b.total_cmp(a));
        densities.dedup();
        let point = |density: f64| {
            let here = self.trained.iter().filter(|one| one.density == density);
            let values: Vec<f64> = here.filter_map(value).collect();
            Some((density, Spread::of(&values)?))
        };
        densities.into_iter().filter_map(point).collect()
    }

    /// A value by seed, the mean over draws, at the density that is nearest to a published one.
    fn at(&self, density: f64, value: Value) -> BTreeMap<i64, f64> {
        let distance = |one: &Trained| (one.density / density - 1.0).abs();
        let distances = self.trained.iter().map(distance);
        let nearest = distances.fold(f64::INFINITY, f64::min);
        let mut seeds: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        if nearest <= SAME_DENSITY {
            for one in self.trained.iter().filter(|one| distance(one) <= nearest) {
                seeds.entry(one.seed).or_default().extend(value(one));
            }
        }
        let mean = |values: &[f64]| Spread::of(values).map(|spread| spread.mean);
        let seeds = seeds.into_iter();
        seeds
            .filter_map(|(seed, values)| Some((seed, mean(&values)?)))
            .collect()
    }
}

fn ladders(rows: &Rows) -> Vec<Ladder> {
    let mut dense: BTreeMap<String, Vec<Trained>> = BTreeMap::new();
    // By network, by what is done to it, and by control.
    let mut ladders: BTreeMap<(String, String, usize), Vec<Trained>> = BTreeMap::new();
    let order = ["ticket", "reinit", "random", "sign"];
    for row in &rows.rows {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let params = super::axes(cell("params").text().unwrap_or("{}"));
        let mut axes = super::axes(cell("axes").text().unwrap_or("{}"));
        axes.retain(|axis, _| !matches!(axis.as_str(), "level" | "control" | "mask.draw"));
        let (pruning, network): (BTreeMap<_, _>, BTreeMap<_, _>) = axes
            .into_iter()
            .partition(|(axis, _)| axis.starts_with("mask."));
        let (network, pruning) = (words(&network), words(&pruning));
        let (Some(density), Some(error)) = (cell("density").number(), cell("test_error").number())
        else {
            continue;
        };
        let trained = Trained {
            density,
            seed: cell("seed").int().unwrap_or(0),
            accuracy: 1.0 - error,
            early: match Details::from_json(cell("details").text().unwrap_or_default()) {
                Ok(Details::EarlyStop(early)) => Some(early),
                _ => None,
            },
        };
        let level = params.get("mask.level").map_or("1", String::as_str);
        if !params.contains_key("mask.kind") || level == "0" {
            dense.entry(network).or_default().push(trained);
            continue;
        }
        let control = params.get("mask.control").map_or("ticket", String::as_str);
        let control = order.iter().position(|word| *word == control).unwrap_or(0);
        let key = (network, pruning, control);
        ladders.entry(key).or_default().push(trained);
    }
    let ladder =
        |((network, pruning, control), mut trained): ((String, String, usize), Vec<Trained>)| {
            trained.extend(dense.get(&network).into_iter().flatten().cloned());
            let parts = [network, pruning];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Ladder {
                control: order[control].to_owned(),
                label: parts.join(", "),
                trained,
            }
        };
    ladders.into_iter().map(ladder).collect()
}

fn facet(ladders: &[Ladder], (label, height): (&str, f64), scale: f64, value: Value) -> Facet {
    let mean = |(density, spread): (f64, Spread)| Mean {
        x: 100.0 * density,
        y: scale * spread.mean,
        band: (spread.n > 1).then_some((
            scale * (spread.mean - spread.sd),
            scale * (spread.mean + spread.sd),
        )),
    };
    let series = ladders.iter().map(|ladder| Series {
        name: ladder.name(),
        dashed: false,
        points: ladder.points(value).into_iter().map(mean).collect(),
    });
    let dense = ladders.iter().flat_map(|ladder| &ladder.trained);
    let dense = dense.filter(|one| one.density == 1.0).filter_map(value);
    let dense = Spread::of(&dense.collect::<Vec<_>>());
    Facet {
        y: (label.to_owned(), Along::Linear),
        height,
        series: series.collect(),
        levels: dense
            .map(|dense| (scale * dense.mean, "dense".to_owned()))
            .into_iter()
            .collect(),
    }
}

fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let ladders = ladders(&answers[0]);
    let all = || ladders.iter().flat_map(|ladder| &ladder.trained);
    let seeds: BTreeSet<i64> = all().map(|one| one.seed).collect();
    let end = ("accuracy at the end, %", 190.0);
    let mut facets = vec![facet(&ladders, end, 100.0, Trained::accuracy)];
    if all().any(|one| one.early.is_some()) {
        let early = ("accuracy at early stop, %", 190.0);
        facets.insert(0, facet(&ladders, early, 100.0, Trained::early_accuracy));
        let step = ("early stop, steps", 150.0);
        facets.push(facet(&ladders, step, 1.0, Trained::early_step));
    }
    let chart = Chart {
        title: title.to_owned(),
        aside: format!(
            "test samples, mean of {} seeds, band of one standard deviation",
            seeds.len()
        ),
        x: ("weights remaining, %".to_owned(), Along::LogReversed),
        facets,
        marks: Vec::new(),
    };
    Ok(Picture {
        figure: chart.draw()?,
        numbers: numbers(&ladders),
    })
}

fn numbers(ladders: &[Ladder]) -> Rows {
    let mut rows = Rows::new([
        ("curve", Form::Text),
        ("density", Form::Share),
        ("n", Form::Count),
        ("accuracy_mean", Form::Share),
        ("accuracy_sd", Form::Number),
        ("accuracy_at_early_stop_mean", Form::Share),
        ("accuracy_at_early_stop_sd", Form::Number),
        ("early_stop_step_mean", Form::Number),
        ("early_stop_step_sd", Form::Number),
    ]);
    for ladder in ladders {
        let early = ladder.points(Trained::early_accuracy);
        let steps = ladder.points(Trained::early_step);
        for (density, spread) in ladder.points(Trained::accuracy) {
            let at = |points: &[(f64, Spread)]| {
                let found = points.iter().find(|(here, _)| *here == density);
                found.map(|(_, spread)| (spread.mean, spread.sd)).unzip()
            };
            let ((early, early_sd), (step, step_sd)) = (at(&early), at(&steps));
            rows.push([
                ladder.name().into(),
                Cell::Real(density),
                spread.n.into(),
                Cell::Real(spread.mean),
                Cell::Real(spread.sd),
                early.into(),
                early_sd.into(),
                step.into(),
                step_sd.into(),
            ]);
        }
    }
    rows
}

fn report(title: &str, answers: &[Rows]) -> Report {
    let ladders = ladders(&answers[0]);
    let mut quantities = Vec::new();
    for ticket in ladders.iter().filter(|ladder| ladder.control == "ticket") {
        let same = |ladder: &&Ladder| ladder.control == "reinit" && ladder.label == ticket.label;
        quantities.extend(claims(ticket, ladders.iter().find(same)));
    }
    Report {
        title: title.to_owned(),
        about: "Accuracies on the test samples: at the step with the least validation loss, found after the fact, and at the end of training. A density is the share of \
                weights that a mask keeps; biases are never pruned. Means over seeds."
            .to_owned(),
        tables: vec![("Measured".to_owned(), numbers(&ladders))],
        quantities,
        remarks: vec![
            "The published numbers are of the network 784-300-100-10 on MNIST: 55,000 images, 50,000 steps of 60. Their effects are of the size of the spread between \
             seeds: an independent re-run of the same protocol found the early stop 21 % earlier at 21.1 % (46.7, 0.0, −2.6, 44.7, 18.2 on its seeds), not 38 %."
                .to_owned(),
        ],
    }
}

/// Two values of the same seed, put together.
fn paired(
    one: &BTreeMap<i64, f64>,
    other: &BTreeMap<i64, f64>,
    of: fn(f64, f64) -> f64,
) -> Vec<f64> {
    let both = one
        .iter()
        .filter_map(|(seed, one)| Some(of(*one, *other.get(seed)?)));
    both.collect()
}

const SPREAD: &str = "0.38 points: spread of the dense accuracy between the re-run's seeds";
const STOPS: &str = "0.24: standard deviation between the re-run's seeds";

/// What is published of the ladder. Tolerances were set before any run of this program.
fn claims(ticket: &Ladder, reinit: Option<&Ladder>) -> Vec<Quantity> {
    let claim = |name: &str, (value, tolerance): (f64, f64), reason, values: &[f64]| Quantity {
        name: if ticket.label.is_empty() {
            name.to_owned()
        } else {
            format!("{name}, {}", ticket.label)
        },
        expected: Expected::Near { value, tolerance },
        source: PAPER,
        reason,
        measured: Measured::of(values),
    };
    let step = |density| ticket.at(density, Trained::early_step);
    let early = |density| ticket.at(density, Trained::early_accuracy);
    let end = |density| ticket.at(density, Trained::accuracy);
    let points: fn(f64, f64) -> f64 = |one, other| 100.0 * (one - other);
    let earlier: fn(f64, f64) -> f64 = |here, dense| 1.0 - here / dense.max(1.0);
    let mean = |values: BTreeMap<i64, f64>| {
        Spread::of(&values.into_values().collect::<Vec<_>>()).map(|spread| spread.mean)
    };
    let means = mean(step(0.211)).zip(mean(step(1.0)));
    let ratio: Vec<f64> = means
        .map(|(here, dense)| earlier(here, dense))
        .into_iter()
        .collect();
    let mut claims = vec![
        claim(
            "early stop at 21.1 % of the weights comes earlier by the share (mean of ratios)",
            (0.38, 0.24),
            STOPS,
            &paired(&step(0.211), &step(1.0), earlier),
        ),
        claim("the same (ratio of means)", (0.38, 0.24), STOPS, &ratio),
        claim(
            "accuracy at the early stop, 13.5 % minus dense, in points",
            (0.3, 0.38),
            SPREAD,
            &paired(&early(0.135), &early(1.0), points),
        ),
        claim(
            "accuracy at the early stop, 3.6 % minus dense, in points",
            (0.0, 0.38),
            SPREAD,
            &paired(&early(0.036), &early(1.0), points),
        ),
        claim(
            "accuracy at the end, 13.5 % minus dense, in points",
            (0.35, 0.38),
            SPREAD,
            &paired(&end(0.135), &end(1.0), points),
        ),
    ];
    let Some(reinit) = reinit else {
        return claims;
    };
    let drawn = reinit.at(0.211, Trained::early_accuracy);
    let wins = paired(&early(0.211), &drawn, |one, other| {
        f64::from(u8::from(one > other))
    });
    let mut won = claim(
        "share of seeds whose ticket beats the same mask drawn anew at 21.1 %",
        (1.0, 0.0),
        "none: it did on every seed there",
        &wins,
    );
    won.expected = Expected::AtLeast(1.0);
    won.source = "independent re-run of Frankle & Carbin 2019";
    claims.push(won);
    claims.push(claim(
        "accuracy at the early stop at 21.1 %, ticket minus drawn anew, in points",
        (0.5, 0.38),
        SPREAD,
        &paired(&early(0.211), &drawn, points),
    ));
    claims.push(claim(
        "early stop at 21.1 %, drawn anew over ticket",
        (2.51, 0.6),
        "0.6: the re-run found 1.94",
        &paired(
            &reinit.at(0.211, Trained::early_step),
            &step(0.211),
            |one, other| one / other.max(1.0),
        ),
    ));
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rows: &mut Rows, density: f64, seed: i64, mask: Option<&str>, error: f64, step: u64) {
        let details = Details::EarlyStop(EarlyStop {
            step,
            steps: 1000,
            validation_loss: Some(0.1),
            validation_error: Some(error),
            test_loss: Some(0.1),
            test_error: Some(error),
        });
        let params = mask.map_or("{}".to_owned(), |control| {
            format!(r#"{{"mask.kind":"magnitude","mask.level":7,"mask.control":"{control}"}}"#)
        });
        let control = mask.unwrap_or("ticket");
        rows.push([
            Cell::Real(density),
            Cell::Int(seed),
            format!(r#"{{"level":7,"control":"{control}","seed":{seed}}}"#).into(),
            params.into(),
            details.to_json().into(),
            Cell::Real(error + 0.001),
        ]);
    }

    fn answers() -> Vec<Rows> {
        let mut rows = Rows::new([
            ("density", Form::Share),
            ("seed", Form::Count),
            ("axes", Form::Json),
            ("params", Form::Json),
            ("details", Form::Json),
            ("test_error", Form::Share),
        ]);
        for seed in 0..2 {
            row(&mut rows, 1.0, seed, None, 0.020, 500);
            row(&mut rows, 0.2108, seed, Some("ticket"), 0.017, 310);
            row(&mut rows, 0.2108, seed, Some("reinit"), 0.022, 750);
        }
        vec![rows]
    }

    #[test]
    fn tickets_and_controls_are_curves_that_begin_at_the_dense_network() {
        let picture = picture("ladder", &answers()).expect("six results");
        let svg = picture.figure.svg();
        for text in [
            "ticket: set back",
            "same mask, drawn anew",
            "weights remaining",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        // Two curves of two densities each.
        assert_eq!(picture.numbers.rows.len(), 4);
    }

    #[test]
    fn the_report_compares_seed_by_seed() {
        let report = report("ladder", &answers());
        let text = report.markdown();
        for line in [
            "| early stop at 21.1 % of the weights comes earlier by the share (mean of ratios) | 0.3800 ± 0.2400 |",
            "| share of seeds whose ticket beats the same mask drawn anew at 21.1 % | ≥ 1 |",
            "not measured",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let measured = |name: &str| {
            let mut all = report.quantities.iter();
            let found = all.find(|quantity| quantity.name.starts_with(name));
            found
                .and_then(|quantity| quantity.measured)
                .map(|measured| measured.mean)
        };
        let near = |found: Option<f64>, expected: f64| {
            found.is_some_and(|found| (found - expected).abs() < 1e-9)
        };
        assert!(near(measured("early stop at 21.1 % of"), 0.38));
        assert!(near(measured("accuracy at the early stop at 21.1 %"), 0.5));
        assert!(near(measured("share of seeds"), 1.0));
        assert!(measured("accuracy at the end, 13.5 %").is_none());
    }
}
