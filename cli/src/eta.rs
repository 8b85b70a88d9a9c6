//! How much longer: predicted work done against time spent. Pure, so that it can be tested.

use std::time::Duration;

/// Follows work done over time and predicts the rest.
#[derive(Clone, Debug)]
pub(crate) struct Eta {
    /// Work that was done before this start; it says nothing about today's speed.
    before: f64,
    total: f64,
}

impl Eta {
    /// Starts with `done` of `total` behind it, in any unit of work.
    pub(crate) fn new(done: f64, total: f64) -> Self {
        Self {
            before: done,
            total,
        }
    }

    /// Share of the work that is done, in [0, 1].
    pub(crate) fn share(&self, done: f64) -> f64 {
        if self.total > 0.0 {
            (done / self.total).clamp(0.0, 1.0)
        } else {
            1.0
        }
    }

    /// The rest of the time, when `done` is behind after `elapsed`. `None` while too little is known: under 2 s, or under 0.5 % of the work.
    pub(crate) fn rest(&self, done: f64, elapsed: Duration) -> Option<Duration> {
        let gained = done - self.before;
        if elapsed < Duration::from_secs(2)
            || gained < 0.005 * (self.total - self.before)
            || gained <= 0.0
        {
            return None;
        }
        let seconds = elapsed.as_secs_f64() * (self.total - done).max(0.0) / gained;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A duration in the two units that matter: `3 d 4 h`, `2 h 5 min`, `4 min 10 s`, `12 s`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_done_before_does_not_count_as_speed() {
        let eta = Eta::new(50.0, 100.0);
        assert_eq!(eta.rest(50.0, Duration::from_secs(60)), None);
        assert_eq!(
            eta.rest(75.0, Duration::from_secs(60)),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            eta.rest(100.0, Duration::from_secs(60)),
            Some(Duration::ZERO)
        );
        assert!((eta.share(75.0) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_predicted_from_a_second() {
        assert_eq!(
            Eta::new(0.0, 100.0).rest(10.0, Duration::from_secs(1)),
            None
        );
    }

    #[test]
    fn a_sweep_without_work_is_done() {
        assert!((Eta::new(0.0, 0.0).share(0.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [
            (12, "12 s"),
            (250, "4 min 10 s"),
            (7500, "2 h 5 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text);
        }
    }
}
