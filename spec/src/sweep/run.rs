//! The `[run]` table: how a sweep is carried out. Nothing here decides a number, nothing here is part of an identity.

use crate::setting::Kind;
use crate::state::words;
use crate::value::Value;

words!(
    /// What files a trial leaves.
    Artifacts {
        /// None that outlive it.
        None = "none",
        /// The final weights.
        Final = "final",
        /// The final weights and the last checkpoint.
        All = "all",
    }
);

words!(
    /// In which order trials are worked on.
    Order {
        /// Ends of the axes first, then midpoints, all seeds of a point together: curves are readable early.
        CoarseToFine = "coarse-to-fine",
        /// As listed in the file: the first axis slowest.
        Listed = "listed",
    }
);

/// How a sweep is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// Higher goes first.
    pub priority: i64,
    /// Failures after which a trial is given up.
    pub max_failures: u32,
    /// Alike failures of so many trials in a row pause the sweep, 0: never.
    pub max_alike_failures: u32,
    /// Time limit of one attempt in seconds, 0: none.
    pub time_limit_s: u64,
    /// Seconds without a step after which an attempt counts as hung, 0: by the time between checkpoints.
    pub stall_s: u32,
    /// Seconds between checkpoints.
    pub checkpoint_s: u32,
    /// Epochs between checkpoints, 0: by time only.
    pub checkpoint_epochs: u32,
    /// What files trials leave.
    pub artifacts: Artifacts,
    /// Device that trials must be trained on, such as `cpu` or `cuda`.
    pub device: Option<String>,
    /// Instruction set that trials must be trained with, such as `avx512`.
    pub instruction_set: Option<String>,
    /// Most points that the sweep may have.
    pub max_points: u64,
    /// In which order trials are worked on.
    pub order: Order,
}

/// One row of the table of run settings.
#[derive(Clone, Copy, Debug)]
pub struct RunSetting {
    /// Its name.
    pub name: &'static str,
    /// Type and bounds.
    pub kind: Kind,
    /// Its default in words.
    pub default: &'static str,
    /// One line about its meaning.
    pub doc: &'static str,
    set: fn(&mut RunSettings, Value),
}

const fn whole(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

fn to_u64(value: &Value) -> u64 {
    match value {
        Value::Integer(value) => *value,
        _ => unreachable!("the kind is a whole number"),
    }
}

fn to_u32(value: &Value) -> u32 {
    u32::try_from(to_u64(value)).expect("the kind is bounded")
}

/// Every run setting, sorted by name.
pub static RUN_SETTINGS: [RunSetting; 12] = [
    RunSetting {
        name: "artifacts",
        kind: Kind::Word(&["none", "final", "all"]),
        default: "\"final\"",
        doc: "What files trials leave: none, the final weights, or the last checkpoint as well.",
        set: |run, value| {
            run.artifacts = value
                .as_text()
                .and_then(Artifacts::from_word)
                .expect("listed words");
        },
    },
    RunSetting {
        name: "checkpoint_epochs",
        kind: whole(0, u32::MAX as u64),
        default: "0",
        doc: "Epochs between checkpoints; 0: by time only.",
        set: |run, value| run.checkpoint_epochs = to_u32(&value),
    },
    RunSetting {
        name: "checkpoint_s",
        kind: whole(1, 86_400),
        default: "30",
        doc: "Seconds between checkpoints.",
        set: |run, value| run.checkpoint_s = to_u32(&value),
    },
    RunSetting {
        name: "device",
        kind: Kind::Text { max: 32 },
        default: "any",
        doc: "Device that trials must be trained on, such as \"cpu\" or \"cuda\".",
        set: |run, value| run.device = value.as_text().map(str::to_owned),
    },
    RunSetting {
        name: "instruction_set",
        kind: Kind::Text { max: 32 },
        default: "any",
        doc: "Instruction set that trials must be trained with, such as \"avx512\": for equal bits on unequal machines.",
        set: |run, value| run.instruction_set = value.as_text().map(str::to_owned),
    },
    RunSetting {
        name: "max_alike_failures",
        kind: whole(0, 1_000),
        default: "10",
        doc: "Alike failures of so many trials in a row pause the sweep: something common to all is broken; 0: never.",
        set: |run, value| run.max_alike_failures = to_u32(&value),
    },
    RunSetting {
        name: "max_failures",
        kind: whole(1, 1_000),
        default: "3",
        doc: "Failures after which a trial is given up.",
        set: |run, value| run.max_failures = to_u32(&value),
    },
    RunSetting {
        name: "max_points",
        kind: whole(1, 1_000_000_000),
        default: "1000000",
        doc: "Most points that the sweep may have before exclusion: catches a typo that would fill a cluster.",
        set: |run, value| run.max_points = to_u64(&value),
    },
    RunSetting {
        name: "order",
        kind: Kind::Word(&["coarse-to-fine", "listed"]),
        default: "\"coarse-to-fine\"",
        doc: "Order of work: ends of the axes first and then midpoints, or as listed, the first axis slowest.",
        set: |run, value| {
            run.order = value
                .as_text()
                .and_then(Order::from_word)
                .expect("listed words");
        },
    },
    RunSetting {
        name: "priority",
        kind: whole(0, 1_000),
        default: "100",
        doc: "Sweeps of higher priority go first.",
        set: |run, value| run.priority = i64::from(to_u32(&value)),
    },
    RunSetting {
        name: "stall_s",
        kind: whole(0, 31_536_000),
        default: "0",
        doc: "Seconds without a step after which an attempt counts as hung; 0: 20 times checkpoint_s, 600 at least.",
        set: |run, value| run.stall_s = to_u32(&value),
    },
    RunSetting {
        name: "time_limit_s",
        kind: whole(0, 31_536_000),
        default: "0",
        doc: "Time limit of one attempt in seconds; 0: none.",
        set: |run, value| run.time_limit_s = to_u64(&value),
    },
];

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            priority: 100,
            max_failures: 3,
            max_alike_failures: 10,
            stall_s: 0,
            time_limit_s: 0,
            checkpoint_s: 30,
            checkpoint_epochs: 0,
            artifacts: Artifacts::Final,
            device: None,
            instruction_set: None,
            max_points: 1_000_000,
            order: Order::CoarseToFine,
        }
    }
}

impl RunSettings {
    /// Time without a step after which an attempt counts as hung, in milliseconds.
    ///
    /// A step of the largest network takes seconds; what takes minutes is reading data, compiling kernels, or a slow disk.
    #[must_use]
    pub fn stall_ms(&self) -> u64 {
        const LEAST_S: u64 = 600;
        let seconds = match self.stall_s {
            0 => (20 * u64::from(self.checkpoint_s)).max(LEAST_S),
            chosen => u64::from(chosen),
        };
        seconds * 1000
    }

    /// Sets what a row of the table names; `value` has passed its kind.
    pub(crate) fn set(&mut self, row: &RunSetting, value: Value) {
        (row.set)(self, value);
    }
}
