//! Degrees of freedom of a fit: Σ ∂f_ij/∂y_ij over samples and outputs, how far fitted values follow their targets
//! (Ye 1998; Gao & Jojic 2016).
//!
//! Targets are disturbed, the same fit is repeated, and what the disturbance finds again of itself in the fitted values is
//! averaged. The estimator knows nothing of the model; linear fits have a closed form beside it.

mod closed;
mod probes;
mod repeats;

pub(crate) use self::closed::open;
pub(crate) use self::repeats::Repeats;

use descent_spec::details::DegreesOfFreedom;

/// One estimate for each draw, as details; `None` among them: a fit that was not finite.
fn details(draws: &[Option<f64>], closed_form: Option<f64>) -> DegreesOfFreedom {
    let finite: Option<Vec<f64>> = draws.iter().copied().collect();
    let n = draws.len() as f64;
    let estimate = finite
        .as_ref()
        .map(|draws| draws.iter().sum::<f64>() / n)
        .filter(|mean| mean.is_finite());
    let standard_error = finite.zip(estimate).and_then(|(draws, mean)| {
        let squares: f64 = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        error.is_finite().then_some(error)
    });
    DegreesOfFreedom {
        estimate,
        standard_error,
        closed_form,
        draws: u32::try_from(draws.len()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_averaged_and_a_fit_that_is_not_finite_leaves_no_estimate() {
        let of = |draws: &[Option<f64>]| details(draws, None);
        let three = of(&[Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(three.estimate, Some(2.0));
        assert_eq!(three.standard_error, Some((1.0_f64 / 3.0).sqrt()));
        let one = of(&[Some(5.0)]);
        assert_eq!((one.estimate, one.standard_error), (Some(5.0), None));
        assert_eq!(of(&[Some(5.0), None]).estimate, None);
    }
}
