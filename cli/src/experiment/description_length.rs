//! Codes of labels: how long each is, and how the prequential one grows as labels are sent.

use super::{Picture, Shown};
use crate::figure::{Along, Chart, Facet, Mean, Series};
use crate::output::{Cell, Form, Rows, number};
use crate::report::{Expected, Measured, Quantity, Report};

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture,
    report,
};

const TABLE_1: &str = "Blier & Ollivier 2018, Table 1";

fn queries(sweep: &str) -> Vec<String> {
    vec![
        format!("SELECT * FROM description_length WHERE sweep = {sweep}"),
        format!("SELECT * FROM description_length_blocks WHERE sweep = {sweep} ORDER BY sent"),
        format!("SELECT MIN(params) AS params FROM results WHERE sweep = {sweep}"),
    ]
}

/// A row of a view.
struct Row<'a> {
    rows: &'a Rows,
    cells: &'a [Cell],
}

fn rows(rows: &Rows) -> impl Iterator<Item = Row<'_>> {
    rows.rows.iter().map(move |cells| Row { rows, cells })
}

impl Row<'_> {
    fn cell(&self, name: &str) -> &Cell {
        let place = self.rows.column(name);
        place.map_or(&Cell::Null, |place| &self.cells[place])
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.cell(name).number()
    }

    fn text(&self, name: &str) -> &str {
        self.cell(name).text().unwrap_or_default()
    }

    /// What tells its point from others.
    fn label(&self) -> String {
        crate::figure::words(&super::axes(self.text("axes")))
    }

    fn measured(&self, number: &str) -> Option<Measured> {
        Some(Measured {
            mean: self.number(&format!("{number}_mean"))?,
            sd: self.number(&format!("{number}_sd")).unwrap_or(0.0),
            n: usize::try_from(self.cell("n").int()?).ok()?,
        })
    }

    fn mean(&self, x: f64, number: &str, scale: f64) -> Option<Mean> {
        let y = self.number(&format!("{number}_mean"))? * scale;
        let sd = self.number(&format!("{number}_sd"));
        Some(Mean {
            x,
            y,
            band: sd.map(|sd| (y - sd * scale, y + sd * scale)),
        })
    }
}

/// Adds a point to the curve of its name.
fn add(series: &mut Vec<Series>, name: &str, dashed: bool, point: Option<Mean>) {
    let at = match series.iter().position(|series| series.name == name) {
        Some(at) => at,
        None => {
            series.push(Series {
                name: name.to_owned(),
                dashed,
                points: Vec::new(),
            });
            series.len() - 1
        }
    };
    series[at].points.extend(point);
}

fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let (codes, blocks) = (&answers[0], &answers[1]);
    let [mut length, mut each, mut error] = [const { Vec::new() }; 3];
    let mut classes = 0.0_f64;
    let mut uniform: Vec<(f64, f64)> = Vec::new();
    for row in rows(blocks) {
        let label = row.label();
        let Some((sent, samples)) = row.number("sent").zip(row.number("block_samples")) else {
            continue;
        };
        classes = row.number("outputs").unwrap_or(classes);
        let end = sent + samples;
        add(
            &mut length,
            &label,
            false,
            row.mean(end, "cumulative_kbit", 1.0),
        );
        add(
            &mut each,
            &label,
            false,
            row.mean(end, "kbit", 1e3 / samples),
        );
        if row.number("error_mean").is_some() {
            add(&mut error, &label, false, row.mean(end, "error", 1.0));
        }
        let all = end * classes.log2() / 1e3;
        if uniform.iter().all(|(x, _)| *x != end) {
            uniform.push((end, all));
        }
    }
    uniform.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (x, y) in uniform {
        let point = Mean { x, y, band: None };
        add(&mut length, "equal probabilities", true, Some(point));
    }
    let seeds = rows(codes).filter_map(|row| row.cell("n").int()).max();
    let chart = Chart {
        title: title.to_owned(),
        aside: format!(
            "prequential code; mean of {} seeds, band: ± sd; dotted: weights and labels in other codes",
            seeds.unwrap_or(0)
        ),
        x: ("labels sent".to_owned(), Along::Log),
        facets: vec![
            Facet {
                y: ("code length / kbit".to_owned(), Along::Log),
                height: 230.0,
                series: length,
                levels: levels(codes),
            },
            Facet {
                y: ("bits a label".to_owned(), Along::FromZero),
                height: 150.0,
                series: each,
                levels: vec![(classes.log2(), "log₂ K".to_owned())],
            },
            Facet {
                y: ("error in the block".to_owned(), Along::FromZero),
                height: 130.0,
                series: error,
                levels: Vec::new(),
            },
        ],
        marks: Vec::new(),
    };
    Ok(Picture {
        figure: chart.draw()?,
        numbers: blocks.clone(),
    })
}

/// The shortest of every code that sends weights.
fn levels(codes: &Rows) -> Vec<(f64, String)> {
    let mut levels: Vec<(f64, String)> = Vec::new();
    for row in rows(codes).filter(|row| row.number("model_kbit_mean") > Some(0.01)) {
        let (Some(kbit), code) = (row.number("kbit_mean"), row.text("code")) else {
            continue;
        };
        match levels.iter_mut().find(|(_, name)| name == code) {
            Some(level) => level.0 = level.0.min(kbit),
            None => levels.push((kbit, code.to_owned())),
        }
    }
    for (kbit, name) in &mut levels {
        *name = format!("{name}: {} kbit", number(*kbit));
    }
    levels
}

fn report(title: &str, answers: &[Rows]) -> Report {
    let codes = &answers[0];
    let params = answers[2].rows.first().and_then(|row| row[0].text());
    let mnist = super::axes(params.unwrap_or("{}"))
        .get("data.dataset")
        .is_some_and(|name| name == "mnist");
    Report {
        title: title.to_owned(),
        about: "Bits that it takes to send the training labels to somebody who has the images (1 kbit is 1,000 bits). Prequential: every block is coded by a network \
                trained on the labels before it, no weight is sent; switch: a bit a block says whether the network codes it or equal probabilities do. Test \
                errors are those of the network trained on all samples."
            .to_owned(),
        tables: tables(codes),
        quantities: rows(codes).flat_map(|row| claims(&row, mnist)).collect(),
        remarks: vec![
            "The paper's MNIST network is convolutional, with batch normalisation, dropout and shifted images, and its published code chooses when to stop by the loss on \
             the block to be coded, which a receiver cannot do; here it is chosen on samples held out from those already sent."
                .to_owned(),
        ],
    }
}

/// A table for each point.
fn tables(codes: &Rows) -> Vec<(String, Rows)> {
    let mut tables: Vec<(String, Rows)> = Vec::new();
    for row in rows(codes) {
        let label = row.label();
        let heading = if label.is_empty() {
            "Measured".to_owned()
        } else {
            label
        };
        let at = tables.iter().position(|(known, _)| *known == heading);
        let at = at.unwrap_or_else(|| {
            let table = Rows::new([
                ("code", Form::Text),
                ("kbit (mean ± sd)", Form::Text),
                ("÷ uniform", Form::Number),
                ("weights / kbit", Form::Number),
                ("labels / kbit", Form::Number),
                ("bits a weight", Form::Number),
                ("test error", Form::Share),
                ("seeds", Form::Count),
            ]);
            tables.push((heading, table));
            tables.len() - 1
        });
        let cell = |name: &str| Cell::from(row.number(name));
        let length = row
            .measured("kbit")
            .map(|kbit| format!("{} ± {}", number(kbit.mean), number(kbit.sd)));
        tables[at].1.push([
            row.text("code").into(),
            length.into(),
            cell("ratio_mean"),
            cell("model_kbit_mean"),
            cell("label_kbit_mean"),
            cell("weight_bits_mean"),
            cell("test_error_mean"),
            row.cell("n").clone(),
        ]);
    }
    tables
}

/// What is published of one code of one point.
fn claims(row: &Row<'_>, mnist: bool) -> Vec<Quantity> {
    let (code, label) = (row.text("code"), row.label());
    let between = if label.is_empty() { "" } else { ", " };
    let mut claims = Vec::new();
    let mut claim = |what: &str, number: &str, expected, source, reason| {
        claims.push(Quantity {
            name: format!("{code}: {what}{between}{label}"),
            expected,
            source,
            reason,
            measured: row.measured(number),
        });
    };
    let samples = row.number("samples").unwrap_or(0.0);
    let all_bits = samples * row.number("outputs").unwrap_or(2.0).log2();
    let weights = code.starts_with("two-part") || code.starts_with("intrinsic-dimension");
    let learned = row.text("labels") == "true" && row.number("label_noise") == Some(0.0);
    if code == "uniform" {
        if mnist && samples == 60_000.0 {
            let expected = Expected::Near {
                value: 199.3,
                tolerance: 0.05,
            };
            claim(
                "kbit",
                "kbit",
                expected,
                TABLE_1,
                "arithmetic: its last digit",
            );
        }
        return claims;
    }
    if row.text("labels") == "random" {
        claim(
            "÷ uniform, random labels",
            "ratio",
            Expected::AtLeast(1.0 - 11.0 / all_bits),
            "counting bound (Blier & Ollivier 2018)",
            "no code saves 11 bits but once in 1,024 times",
        );
        return claims;
    }
    if !learned {
        return claims;
    }
    if code.starts_with("prequential") {
        claim(
            "÷ uniform",
            "ratio",
            Expected::AtMost(1.0),
            TABLE_1,
            "only that labels compress: .02 there, with more samples and another network",
        );
    }
    if code.starts_with("two-part") {
        claim(
            "÷ uniform",
            "ratio",
            Expected::AtLeast(1.0),
            TABLE_1,
            "only that they do not compress: > 45 and > 2 there",
        );
    }
    let whole = mnist && samples == 60_000.0;
    match code {
        "prequential" if whole => claim(
            "kbit",
            "kbit",
            Expected::Between(4.1, 15.0),
            TABLE_1,
            "4.10 is of a convolution network with shifted images: no dense one comes below; 15 leaves it a factor of 3.7",
        ),
        "two-part" if whole && row.number("parameters") == Some(269_322.0) => claim(
            "kbit",
            "kbit",
            Expected::AtLeast(8_600.0),
            TABLE_1,
            "a lower bound there: 32 bits for each weight of this network",
        ),
        "two-part-quantised" if whole => claim(
            "kbit",
            "kbit",
            Expected::AtLeast(400.0),
            TABLE_1,
            "a lower bound there, from published compressed networks",
        ),
        "intrinsic-dimension" if weights && row.number("subspace_dim") == Some(290.0) => claim(
            "kbit of weights",
            "model_kbit",
            Expected::Near {
                value: 9.28,
                tolerance: 0.005,
            },
            TABLE_1,
            "arithmetic: 290 numbers of 32 bits",
        ),
        _ => {}
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(labels: &str, samples: i64, lengths: &[(&str, f64, f64)]) -> Rows {
        let mut rows = Rows::new([
            ("axes", Form::Json),
            ("labels", Form::Text),
            ("label_noise", Form::Number),
            ("samples", Form::Count),
            ("outputs", Form::Count),
            ("parameters", Form::Count),
            ("subspace_dim", Form::Count),
            ("code", Form::Text),
            ("n", Form::Count),
            ("kbit_mean", Form::Number),
            ("kbit_sd", Form::Number),
            ("ratio_mean", Form::Number),
            ("model_kbit_mean", Form::Number),
        ]);
        for &(code, model, kbit) in lengths {
            rows.push([
                format!(r#"{{"labels":"{labels}","seed":0}}"#).into(),
                labels.into(),
                Cell::Real(0.0),
                Cell::Int(samples),
                Cell::Int(10),
                Cell::Int(269_322),
                Cell::Int(0),
                code.into(),
                Cell::Int(3),
                Cell::Real(kbit),
                Cell::Real(0.1),
                Cell::Real(kbit / (samples as f64 * 10_f64.log2() / 1e3)),
                Cell::Real(model),
            ]);
        }
        rows
    }

    fn blocks() -> Rows {
        let mut rows = Rows::new([
            ("axes", Form::Json),
            ("outputs", Form::Count),
            ("sent", Form::Count),
            ("block_samples", Form::Count),
            ("n", Form::Count),
            ("kbit_mean", Form::Number),
            ("kbit_sd", Form::Number),
            ("cumulative_kbit_mean", Form::Number),
            ("cumulative_kbit_sd", Form::Number),
            ("error_mean", Form::Share),
        ]);
        for (sent, samples, kbit, all, error) in [
            (0, 8, 0.0266, 0.0266, Cell::Null),
            (8, 8, 0.02, 0.0466, Cell::Real(0.7)),
            (16, 16, 0.03, 0.0766, Cell::Real(0.5)),
        ] {
            rows.push([
                r#"{"labels":"true"}"#.into(),
                Cell::Int(10),
                Cell::Int(sent),
                Cell::Int(samples),
                Cell::Int(3),
                Cell::Real(kbit),
                Cell::Real(0.001),
                Cell::Real(all),
                Cell::Real(0.001),
                error,
            ]);
        }
        rows
    }

    fn answers(codes: Rows, dataset: &str) -> Vec<Rows> {
        let mut params = Rows::new([("params", Form::Json)]);
        params.push([format!(r#"{{"data.dataset":"{dataset}"}}"#).into()]);
        vec![codes, blocks(), params]
    }

    #[test]
    fn the_figure_shows_the_code_beside_equal_probabilities_and_other_codes() {
        let codes = codes(
            "true",
            32,
            &[
                ("two-part-quantised", 90.0, 91.5),
                ("prequential", 0.0, 0.08),
            ],
        );
        let picture = picture("codes", &answers(codes, "mnist-4k")).expect("points");
        let svg = picture.figure.svg();
        for text in [
            "equal probabilities",
            "labels true",
            "two-part-quantised: 91.5",
            "log₂ K",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert_eq!(picture.numbers.rows.len(), 3);
    }

    #[test]
    fn all_of_mnist_stands_beside_table_1() {
        let lengths = [
            ("uniform", 0.0, 199.316),
            ("two-part", 8_618.3, 8_620.0),
            ("two-part-quantised", 1_000.0, 1_010.0),
            ("prequential", 0.0, 9.5),
        ];
        let report = report("m", &answers(codes("true", 60_000, &lengths), "mnist"));
        assert!(report.quantities.len() >= 6);
        for quantity in &report.quantities {
            assert_eq!(quantity.verdict().words().0, "yes", "{quantity:?}");
        }
        let claim = "no dense one comes below";
        assert!(report.markdown().contains(claim));
        let other = super::report("m", &answers(codes("true", 4_000, &lengths), "mnist-4k"));
        assert!(!other.markdown().contains(claim));
    }

    #[test]
    fn random_labels_that_compress_are_a_mistake() {
        let all = 4_000.0 * 10_f64.log2() / 1e3;
        for (kbit, agrees) in [
            (all + 0.02, "yes"),
            (all - 0.005, "yes"),
            (all - 0.02, "no"),
        ] {
            let codes = codes("random", 4_000, &[("prequential", 0.0, kbit)]);
            let report = report("m", &answers(codes, "mnist-4k"));
            assert_eq!(report.quantities[0].verdict().words().0, agrees, "{kbit}");
        }
    }
}
