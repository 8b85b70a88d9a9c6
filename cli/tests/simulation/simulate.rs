//! One simulation from its seed to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use turmoil::Sim;

use crate::broken::Broken;
use crate::check::Checker;
use crate::plan::{Fault, Host, LIMIT, Plan};
use crate::record::{Life, What};
use crate::shared::Shared;
use crate::{ending, hosts, panics, user};

/// What came of one seed.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    /// How long it took, in simulated time.
    pub(crate) simulated: Duration,
    /// Steps computed, and those computed more than once.
    pub(crate) steps: (u64, u64),
    pub(crate) calls: u64,
    pub(crate) faults: u64,
    pub(crate) shared: Arc<Shared>,
}

struct World<'a> {
    sim: Sim<'a>,
    shared: Arc<Shared>,
    checker: Checker,
    hosts: Vec<Host>,
    /// Processes that do not run.
    down: BTreeSet<Host>,
    faults: u64,
}

/// Runs one seed.
pub(crate) fn simulate(seed: u64, broken: Option<Broken>) -> Outcome {
    align_tasks();
    let plan = Plan::of(seed);
    let shared = Arc::new(Shared::new(plan, broken));
    let plan = &shared.plan;
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .tick_duration(plan.tick)
        .min_message_latency(plan.latency.0)
        .max_message_latency(plan.latency.1)
        .simulation_duration(2 * LIMIT)
        .tcp_capacity(1 << 16);
    if plan.shuffled {
        builder.enable_random_order();
    }
    let mut sim = builder.build();
    let of = Arc::clone(&shared);
    sim.host(Host::Coordinator.name(), move || {
        hosts::coordinator(Arc::clone(&of))
    });
    for number in 0..plan.workers {
        let of = Arc::clone(&shared);
        sim.host(Host::Worker(number).name(), move || {
            hosts::worker(Arc::clone(&of), number)
        });
    }
    sim.client(Host::User.name(), user::user(Arc::clone(&shared)));
    let mut hosts: Vec<Host> = (0..plan.workers).map(Host::Worker).collect();
    hosts.push(Host::User);
    let mut world = World {
        sim,
        checker: Checker::new(Arc::clone(&shared)),
        shared: Arc::clone(&shared),
        hosts,
        down: BTreeSet::new(),
        faults: 0,
    };
    world.run();
    for panic in panics::take() {
        world.checker.broken("nobody panics", panic);
    }
    let calls = shared.record.lines();
    let calls = calls
        .iter()
        .filter(|line| matches!(line.what, What::Told(_)));
    Outcome {
        violations: world.checker.violations,
        simulated: world.sim.elapsed(),
        steps: shared.ledger.steps(),
        calls: calls.count() as u64,
        faults: world.faults,
        shared: Arc::clone(&shared),
    }
}

/// When a host is killed its tasks end in an order that their numbers decide, and numbers go on through the life of a process:
/// every simulation begins at a multiple of what tokio divides them by.
fn align_tasks() {
    const ENOUGH: u64 = 1_024;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let number = async || {
            let task = tokio::spawn(async { tokio::task::id().to_string() });
            let number = task.await.expect("it does nothing");
            number.parse::<u64>().expect("tokio shows a number")
        };
        while number().await % ENOUGH != 0 {}
    });
}

impl World<'_> {
    fn run(&mut self) {
        let mut faults = self.shared.plan.faults.clone().into_iter().peekable();
        let mut next_look = Duration::ZERO;
        let mut draining = false;
        loop {
            let now = self.sim.elapsed();
            self.shared.set_now(now);
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= now) {
                self.carry_out(fault);
            }
            if !self.shared.is_healed() && self.shared.plan.healed_at <= now {
                self.heal();
            }
            if let Err(error) = self.sim.step() {
                self.checker.broken("nobody fails", error.to_string());
                return;
            }
            if now < next_look {
                continue;
            }
            next_look = now + Duration::from_secs(1);
            let dump = self.checker.look();
            if !self.checker.violations.is_empty() {
                return;
            }
            if draining {
                let running = |number: usize| self.sim.is_host_running(Host::Worker(number).name());
                if !(0..self.shared.plan.workers).any(running) {
                    ending::check(&mut self.checker, &self.shared, &dump);
                    return;
                }
            } else if self.shared.user_is_done.load(Ordering::Relaxed) && ending::is_settled(&dump)
            {
                draining = true;
                for worker in &self.shared.workers {
                    let state = worker.lock().unwrap();
                    state.shutdown.as_ref().expect("it runs").drain();
                }
            }
            if LIMIT < now {
                let text = if draining {
                    "a worker does not end".to_owned()
                } else {
                    format!("{:?}, {:?}", dump.sweeps, dump.trials)
                };
                self.checker.broken("I8 all end", text);
                return;
            }
        }
    }

    fn note(&mut self, text: String) {
        self.faults += 1;
        let what = What::Fault(text);
        self.shared.record.note(self.sim.elapsed(), what);
    }

    fn carry_out(&mut self, fault: Fault) {
        const COORDINATOR: &str = "coordinator";
        self.note(format!("{fault:?}"));
        let sim = &mut self.sim;
        match fault {
            Fault::Kill(host) => self.kill(host),
            Fault::Start(host) => self.start(host),
            Fault::Drain(Host::Worker(number)) => {
                let state = self.shared.workers[number].lock().unwrap();
                if let Some(shutdown) = &state.shutdown {
                    shutdown.drain();
                }
            }
            Fault::Drain(_) => self.shared.drain_coordinator.send_modify(|n| *n += 1),
            Fault::Part(host) => sim.partition(COORDINATOR, host.name()),
            Fault::PartFrom(host) => sim.partition_oneway(COORDINATOR, host.name()),
            Fault::PartTo(host) => sim.partition_oneway(host.name(), COORDINATOR),
            Fault::Join(host) => sim.repair(COORDINATOR, host.name()),
            Fault::Hold(host) => sim.hold(COORDINATOR, host.name()),
            Fault::Release(host) => sim.release(COORDINATOR, host.name()),
            Fault::Slow(host, ms) => {
                let most = Duration::from_millis(ms).max(self.shared.plan.latency.0);
                sim.set_link_max_message_latency(COORDINATOR, host.name(), most);
            }
            Fault::Clock(ms) => {
                self.shared.clock_off.fetch_add(ms, Ordering::Relaxed);
            }
            Fault::Stall(ms) => {
                let now = u64::try_from(sim.elapsed().as_millis()).expect("minutes");
                self.shared.stalled_until.store(now + ms, Ordering::Relaxed);
            }
            Fault::Freeze(number) => {
                self.shared.workers[number].lock().unwrap().frozen = true;
                sim.hold(COORDINATOR, Host::Worker(number).name());
            }
            Fault::Thaw(number) => {
                self.shared.workers[number].lock().unwrap().frozen = false;
                sim.release(COORDINATOR, Host::Worker(number).name());
            }
        }
    }

    /// Kills a process; what its disk had not made durable is lost.
    fn kill(&mut self, host: Host) {
        if !self.down.insert(host) {
            return;
        }
        self.mourn(host);
        self.sim.crash(host.name());
        self.crash_disk(host);
    }

    /// Starts a process anew; one that runs dies first.
    fn start(&mut self, host: Host) {
        self.down.remove(&host);
        self.mourn(host);
        self.sim.bounce(host.name());
        self.crash_disk(host);
    }

    /// Notes that a worker's life ends before its time.
    fn mourn(&mut self, host: Host) {
        if let Host::Worker(number) = host
            && self.sim.is_host_running(host.name())
        {
            let mut state = self.shared.workers[number].lock().unwrap();
            let life = state.lives;
            state.killed.push(life);
            drop(state);
            let life = Life {
                worker: number,
                number: life,
            };
            let what = What::Ended(life, "killed".to_owned());
            self.shared.record.note(self.sim.elapsed(), what);
        }
    }

    fn crash_disk(&mut self, host: Host) {
        if host == Host::Coordinator {
            let pending = self.shared.disk.pending() as u64;
            let kept = self.shared.chance.lock().unwrap().between(0..=pending);
            self.shared
                .disk
                .crash(usize::try_from(kept).expect("a count"));
            self.checker.look();
        }
    }

    /// Mends everything, and lets everybody run who does not.
    fn heal(&mut self) {
        self.note("all faults are over".to_owned());
        for worker in &self.shared.workers {
            worker.lock().unwrap().frozen = false;
        }
        for host in self.hosts.clone() {
            let (a, b) = (Host::Coordinator.name(), host.name());
            self.sim.release(a, b);
            self.sim.repair(a, b);
            let most = self.shared.plan.latency.1;
            self.sim.set_link_max_message_latency(a, b, most);
        }
        self.shared.stalled_until.store(0, Ordering::Relaxed);
        let mut hosts = self.hosts.clone();
        hosts.push(Host::Coordinator);
        hosts.retain(|host| *host != Host::User);
        for host in hosts {
            let drained = match host {
                Host::Worker(number) => {
                    let state = self.shared.workers[number].lock().unwrap();
                    let shutdown = state.shutdown.as_ref();
                    shutdown.is_some_and(descent_worker::Shutdown::is_draining)
                }
                _ => true,
            };
            // One that was told to stop may be about to.
            if drained || !self.sim.is_host_running(host.name()) {
                self.start(host);
            }
        }
        self.shared.healed.send_replace(true);
    }
}
