//! The tests themselves: seeds, broken guards, and equal traces.

use std::fmt::Write as _;
use std::ops::Range;
use std::process::{Child, Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::arguments::Arguments;
use crate::broken::{ALL, Broken};
use crate::simulate::{Outcome, simulate};

/// Seeds that run with every change, in parts that a test runner can run side by side.
const SEEDS: u64 = 480;
const PARTS: u64 = 8;

/// Runs the tests that are asked for, or lists them.
pub(crate) fn all(arguments: &Arguments) -> ExitCode {
    let mut names: Vec<String> = (0..PARTS)
        .map(|part| format!("seeds_part_{part}"))
        .collect();
    names.extend(ALL.iter().map(|(broken, _)| format!("notices_{broken:?}")));
    names.push("same_seed_same_trace".to_owned());
    names.retain(|name| arguments.wants(name) && !arguments.ignored);
    if arguments.list {
        for name in names {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = false;
    for name in names {
        let began = Instant::now();
        let result = run(&name);
        let took = began.elapsed().as_secs_f64();
        match result {
            Ok(said) => println!("test {name} ... ok ({said}, {took:.1} s)"),
            Err(why) => {
                failed = true;
                println!("test {name} ... FAILED ({took:.1} s)\n{why}");
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn run(name: &str) -> Result<String, String> {
    if let Some(part) = name.strip_prefix("seeds_part_") {
        let part: u64 = part.parse().expect("as listed");
        let size = SEEDS / PARTS;
        let mut sum = Sum::default();
        for seed in part * size..(part + 1) * size {
            let outcome = fresh(seed, None);
            if !outcome.violations.is_empty() {
                return Err(complaint(seed, &outcome));
            }
            sum.add(&outcome);
        }
        return Ok(sum.to_string());
    }
    if let Some(name) = name.strip_prefix("notices_") {
        let (broken, within) = named(name).expect("as listed");
        for seed in 0..within {
            let outcome = fresh(seed, Some(broken));
            if let Some(violation) = outcome.violations.first() {
                return Ok(format!("seed {seed}: {violation:.120}"));
            }
        }
        return Err(format!("{broken:?} went unnoticed for {within} seeds"));
    }
    same_traces()
}

fn named(name: &str) -> Option<(Broken, u64)> {
    let mut all = ALL.into_iter();
    all.find(|(broken, _)| format!("{broken:?}") == name)
}

/// One seed on a thread of its own, so that nothing of the one before is left.
fn fresh(seed: u64, broken: Option<Broken>) -> Outcome {
    let run = move || simulate(seed, broken);
    std::thread::spawn(run)
        .join()
        .expect("it says how it ended")
}

/// What a person needs to look into a seed.
fn complaint(seed: u64, outcome: &Outcome) -> String {
    let mut text = format!("seed {seed} breaks what must hold:\n");
    for violation in &outcome.violations {
        let _ = writeln!(text, "  {violation}");
    }
    let lines = outcome.shared.record.lines();
    let _ = writeln!(text, "the last of its {} lines:", lines.len());
    for line in &lines[lines.len().saturating_sub(40)..] {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(
        text,
        "all of it again: cargo test --test simulation -- --seed {seed} --trace"
    );
    text
}

/// One seed again, with its trace.
pub(crate) fn replay(seed: u64, broken: Option<&str>, trace: bool) -> ExitCode {
    let broken = broken.and_then(named).map(|(broken, _)| broken);
    let (outcome, log) = if trace {
        traced(seed, broken)
    } else {
        (fresh(seed, broken), String::new())
    };
    print!("{log}");
    println!("{:#?}", outcome.shared.plan);
    if outcome.violations.is_empty() {
        println!("seed {seed}: nothing is broken; {}", Sum::of(&outcome));
        return ExitCode::SUCCESS;
    }
    println!("{}", complaint(seed, &outcome));
    ExitCode::FAILURE
}

/// Many seeds, in as many processes as there are processors: tokio numbers the tasks of a process, and in the order of their
/// numbers they end with a host that is killed.
pub(crate) fn many(seeds: Range<u64>, processes: Option<usize>) -> ExitCode {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processes = processes.unwrap_or(processors) as u64;
    if processes <= 1 {
        return some(seeds);
    }
    let size = (seeds.end - seeds.start).div_ceil(processes).max(1);
    let begins = (0..processes).map(|part| seeds.start + part * size);
    let parts = begins.filter(|begin| *begin < seeds.end).map(|begin| {
        let end = seeds.end.min(begin + size);
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--seeds", &format!("{begin}..{end}"), "--threads", "1"]);
        command.spawn().expect("a process")
    });
    let parts: Vec<Child> = parts.collect();
    let ended = parts
        .into_iter()
        .map(|mut part| part.wait().expect("its end"));
    let failed = ended.filter(|status| !status.success()).count();
    ExitCode::from(u8::from(failed > 0))
}

fn some(seeds: Range<u64>) -> ExitCode {
    let (mut sum, mut failed) = (Sum::default(), 0);
    let began = Instant::now();
    for seed in seeds {
        let outcome = fresh(seed, None);
        if !outcome.violations.is_empty() {
            failed += 1;
            println!("{}", complaint(seed, &outcome));
        }
        sum.add(&outcome);
        if failed == 5 {
            break;
        }
        if sum.seeds % 10_000 == 0 {
            println!("{sum} in {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{sum}, {failed} failed, in {took:.1} s");
    ExitCode::from(u8::from(failed > 0))
}

/// What many seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    simulated: Duration,
    faults: u64,
    calls: u64,
    steps: u64,
    twice: u64,
}

impl Sum {
    fn of(outcome: &Outcome) -> Self {
        let mut sum = Self::default();
        sum.add(outcome);
        sum
    }

    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.faults += outcome.faults;
        self.calls += outcome.calls;
        self.steps += outcome.steps.0;
        self.twice += outcome.steps.1;
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} seeds, {:.1} simulated hours, {} faults, {} calls, {} steps, {} of them again",
            self.seeds,
            self.simulated.as_secs_f64() / 3600.0,
            self.faults,
            self.calls,
            self.steps,
            self.twice
        )
    }
}

/// Every log line of the product and every message on the simulated network, besides what the record holds.
fn traced(seed: u64, broken: Option<Broken>) -> (Outcome, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_env_filter(
            "turmoil=trace,descent=debug,descent_coordinator=debug,descent_worker=debug",
        )
        .with_ansi(false)
        .with_timer(Simulated)
        .with_writer(log.clone())
        .finish();
    let run = move || tracing::subscriber::with_default(subscriber, || simulate(seed, broken));
    let outcome = std::thread::spawn(run)
        .join()
        .expect("it says how it ended");
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    (outcome, text)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        write!(w, "{:>9.3}", now.as_secs_f64())
    }
}

/// The same seed twice: line by line the same, on the network, in the logs and in the record.
fn same_traces() -> Result<String, String> {
    let mut compared = 0;
    for seed in 0..12 {
        let [(first, log), (second, again)] = [traced(seed, None), traced(seed, None)];
        let record = |outcome: &Outcome| -> Vec<String> {
            let lines = outcome.shared.record.lines();
            lines.iter().map(ToString::to_string).collect()
        };
        // Without the bytes that travel: the dates in HTTP's headers are the machine's.
        let lines = |log: &str| -> Vec<String> {
            let without = |line: &str| line.split(" [0x").next().unwrap_or_default().to_owned();
            let mut lines: Vec<String> = log.lines().map(without).collect();
            // Of messages that one host sends to several in the same instant, any may go first.
            for instant in lines.split_mut(|line| line.contains("turmoil: step ")) {
                instant.sort();
            }
            lines
        };
        for (one, other) in [
            (lines(&log), lines(&again)),
            (record(&first), record(&second)),
        ] {
            compared += one.len();
            let differs = one.iter().zip(&other).position(|(one, other)| one != other);
            if let Some(at) = differs {
                let from = at.saturating_sub(3);
                return Err(format!(
                    "seed {seed} took two ways from line {at}:\n{}\n--- or ---\n{}",
                    one[from..=at].join("\n"),
                    other[from..=at].join("\n")
                ));
            }
            if one.len() != other.len() {
                return Err(format!(
                    "seed {seed}: {} and {} lines",
                    one.len(),
                    other.len()
                ));
            }
        }
    }
    Ok(format!("{compared} lines"))
}
