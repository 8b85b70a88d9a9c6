//! What a seed means: how large everything is, what goes wrong and when, what the user does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use descent_worker::config::OrphanPolicy;

use crate::chance::Chance;
use crate::trainer::{Mishap, Name};

/// A host of the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Coordinator,
    Worker(usize),
    User,
}

impl Host {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::User => "user",
            Self::Worker(number) => ["worker-0", "worker-1", "worker-2", "worker-3"][number],
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is done to the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A process dies at once.
    Kill(Host),
    /// A process is told to stop in order.
    Drain(Host),
    /// A process starts, killed before where it still runs.
    Start(Host),
    /// Nothing passes between the coordinator and a host.
    Part(Host),
    /// What the coordinator sends to a host is lost.
    PartFrom(Host),
    /// What a host sends to the coordinator is lost.
    PartTo(Host),
    /// A partition ends. What was lost stays lost: connections of the time are broken.
    Join(Host),
    /// Messages between the coordinator and a host wait.
    Hold(Host),
    /// They go on.
    Release(Host),
    /// Messages between the coordinator and a host take up to so many milliseconds.
    Slow(Host, u64),
    /// The coordinator's clock is set forwards or back, in milliseconds.
    Clock(i64),
    /// The coordinator's disk does not answer for so many milliseconds.
    Stall(u64),
    /// A worker is stopped in its tracks: it computes nothing, and nothing goes in or out.
    Freeze(usize),
    /// It goes on, none the wiser.
    Thaw(usize),
}

/// Something that the user does, and repeats until it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A file of so many points.
    Submit(String, u64),
    Pause(&'static str),
    Resume(&'static str),
    Cancel(&'static str),
    Rerun(&'static str, descent_proto::v1::RerunWhich),
}

/// A mishap that was planned for a trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) mishap: Mishap,
    pub(crate) epoch: u32,
    pub(crate) times: u32,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) tick: Duration,
    pub(crate) latency: (Duration, Duration),
    pub(crate) shuffled: bool,
    pub(crate) workers: usize,
    pub(crate) slots: u32,
    pub(crate) pack_trials: u32,
    /// What one epoch costs.
    pub(crate) step: Duration,
    pub(crate) orphan_grace: Duration,
    pub(crate) orphan_policy: OrphanPolicy,
    /// Longest time that the disk usually takes, in milliseconds.
    pub(crate) flush_ms: u64,
    /// One call in so many is repeated after it was answered; 0: none.
    pub(crate) repeat_one_in: u64,
    pub(crate) mishaps: BTreeMap<Name, Planned>,
    /// Whether no worker dies, sleeps or is cut off for long: then nothing may be computed twice.
    pub(crate) calm: bool,
    pub(crate) faults: Vec<(Duration, Fault)>,
    pub(crate) actions: Vec<(Duration, Action)>,
    /// When all faults are over.
    pub(crate) healed_at: Duration,
}

/// When everything must have ended.
pub(crate) const LIMIT: Duration = Duration::from_secs(1500);

pub(crate) const SWEEPS: [&str; 2] = ["toy", "more"];

/// A sweep's file.
fn sweep(name: &str, widths: u64, seeds: u64, epochs: u64, chained: bool) -> String {
    let widths: Vec<String> = (1..=widths).map(|i| (2 * i).to_string()).collect();
    let reuse = if chained { "below-threshold" } else { "never" };
    format!(
        "name = \"{name}\"\nexperiment = \"risk-curve\"\n\n\
         [data]\ndataset = \"toy\"\nsamples = 40\n\n\
         [train]\noptimizer = {{ kind = \"sgd\", lr = 0.1 }}\nbatch = 10\nepochs = {epochs}\nweight_reuse = \"{reuse}\"\n\n\
         [run]\ncheckpoint_epochs = 4\n\n\
         [axes]\nwidth = [{}]\nseed = {{ count = {seeds} }}\n",
        widths.join(", ")
    )
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let calm = chance.one_in(3);
        let workers = usize::try_from(chance.between(1..=3)).expect("few");
        let healed_at = chance.millis(40_000..=110_000);
        let tick = Duration::from_millis(40);
        let mut plan = Self {
            seed,
            tick,
            latency: chance.pick(&[
                (Duration::ZERO, tick),
                (tick, 5 * tick),
                (Duration::ZERO, 12 * tick),
            ]),
            shuffled: chance.one_in(2),
            workers,
            slots: u32::try_from(chance.between(1..=2)).expect("few"),
            pack_trials: chance.pick(&[1, 2, 4, 8]),
            step: chance.millis(100..=1_500),
            orphan_grace: chance.millis(15_000..=120_000),
            orphan_policy: if calm || chance.one_in(2) {
                OrphanPolicy::Finish
            } else {
                OrphanPolicy::Stop
            },
            flush_ms: chance.pick(&[0, 5, 60]),
            repeat_one_in: chance.pick(&[0, 4, 20]),
            mishaps: BTreeMap::new(),
            calm,
            faults: Vec::new(),
            actions: Vec::new(),
            healed_at,
        };
        plan.user(&mut chance.fork());
        plan.trouble(&mut chance.fork());
        plan.faults.sort_by_key(|(at, _)| *at);
        plan.even_latency();
        plan
    }

    fn user(&mut self, chance: &mut Chance) {
        let (widths, seeds) = (chance.between(1..=4), chance.between(1..=2));
        let epochs = chance.between(6..=40);
        let chained = chance.one_in(2);
        let file = |widths, seeds| {
            let file = sweep("toy", widths, seeds, epochs, chained);
            Action::Submit(file, widths * seeds)
        };
        self.act(chance.millis(0..=3_000), file(widths, seeds));
        if chance.one_in(3) {
            let widths = chance.between(1..=3);
            let other = sweep("more", widths, 1, epochs + 1, chance.one_in(2));
            self.act(chance.millis(0..=20_000), Action::Submit(other, widths));
        }
        if chance.one_in(3) {
            let (widths, seeds) = (chance.between(1..=4), chance.between(1..=2));
            self.act(self.sometime(chance), file(widths, seeds));
        }
        if chance.one_in(3) {
            let at = self.sometime(chance);
            self.act(at, Action::Pause("toy"));
            let later = at + chance.millis(100..=30_000);
            self.act(later, Action::Resume("toy"));
        }
        if chance.one_in(4) {
            self.act(self.sometime(chance), Action::Cancel("toy"));
            let which = descent_proto::v1::RerunWhich::Missing;
            if chance.one_in(2) {
                self.act(self.sometime(chance), Action::Rerun("toy", which));
            }
        }
        let which = descent_proto::v1::RerunWhich::Failed;
        for _ in 0..chance.between(0..=3) {
            let name = (
                2 * u32::try_from(chance.between(1..=4)).expect("few"),
                chance.between(0..=1),
                u32::try_from(epochs).expect("few"),
            );
            let planned = Planned {
                mishap: if chance.one_in(4) {
                    Mishap::Panic
                } else {
                    Mishap::Data
                },
                epoch: u32::try_from(chance.between(1..=epochs)).expect("few"),
                times: chance.pick(&[1, 1, 2, 5]),
            };
            self.mishaps.insert(name, planned);
        }
        if !self.mishaps.is_empty() && chance.one_in(2) {
            self.act(self.sometime(chance), Action::Rerun("toy", which));
        }
        self.actions.sort_by_key(|(at, _)| *at);
    }

    fn act(&mut self, at: Duration, action: Action) {
        self.actions.push((at, action));
    }

    /// Some moment while things go wrong.
    fn sometime(&self, chance: &mut Chance) -> Duration {
        let end = u64::try_from(self.healed_at.as_millis()).expect("minutes");
        chance.millis(1_000..=end)
    }

    fn trouble(&mut self, chance: &mut Chance) {
        for _ in 0..chance.between(0..=6) {
            let at = self.sometime(chance);
            let worker = chance.index(self.workers);
            let anybody = if chance.one_in(3) {
                Host::User
            } else {
                Host::Worker(worker)
            };
            let kinds = if self.calm { 6 } else { 12 };
            match chance.between(1..=kinds) {
                1 | 2 => {
                    self.fault(at, Fault::Kill(Host::Coordinator));
                    self.fault(
                        at + chance.millis(0..=60_000),
                        Fault::Start(Host::Coordinator),
                    );
                }
                3 => {
                    self.fault(at, Fault::Drain(Host::Coordinator));
                    let later = at + chance.millis(3_000..=30_000);
                    self.fault(later, Fault::Start(Host::Coordinator));
                }
                4 => self.fault(at, Fault::Stall(chance.between(1_000..=25_000))),
                5 => {
                    // A machine's clock is set once in a while, not all the time.
                    let by = chance.pick(&[3_600_000, -3_600_000, 20_000, -20_000, 2_000]);
                    let set = |(_, fault): &(Duration, Fault)| matches!(fault, Fault::Clock(_));
                    if !self.faults.iter().any(set) {
                        self.fault(at, Fault::Clock(by));
                    }
                }
                6 => {
                    self.fault(at, Fault::Hold(anybody));
                    let later = at + chance.millis(100..=8_000);
                    self.fault(later, Fault::Release(anybody));
                }
                7 => {
                    self.fault(at, Fault::Kill(Host::Worker(worker)));
                    let later = at + chance.millis(0..=60_000);
                    self.fault(later, Fault::Start(Host::Worker(worker)));
                }
                8 => {
                    self.fault(at, Fault::Drain(Host::Worker(worker)));
                    let later = at + chance.millis(1_000..=60_000);
                    self.fault(later, Fault::Start(Host::Worker(worker)));
                }
                9 | 10 => {
                    let how = chance.pick(&[Fault::Part, Fault::PartFrom, Fault::PartTo]);
                    self.fault(at, how(anybody));
                    self.fault(at + chance.millis(100..=90_000), Fault::Join(anybody));
                }
                11 => {
                    self.fault(at, Fault::Freeze(worker));
                    self.fault(at + chance.millis(1_000..=90_000), Fault::Thaw(worker));
                }
                _ => {
                    self.fault(at, Fault::Slow(anybody, chance.between(100..=5_000)));
                    self.fault(at + chance.millis(1_000..=60_000), Fault::Slow(anybody, 20));
                }
            }
        }
    }

    /// tokio lets chance decide which of a coordinator's connections hears first that it stops, and which message is sent first then:
    /// where all take equally long, that changes nothing else.
    fn even_latency(&mut self) {
        let drains =
            |(_, fault): &(Duration, Fault)| matches!(fault, Fault::Drain(Host::Coordinator));
        if self.faults.iter().any(drains) {
            self.latency = (self.tick, self.tick);
            let slow = |(_, fault): &(Duration, Fault)| matches!(fault, Fault::Slow(..));
            self.faults.retain(|fault| !slow(fault));
        }
    }

    fn fault(&mut self, at: Duration, fault: Fault) {
        if at < self.healed_at {
            self.faults.push((at, fault));
        }
    }
}
