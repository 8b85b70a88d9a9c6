//! Which trials of a class one claim takes: as many as asked for while there is plenty, near the end no more than a share.
//!
//! Near the end a claim takes, costliest first, half of what would be its slot's share of the work that is left (factoring,
//! Flynn Hummel et al. 1992). So the last packs are small, all workers finish at about the same time, and a cost that was
//! predicted badly is made up for by the claims after it. Trials of a class may differ in cost by a factor of 300: shares of
//! equal number would give one worker all the wide ones.
//!
//! Where all slots are one worker's, they are equally fast, and a pack more costs more than they can wait for each other: each
//! pack goes over all samples by itself. There a claim takes its whole share of what is left, by number as well as by cost.

/// Slots' shares into which the work that is left is cut at each claim.
const PARTS: u64 = 2;

/// How far the cheapest trials may lead beyond a share that a costly one has filled.
const OVER: f64 = 1.05;

/// How far beyond its share a slot goes for what would be left otherwise.
const REST: f64 = 1.1;

/// How long what a slot took counts as still to be done, in milliseconds: about two heartbeats.
pub const MOMENT_MS: i64 = 10_000;

/// Most trials that a claim near the end looks at: of more, it takes these for typical.
pub const FRONT_MOST: u32 = 2_048;

/// A ready trial, as a claim weighs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its row number.
    pub trial: i64,
    /// Its priority.
    pub priority: i64,
    /// Predicted floating-point operations.
    pub cost: f64,
    /// Predicted bytes of its own buffers.
    pub memory: u64,
}

/// What a claim may take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Most trials.
    pub trials: u32,
    /// Bytes that are free.
    pub memory: u64,
    /// Whether no worker at hand has more: then one trial is taken even if it is too large, because nobody else would tell its
    /// owner so.
    pub most: bool,
}

/// Whether so few trials are ready that claims share them. `slots` counts packs that fitting workers train side by side. A
/// single one has nobody to share with: the larger its pack, the better.
#[must_use]
pub fn is_near_end(ready: u64, asked: u32, slots: u64) -> bool {
    slots > 1 && ready < PARTS.saturating_mul(slots).saturating_mul(asked.into())
}

/// The number and the cost of all ready trials that fit a worker: from those that fit among the `seen` most urgent (`costs`),
/// and how many are ready, whomever they fit.
#[must_use]
pub fn all_work(costs: impl Iterator<Item = f64>, seen: usize, ready: u64) -> (u64, f64) {
    let (fitting, work) = costs.fold((0_u64, 0.0), |(count, work), cost| (count + 1, work + cost));
    let seen = seen as u64;
    if seen < FRONT_MOST.into() || ready <= seen {
        return (fitting, work);
    }
    let whole = ready as f64 / seen as f64;
    // A share of a count: in range.
    ((fitting as f64 * whole) as u64, work * whole)
}

/// The first trials that there is room for, in the order given.
#[must_use]
pub fn fitting(candidates: &[Candidate], room: Room) -> Vec<i64> {
    let mut taken = Vec::new();
    let mut free = room.memory;
    for candidate in candidates {
        if taken.len() == room.trials as usize {
            break;
        }
        let alone = taken.is_empty() && room.most;
        if candidate.memory <= free || alone {
            free = free.saturating_sub(candidate.memory);
            taken.push(candidate.trial);
        }
    }
    taken
}

/// The order in which trials of a class are taken near the end: of the most urgent priority, the costliest first.
#[must_use]
pub fn costliest_first(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let most = candidates.iter().map(|candidate| candidate.priority).max();
    candidates.retain(|candidate| Some(candidate.priority) == most);
    candidates.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    candidates
}

/// How many of the [costliest](costliest_first) a share is; at least one. `trials` and `work` are the number and the cost of
/// all ready trials that fit the worker, of this class and of others.
#[must_use]
pub fn share(costliest: &[Candidate], trials: u64, work: f64, slots: u64) -> u32 {
    let slots = slots.max(1);
    let most = usize::try_from(trials.div_ceil(slots)).unwrap_or(usize::MAX);
    let share = work / (slots as f64 * PARTS as f64);
    let mut sum = 0.0;
    let within = costliest.iter().take(most).take_while(|candidate| {
        // What lies half inside counts as inside.
        let inside = sum + candidate.cost / 2.0 <= share;
        sum += candidate.cost;
        inside
    });
    u32::try_from(within.count()).unwrap_or(u32::MAX).max(1)
}

/// Trials, and their predicted cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// How many.
    pub trials: u64,
    /// Predicted floating-point operations of all of them.
    pub cost: f64,
}

/// Of the [costliest](costliest_first) what one of a single worker's slots takes: its whole share by cost, and by number.
/// `ready` is what fits the worker, of this class and of others; `begun` what its other slots took [a moment ago](MOMENT_MS): nearly
/// all of that is still to be done, so slots that start together share as if they had asked at once.
#[must_use]
pub fn even_share(
    costliest: Vec<Candidate>,
    ready: Work,
    begun: Work,
    slots: u64,
) -> Vec<Candidate> {
    let slots = slots.max(1);
    let all = ready.trials.saturating_add(begun.trials);
    let most = usize::try_from(all.div_ceil(slots)).unwrap_or(usize::MAX);
    let share = (ready.cost + begun.cost) / slots as f64;
    // The last of them takes the rest, rather than leave a pack of one behind.
    let takes_the_rest = begun.trials > 0 && ready.trials <= most as u64;
    if takes_the_rest && ready.cost <= share * REST {
        return costliest;
    }
    // The cheapest come along: they cost little in a pack, and much in one of their own.
    let cheapest = costliest.iter().skip(1).rev().take(most.saturating_sub(1));
    let reserved: f64 = cheapest.map(|candidate| candidate.cost).sum();
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    let mut sum = 0.0;
    for candidate in costliest {
        let fits = taken.len() < most && sum + candidate.cost <= share - reserved;
        if fits || taken.is_empty() {
            sum += candidate.cost;
            taken.push(candidate);
        } else {
            left.push(candidate);
        }
    }
    let room = most.saturating_sub(taken.len());
    // Cheapest first, and of equal ones, as the order has them, the most urgent.
    left.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let along = left.into_iter().take(room).take_while(|candidate| {
        let inside = sum + candidate.cost / 2.0 <= share * OVER;
        sum += candidate.cost;
        inside
    });
    taken.extend(along);
    taken.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(trial: i64, cost: f64) -> Candidate {
        Candidate {
            trial,
            priority: 0,
            cost,
            memory: 10,
        }
    }

    /// Trains `costs` on `slots` slots that claim whenever they are free; answers when each becomes idle for good.
    fn play(costs: &[f64], slots: u64, asked: u32) -> Vec<f64> {
        let mut ready: Vec<Candidate> = (1..)
            .zip(costs)
            .map(|(trial, &cost)| candidate(trial, cost))
            .collect();
        let mut free_at = vec![0.0_f64; usize::try_from(slots).unwrap_or(1)];
        while !ready.is_empty() {
            let left = ready.len() as u64;
            let taken = if is_near_end(left, asked, slots) {
                let work = ready.iter().map(|candidate| candidate.cost).sum();
                let order = costliest_first(ready.clone());
                let share = share(&order, left, work, slots).min(asked);
                order[..share as usize].to_vec()
            } else {
                ready[..asked as usize].to_vec()
            };
            let next = free_at.iter_mut().min_by(|a, b| a.total_cmp(b));
            *next.expect("a slot") += taken.iter().map(|taken| taken.cost).sum::<f64>();
            ready.retain(|candidate| !taken.contains(candidate));
        }
        free_at
    }

    /// The share of the whole time that the slots stand idle at the end, on average.
    fn idle(costs: &[f64], slots: u64) -> f64 {
        let ends = play(costs, slots, 32);
        let last = ends.iter().copied().fold(0.0, f64::max);
        ends.iter().map(|end| last - end).sum::<f64>() / (last * ends.len() as f64)
    }

    #[test]
    fn slots_end_together_though_widths_differ_by_a_factor_of_300() {
        let widths = [3, 5, 7, 9, 12, 15, 18, 24, 32, 42, 50, 60, 80, 120, 200];
        let curve: Vec<f64> = widths.iter().flat_map(|&w| [f64::from(w); 3]).collect();
        assert!(idle(&curve, 2) < 0.02, "{}", idle(&curve, 2));
        assert!(idle(&curve, 3) < 0.03, "{}", idle(&curve, 3));
        // Ascending, so that the widest come last; more than are shared at first.
        let log: Vec<f64> = (0..400).map(|i| 3.0 * 1.014_64_f64.powi(i)).collect();
        for slots in [2, 4, 8] {
            assert!(idle(&log, slots) < 0.02, "{slots}: {}", idle(&log, slots));
        }
    }

    #[test]
    fn slots_of_one_worker_end_together_after_few_packs() {
        let widths = [
            3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 51, 60, 75, 96, 122, 150, 187, 230, 290,
            371, 600, 1000,
        ];
        let mut ready: Vec<Candidate> = (1..)
            .zip(widths)
            .map(|(trial, width)| candidate(trial, f64::from(width)))
            .collect();
        let (mut ends, mut packs) = ([0.0_f64; 2], Vec::new());
        while !ready.is_empty() {
            let work = ready.iter().map(|candidate| candidate.cost).sum();
            let order = costliest_first(ready.clone());
            let left = Work {
                trials: ready.len() as u64,
                cost: work,
            };
            let taken = even_share(order, left, Work::default(), 2);
            let next = usize::from(ends[1] < ends[0]);
            ends[next] += taken.iter().map(|taken| taken.cost).sum::<f64>();
            ready.retain(|candidate| !taken.contains(candidate));
            packs.push(taken.len());
        }
        assert_eq!(packs, [12, 6, 3, 1, 1, 1]);
        let last = ends[0].max(ends[1]);
        assert!(last < 1.035 * 3430.0 / 2.0, "{ends:?}");
        // Equal costs are shared by number; somebody takes the last, whatever it costs.
        let alike: Vec<Candidate> = (1..8).map(|trial| candidate(trial, 1.0)).collect();
        let work = |trials: u64, cost| Work { trials, cost };
        let urgent: Vec<_> = even_share(alike.clone(), work(7, 7.0), Work::default(), 2)
            .iter()
            .map(|taken| taken.trial)
            .collect();
        assert_eq!(
            urgent,
            alike[..4].iter().map(|next| next.trial).collect::<Vec<_>>()
        );
        let strange = even_share(alike[..1].to_vec(), work(1, f64::NAN), Work::default(), 8);
        assert_eq!(strange.len(), 1);
    }

    #[test]
    fn slots_that_start_together_take_half_each() {
        let widths = [
            3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 51, 60, 75, 96, 122, 150, 187, 230, 290,
            371, 600, 1000,
        ];
        let ready: Vec<Candidate> = (1..)
            .zip(widths)
            .map(|(trial, width)| candidate(trial, f64::from(width)))
            .collect();
        let of = |taken: &[Candidate]| Work {
            trials: taken.len() as u64,
            cost: taken.iter().map(|candidate| candidate.cost).sum(),
        };
        let whole = of(&ready);
        let first = even_share(costliest_first(ready.clone()), whole, Work::default(), 2);
        let mut left = ready;
        left.retain(|candidate| !first.contains(candidate));
        let second = even_share(costliest_first(left.clone()), of(&left), of(&first), 2);
        assert_eq!((first.len(), second.len()), (12, 12));
        assert!(of(&first).cost.max(of(&second).cost) < 1.05 * whole.cost / 2.0);
        // What would be far beyond its share is left to whoever is free first.
        let costly: Vec<Candidate> = (1..3).map(|trial| candidate(trial, 10.0)).collect();
        let begun = Work {
            trials: 10,
            cost: 1.0,
        };
        assert_eq!(even_share(costly.clone(), of(&costly), begun, 2).len(), 1);
    }

    #[test]
    fn the_first_of_eight_slots_does_not_take_all_45_trials() {
        let order: Vec<Candidate> = (1..46).map(|trial| candidate(trial, 1.0)).collect();
        assert!(is_near_end(45, 32, 8));
        assert_eq!(share(&order, 45, 45.0, 8), 3);
        assert!(!is_near_end(512, 32, 8));
        assert!(!is_near_end(3, 32, 0), "nobody at all");
        assert!(!is_near_end(3, 32, 1), "nobody to share with");
        assert_eq!(share(&order[..1], 1, 1.0, 8), 1, "at least one");
        assert_eq!(share(&order, 45, 0.0, 8), 1, "whatever the costs are");
        assert!(share(&order, 45, f64::NAN, 8) >= 1);
    }

    #[test]
    fn who_sees_a_part_takes_it_for_typical_whomever_it_fits() {
        let most = FRONT_MOST as usize;
        let ones = |count: usize| std::iter::repeat_n(1.0, count);
        assert_eq!(all_work(ones(9), 9, 9), (9, 9.0));
        assert_eq!(all_work(ones(9), 20, 20), (9, 9.0), "all of it");
        let double = 2 * u64::from(FRONT_MOST);
        assert_eq!(all_work(ones(most), most, double), (double, double as f64));
        let half = u64::from(FRONT_MOST);
        assert_eq!(all_work(ones(most / 2), most, double), (half, half as f64));
    }

    #[test]
    fn a_more_urgent_trial_is_not_passed_over_for_a_costlier_one() {
        let mut urgent = candidate(1, 1.0);
        urgent.priority = 5;
        let order = costliest_first(vec![urgent, candidate(2, 100.0)]);
        assert_eq!(order, [urgent]);
    }

    #[test]
    fn no_more_is_taken_than_there_is_memory_for() {
        let mut candidates: Vec<Candidate> = (1..6).map(|trial| candidate(trial, 1.0)).collect();
        candidates[1].memory = 100;
        let room = Room {
            trials: 4,
            memory: 30,
            most: false,
        };
        assert_eq!(fitting(&candidates, room), [1, 3, 4]);
        let none = Room { memory: 5, ..room };
        assert_eq!(fitting(&candidates, none), [0_i64; 0]);
        // Too large for every worker: one has to say so.
        let most = Room { most: true, ..none };
        assert_eq!(fitting(&candidates, most), [1]);
    }
}
