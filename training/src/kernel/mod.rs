//! The arithmetic of dense layers: two products, written so that a column's bits depend on nothing but that column.
//!
//! Every element of either product is one chain of multiply-adds in ascending order of the summed index, held in one lane of
//! one register. Which columns lie beside it, how many there are, how many rows a tile has and how wide the registers are
//! change who computes a chain, never the chain. So a network's numbers are the same alone and in any company, and the same
//! with AVX2 as with AVX-512 (general matrix libraries promise neither: they split sums by the shape of the whole product).
//!
//! Two layouts make both products walk through memory in order, without packing:
//! * *tiles* of what is summed over: `[⌈samples / 8⌉][⌈columns / 8⌉][8 samples][8 columns]`; see [`tile_index`];
//! * *panels* of units: `[columns / panel][rows][panel]`, two or three registers wide; see [`Panels`].

mod descend;
mod exponential;
mod forward;
mod hadamard;
mod lanes;
mod middle;
mod rule;
mod sheet;

pub(crate) use descend::Descend;
pub(crate) use forward::Forward;
pub(crate) use hadamard::{Hadamard, MIN_HADAMARD};
pub(crate) use lanes::Lanes;
pub(crate) use middle::{MOST_OUTPUTS, Middle, Outputs};
pub(crate) use rule::{Kept, Rule};
pub(crate) use sheet::{Gate, Gather, Retile, Sheet, Transpose};

use pulp::{Arch, Simd, WithSimd};

/// Columns of a tile. A member's first unit lies at a multiple of it.
pub(crate) const TILE: usize = 8;

/// Most registers across a panel. With 8 rows of 3 registers, 24 of AVX-512's 32 hold sums.
pub(crate) const PANEL_REGISTERS: usize = 3;

/// Numbers of one tile: 8 samples of 8 columns.
pub(crate) const SQUARE: usize = TILE * TILE;

/// Numbers that 8 samples of so many columns take as tiles.
pub(crate) const fn tile_block(columns: usize) -> usize {
    columns.div_ceil(TILE) * SQUARE
}

/// Where a value lies in tiles of so many columns.
pub(crate) const fn tile_index(column: usize, sample: usize, columns: usize) -> usize {
    sample / TILE * tile_block(columns)
        + column / TILE * SQUARE
        + sample % TILE * TILE
        + column % TILE
}

/// How units (columns) are cut into panels: all of the full width but the last, which is as narrow as whole registers allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    columns: usize,
    full: usize,
}

/// One panel: its first column and its width, both in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) first: usize,
    pub(crate) width: usize,
}

impl Panels {
    pub(crate) fn new(columns: usize, isa: Isa) -> Self {
        Self {
            columns: columns.next_multiple_of(isa.lanes()),
            full: isa.panel_registers() * isa.lanes(),
        }
    }

    /// Columns including those that only fill the last register.
    pub(crate) const fn columns(self) -> usize {
        self.columns
    }

    /// Columns of every panel but the last.
    pub(crate) const fn full(self) -> usize {
        self.full
    }

    /// The panel that a column lies in.
    pub(crate) fn of(self, column: usize) -> Panel {
        // Most layers have one panel, and a division takes long.
        let first = if column < self.full {
            0
        } else {
            column / self.full * self.full
        };
        Panel {
            first,
            width: self.full.min(self.columns - first),
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Panel> {
        (0..self.columns)
            .step_by(self.full)
            .map(move |first| self.of(first))
    }

    /// Where a value lies, in panels of so many rows.
    pub(crate) fn index(self, row: usize, column: usize, rows: usize) -> usize {
        let panel = self.of(column);
        panel.first * rows + row * panel.width + column - panel.first
    }
}

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// Plain arrays of 8, for the compiler to vectorise; products and sums are rounded separately.
    Portable,
}

impl Isa {
    /// The widest one of this processor.
    pub(crate) fn detect() -> Self {
        match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => Self::Avx512(simd),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => Self::Avx2(simd),
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(simd) => Self::Neon(simd),
            _ => Self::Portable,
        }
    }

    /// The one of this name, if this processor has it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            #[cfg(target_arch = "x86_64")]
            "avx512" => pulp::x86::V4::try_new().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            "avx2" => pulp::x86::V3::try_new().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            "neon" => pulp::aarch64::Neon::try_new().map(Self::Neon),
            "portable" => Some(Self::Portable),
            _ => None,
        }
    }

    /// Its name, as recorded with results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable => "portable",
        }
    }

    /// Numbers per register: a multiple of [`TILE`].
    pub(crate) const fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 8,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => 8,
            Self::Portable => 8,
        }
    }

    /// Registers across a panel. Where there are 16, 4 rows of 2 hold 8 sums: enough to keep two multipliers busy, and
    /// the compiler has no reason to spill any.
    const fn panel_registers(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 2,
            Self::Portable => 2,
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => PANEL_REGISTERS,
        }
    }

    /// Runs an operation on registers of 8 numbers, whatever the widest are: for what is cut into tiles.
    pub(crate) fn run_narrow(self, op: impl Op) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => {
                let simd = pulp::x86::V3::try_new().expect("AVX-512 comes with AVX2");
                Simd::vectorize(simd, Dispatched(op));
            }
            _ => self.run(op),
        }
    }

    /// Runs an operation compiled for this instruction set.
    pub(crate) fn run(self, op: impl Op) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, Dispatched(op)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, Dispatched(op)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, DispatchedInPairs(op)),
            Self::Portable => op.run(lanes::Portable),
        }
    }
}

/// An operation written once for every instruction set.
pub(crate) trait Op {
    /// Must be inlined, or it is compiled without the instructions that it asks for.
    fn run<L: Lanes>(self, lanes: L);
}

#[cfg(target_arch = "x86_64")]
struct Dispatched<O>(O);

#[cfg(target_arch = "x86_64")]
impl<O: Op> WithSimd for Dispatched<O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run(lanes::Fused(simd));
    }
}

#[cfg(target_arch = "aarch64")]
struct DispatchedInPairs<O>(O);

#[cfg(target_arch = "aarch64")]
impl<O: Op> WithSimd for DispatchedInPairs<O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run(lanes::Paired(simd));
    }
}

#[cfg(test)]
mod tests;
