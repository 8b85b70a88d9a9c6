//! An axis' scale: from numbers to positions, and the ticks that a reader can count by.

/// Linear or logarithmic, from its low end to its high end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Whether the high end lies at position 0.
    reversed: bool,
}

/// A tick: where, and what it says (nothing for a minor one).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Its value.
    pub(crate) at: f64,
    /// Its label, for a major one.
    pub(crate) label: Option<String>,
}

impl Scale {
    /// A linear scale from zero to a round number above `high`.
    pub(crate) fn from_zero(high: f64) -> Self {
        let high = if high.is_finite() && high > 0.0 {
            high
        } else {
            1.0
        };
        let step = step(high, 7.0);
        let top = (high * 1.04 / (step / 2.0)).ceil() * (step / 2.0);
        Self {
            low: 0.0,
            high: top,
            log: false,
            reversed: false,
        }
    }

    /// A linear scale with a little room beyond both ends.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        if !(low.is_finite() && high.is_finite()) {
            return Self::from_zero(1.0);
        }
        let room = ((high - low) * 0.05).max(high.abs() * 1e-3).max(1e-9);
        Self {
            low: low - room,
            high: high + room,
            log: false,
            reversed: false,
        }
    }

    /// A logarithmic scale with a little room beyond both ends, which must be positive.
    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let (low, high) = if low > 0.0 && high >= low {
            (low, high)
        } else {
            (0.1, 1.0)
        };
        let room = ((high / low).ln() * 0.04).max(0.05).exp();
        Self {
            low: low / room,
            high: high * room,
            log: true,
            reversed: false,
        }
    }

    /// The same scale with its ends exchanged: values fall from left to right.
    pub(crate) fn reversed(self) -> Self {
        Self {
            reversed: !self.reversed,
            ..self
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end (the other way round where reversed). Values that a log axis
    /// cannot show lie far beyond the low end.
    pub(crate) fn position(self, value: f64) -> f64 {
        let position = self.upward(value);
        if self.reversed {
            1.0 - position
        } else {
            position
        }
    }

    fn upward(self, value: f64) -> f64 {
        if !self.log {
            return (value - self.low) / (self.high - self.low);
        }
        if value <= 0.0 {
            return -10.0;
        }
        ((value / self.low).ln() / (self.high / self.low).ln()).max(-10.0)
    }

    /// Ticks inside the range, ascending.
    pub(crate) fn ticks(self) -> Vec<Tick> {
        if self.log {
            self.log_ticks()
        } else {
            self.linear_ticks()
        }
    }

    fn linear_ticks(self) -> Vec<Tick> {
        let step = step(self.high - self.low, 7.0);
        let first = (self.low / step - 1e-9).ceil();
        let count = (self.high / step + 1e-9).floor() - first;
        (0..=count as u32)
            .map(|i| {
                let at = (first + f64::from(i)) * step;
                Tick {
                    at,
                    label: Some(decimal(at, step)),
                }
            })
            .collect()
    }

    fn log_ticks(self) -> Vec<Tick> {
        let decades = (self.high / self.low).log10();
        let every = (decades / 7.0).ceil().max(1.0) as i32;
        let (first, last) = (
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        );
        let mut ticks = Vec::new();
        for decade in first..=last {
            for digit in 1..=9 {
                let at = f64::from(digit) * 10f64.powi(decade);
                if at < self.low || at > self.high {
                    continue;
                }
                let labelled = match digit {
                    1 => decade.rem_euclid(every) == 0,
                    2 | 5 => decades < 2.6,
                    3 | 4 | 7 => decades < 0.7,
                    _ => false,
                };
                if digit > 1 && decades > 8.0 {
                    continue;
                }
                ticks.push(Tick {
                    at,
                    label: labelled.then(|| power(digit, decade, decades)),
                });
            }
        }
        ticks
    }
}

/// A round distance between ticks: 1, 2 or 5 times a power of ten, for at most about `count` ticks.
fn step(range: f64, count: f64) -> f64 {
    let raw = range / count;
    let magnitude = 10f64.powf(raw.log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|d| raw <= d * magnitude * 1.0001);
    digit.unwrap_or(10.0) * magnitude
}

/// A tick of a linear axis with as many decimals as its step needs.
fn decimal(at: f64, step: f64) -> String {
    let decimals = (0..8).find(|&d| {
        let scaled = step * 10f64.powi(d);
        (scaled - scaled.round()).abs() < 1e-6
    });
    let decimals = usize::try_from(decimals.unwrap_or(8)).unwrap_or(8);
    format!("{at:.decimals$}")
}

/// A tick of a log axis: 500, 20k, 3M where that is short; 10⁻³ on long axes.
fn power(digit: i32, decade: i32, decades: f64) -> String {
    if decades <= 4.5 && (-3..=8).contains(&decade) {
        return match decade {
            6..=8 => format!("{}M", i64::from(digit) * 10i64.pow((decade - 6) as u32)),
            3..=5 => format!("{}k", i64::from(digit) * 10i64.pow((decade - 3) as u32)),
            0..=2 => format!("{}", i64::from(digit) * 10i64.pow(decade as u32)),
            _ => format!("0.{}{digit}", "0".repeat((-decade - 1) as usize)),
        };
    }
    let exponent: String = decade
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or(0)).unwrap_or('?'),
        })
        .collect();
    if digit == 1 {
        format!("10{exponent}")
    } else {
        format!("{digit}·10{exponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale) -> Vec<String> {
        scale
            .ticks()
            .into_iter()
            .filter_map(|tick| tick.label)
            .collect()
    }

    #[test]
    fn linear_axes_start_at_zero_and_count_in_round_steps() {
        assert_eq!(
            labels(Scale::from_zero(0.084)),
            ["0.00", "0.02", "0.04", "0.06", "0.08"]
        );
        assert_eq!(labels(Scale::from_zero(0.63))[..3], ["0.0", "0.1", "0.2"]);
    }

    #[test]
    fn log_axes_name_parameters_as_people_do() {
        let labels = labels(Scale::logarithmic(2_395.0, 238_510.0));
        assert_eq!(labels, ["2k", "5k", "10k", "20k", "50k", "100k", "200k"]);
    }

    #[test]
    fn long_log_axes_name_powers_only() {
        let labels = labels(Scale::logarithmic(1e-3, 2e3));
        assert!(
            labels.contains(&"10⁻²".to_owned()) && labels.contains(&"10³".to_owned()),
            "{labels:?}"
        );
    }

    #[test]
    fn linear_axes_away_from_zero_count_in_multiples_of_their_step() {
        assert_eq!(
            labels(Scale::linear(0.83, 0.99))[..3],
            ["0.85", "0.90", "0.95"]
        );
        assert_eq!(
            labels(Scale::linear(-2.0, 2.0)).first().map(String::as_str),
            Some("-2")
        );
    }

    #[test]
    fn reversed_axes_run_the_other_way_with_the_same_ticks() {
        let scale = Scale::logarithmic(0.01, 1.0);
        let reversed = scale.reversed();
        assert!((reversed.position(0.01) + scale.position(0.01) - 1.0).abs() < 1e-12);
        assert_eq!(labels(reversed), labels(scale));
        assert_eq!(reversed.reversed(), scale);
    }

    #[test]
    fn positions_run_from_zero_to_one() {
        let scale = Scale::logarithmic(10.0, 1000.0);
        assert!((scale.position(100.0) - 0.5).abs() < 1e-9);
        assert!(
            scale.position(0.0) < -1.0,
            "what a log axis cannot show lies below it"
        );
        assert!((Scale::from_zero(1.0).position(0.0)).abs() < 1e-12);
    }
}
