//! What is done to a cluster: each strikes once and is over when it returns.

use std::time::{Duration, Instant};

use crate::arena::{Arena, LEASE};
use crate::harness::Dice;
use crate::proxy::Weather;
use crate::server::Server;

/// Points at which a coordinator can be made to end.
pub(crate) const POINTS: [&str; 5] = [
    "before-commit",
    "after-commit",
    "before-reply",
    "before-file",
    "after-file",
];

/// A stop signal, and the one that ends the stop.
const STOP: i32 = 19;
const CONTINUE: i32 = 18;

fn pick(dice: &mut Dice, n: usize) -> usize {
    usize::try_from(dice.below(n as u64)).expect("small")
}

/// Some time, so that faults don't strike in step with anything.
fn linger(dice: &mut Dice) {
    std::thread::sleep(Duration::from_millis(dice.below(700)));
}

/// Longer than a lease.
fn outlast(dice: &mut Dice) {
    std::thread::sleep(LEASE * 2);
    linger(dice);
}

pub(crate) fn kill_worker(arena: &mut Arena, dice: &mut Dice) {
    linger(dice);
    let worker = pick(dice, arena.workers());
    arena.worker(worker).kill();
    arena.start_worker(worker);
}

pub(crate) fn kill_coordinator(arena: &mut Arena, dice: &mut Dice) {
    linger(dice);
    let coordinator = pick(dice, arena.coordinators());
    arena.coordinator(coordinator).kill();
    linger(dice);
    arena.start_coordinator(coordinator, None);
}

/// Has the coordinator end by itself at a point that it passes.
pub(crate) fn fail_at(arena: &mut Arena, point: &str, pass: u64) {
    arena.coordinator(0).kill();
    arena.start_coordinator(0, Some(&format!("{point}:{pass}")));
    let since = Instant::now();
    while arena.coordinator(0).lines(20) && since.elapsed() < Duration::from_secs(8) {}
    arena.coordinator(0).kill();
    arena.start_coordinator(0, None);
}

pub(crate) fn pause_worker(arena: &mut Arena, dice: &mut Dice) {
    linger(dice);
    let worker = pick(dice, arena.workers());
    arena.worker(worker).signal(STOP);
    outlast(dice);
    arena.worker(worker).signal(CONTINUE);
}

pub(crate) fn pause_coordinator(arena: &mut Arena, dice: &mut Dice) {
    linger(dice);
    let coordinator = pick(dice, arena.coordinators());
    arena.coordinator(coordinator).signal(STOP);
    outlast(dice);
    arena.coordinator(coordinator).signal(CONTINUE);
}

/// Cuts one worker off, or all of them.
pub(crate) fn cut(arena: &mut Arena, dice: &mut Dice, weather: Weather) {
    linger(dice);
    match pick(dice, arena.workers() + 1) {
        worker if worker < arena.workers() => arena.set_links(worker, weather),
        _ => arena.set_all_links(weather),
    }
    outlast(dice);
    arena.set_all_links(Weather::Fair);
}

/// Closes all connections, again and again.
pub(crate) fn reset(arena: &mut Arena, dice: &mut Dice) {
    for _ in 0..5 {
        arena.set_all_links(Weather::Down);
        std::thread::sleep(Duration::from_millis(dice.below(100)));
        arena.set_all_links(Weather::Fair);
        linger(dice);
    }
}

/// Some kilobytes a second, in tiny pieces.
pub(crate) fn slow(arena: &mut Arena, dice: &mut Dice) {
    arena.set_all_links(Weather::Slow {
        bytes: 97,
        pause: Duration::from_millis(10),
    });
    outlast(dice);
    arena.set_all_links(Weather::Fair);
}

/// Sets the coordinators' clocks an hour on, or back, and right again.
pub(crate) fn step_clocks(arena: &mut Arena, dice: &mut Dice) {
    linger(dice);
    arena.set_clocks(if dice.below(2) == 0 {
        3_600_000
    } else {
        -3_600_000
    });
    outlast(dice);
    arena.set_clocks(0);
}

pub(crate) fn crash_database(server: &Server, dice: &mut Dice) {
    linger(dice);
    server.crash();
    linger(dice);
    server.up();
}

pub(crate) fn kill_backends(server: &Server, dice: &mut Dice) {
    linger(dice);
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = 'chaos' AND pid <> pg_backend_pid()",
    );
}
