//! What each experiment shows: which rows it reads, its figure, and its report beside the published numbers. Pure: rows in, pictures
//! and texts out.
//!
//! Experiments whose figure is a curve against the size of a model (risk curves, random features) are drawn by `figure` from the
//! results themselves.

mod degrees_of_freedom;
mod description_length;
mod expressivity;
mod intrinsic_dimension;
mod layer_robustness;
mod lottery_ticket;
mod memorization;
mod random_features;
mod risk_curve;
mod sized;
pub(crate) mod strand;

use std::collections::BTreeMap;

use crate::figure::{Curve, Figure, Size};
use crate::output::Rows;
use crate::report::Report;

/// How an experiment is shown.
pub(crate) struct Shown {
    /// Queries over the documented views for a sweep's name, which is an SQL literal with its quotes.
    pub(crate) queries: fn(sweep: &str) -> Vec<String>,
    /// The figure and its numbers, from the queries' answers.
    pub(crate) picture: fn(title: &str, answers: &[Rows]) -> Result<Picture, String>,
    /// The report, from the queries' answers.
    pub(crate) report: fn(title: &str, answers: &[Rows]) -> Report,
}

/// A figure and the numbers that it shows.
pub(crate) struct Picture {
    /// The figure.
    pub(crate) figure: Figure,
    /// Its numbers, for the table beside it.
    pub(crate) numbers: Rows,
}

/// The report of curves against the size of a model.
pub(crate) fn report(title: &str, curves: &[Curve]) -> Report {
    let features = curves.first().map(|curve| curve.size) == Some(Size::Features);
    if features {
        random_features::report(title, curves)
    } else {
        risk_curve::report(title, curves)
    }
}

/// How the experiment of this name is shown; `None`: as curves against the size of a model.
pub(crate) fn shown(experiment: &str) -> Option<Shown> {
    match experiment {
        "degrees-of-freedom" => Some(degrees_of_freedom::SHOWN),
        "description-length" => Some(description_length::SHOWN),
        "expressivity" => Some(expressivity::SHOWN),
        "layer-robustness" => Some(layer_robustness::SHOWN),
        "memorization" => Some(memorization::SHOWN),
        "intrinsic-dimension" => Some(intrinsic_dimension::SHOWN),
        "lottery-ticket" => Some(lottery_ticket::SHOWN),
        _ => None,
    }
}

/// Settings or axes (a JSON object) as words, by name, without those that only tell replicates apart.
pub(crate) fn axes(json: &str) -> BTreeMap<String, String> {
    let axes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).unwrap_or_default();
    let apart = axes.into_iter().filter(|(axis, _)| {
        let name = axis.rsplit('.').next().unwrap_or(axis);
        name != "seed" && name != "order_seed"
    });
    apart
        .map(|(axis, value)| {
            let words = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (axis, words)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_make_no_curves_of_their_own() {
        let axes = axes(
            r#"{"width":3,"seed":1,"data.seed":1,"train.order_seed":0,"data.label_noise":0.2,"train.weight_reuse":"never"}"#,
        );
        let names: Vec<(&str, &str)> = axes
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("data.label_noise", "0.2"),
                ("train.weight_reuse", "never"),
                ("width", "3")
            ]
        );
    }
}
