//! The report: what was measured, and what regularisers change.

use super::claims::{claims, table_1};
use super::{Point, Task, is_held_back, points};
use crate::output::{Form, Rows, number};
use crate::report::{Measured, Report};

pub(super) fn report(title: &str, answers: &[Rows]) -> Report {
    let points = points(answers);
    let mut report = Report {
        title: title.to_owned(),
        about: "Labels are fitted at the first measured epoch without a training error; their loss is low at the first of 0.1 or less. Errors are 1 − accuracy; \
                test labels are true, test images those of the task. Means over seeds."
            .to_owned(),
        tables: vec![("Measured".to_owned(), table(&points))],
        quantities: claims(&points),
        remarks: Vec::new(),
    };
    if points.iter().any(is_held_back) {
        let heading = "What regularisers change".to_owned();
        report.tables.push((heading, held_back(&points)));
    }
    report.quantities.extend(points.iter().flat_map(table_1));
    report.remarks.push(
        "The paper's order of convergence (true labels, shuffled pixels, gaussian inputs, random pixels, random labels) is that of a convolution network on CIFAR-10. \
         A fully connected network does not know which pixels lie side by side, so for it shuffled pixels are true images; and images of noise lie far apart, \
         which makes them easy to tell from each other."
            .to_owned(),
    );
    report
}

fn spread(measured: Option<Measured>) -> String {
    measured.map_or("–".to_owned(), |measured| {
        format!("{} ± {}", number(measured.mean), number(measured.sd))
    })
}

fn table(points: &[Point]) -> Rows {
    let mut rows = Rows::new([
        ("learned", Form::Text),
        ("besides", Form::Text),
        ("seeds", Form::Count),
        ("share that fits", Form::Number),
        ("epochs to fit", Form::Text),
        ("steps to fit", Form::Text),
        ("epochs to low loss", Form::Text),
        ("training loss", Form::Number),
        ("training error", Form::Text),
        ("test error", Form::Text),
    ]);
    for point in points {
        let task = match point.task {
            Task::Corrupted(share) => format!("labels, {share} of them corrupted"),
            task => task.words().to_owned(),
        };
        rows.push([
            task.into(),
            point.besides.as_str().into(),
            point.seeds.into(),
            point.fitted.into(),
            spread(point.fit).into(),
            spread(point.fit_steps).into(),
            spread(point.low_loss).into(),
            point.train_loss.into(),
            spread(point.train_error).into(),
            spread(point.test_error).into(),
        ]);
    }
    rows
}

/// Each regulariser beside the same network without any.
fn held_back(points: &[Point]) -> Rows {
    let mut rows = Rows::new([
        ("learned", Form::Text),
        ("held back by", Form::Text),
        ("share that fits", Form::Number),
        ("training error", Form::Text),
        ("test error", Form::Text),
        ("test error less by", Form::Number),
        ("least test error of any epoch", Form::Number),
    ]);
    for point in points {
        let free = points
            .iter()
            .find(|other| other.task == point.task && !is_held_back(other));
        let less = free
            .and_then(|free| free.test_error)
            .zip(point.test_error)
            .map(|(free, own)| free.mean - own.mean);
        let with = |other: &Point| other.task == point.task && is_held_back(other);
        if !points.iter().any(with) {
            continue;
        }
        let by = if is_held_back(point) {
            point.besides.as_str()
        } else {
            "nothing"
        };
        rows.push([
            point.task.words().into(),
            by.into(),
            point.fitted.into(),
            spread(point.train_error).into(),
            spread(point.test_error).into(),
            less.into(),
            point.best_test_error.into(),
        ]);
    }
    rows
}
