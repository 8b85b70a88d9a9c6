//! Measurements that wait for the coordinator, in order: the oldest on disk, the newest in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use descent_spec::outcome::Measurement;

use super::{Spool, Spooled};

/// Fewer are not worth a file.
const WORTH_A_FILE: usize = 1024;
/// Bytes of one measurement.
const MEASUREMENT: usize = 4 + 1 + 6 * 8 + 4;
/// Bytes of a record in a file: a measurement and the sum that tells whether it is the one that was written at this place.
const RECORD: usize = MEASUREMENT + SUM;
const SUM: usize = 8;

/// Measurements in the order in which they were made.
#[derive(Default)]
pub(crate) struct Backlog {
    spilled: Option<Spilled>,
    /// Some are on their way to the disk: those behind them have to wait.
    spilling: bool,
    memory: VecDeque<Measurement>,
}

/// The older part.
pub(crate) struct Spilled {
    file: Spooled,
    /// Records behind us, and records in all.
    read: u64,
    written: u64,
}

/// What is taken out to be written.
pub(crate) struct Batch {
    spilled: Option<Spilled>,
    measurements: VecDeque<Measurement>,
}

impl Backlog {
    pub(crate) fn push(&mut self, measurement: Measurement) {
        self.memory.push_back(measurement);
    }

    pub(crate) fn len(&self) -> usize {
        let spilled = self.spilled.as_ref();
        let spilled = spilled.map_or(0, |spilled| spilled.written - spilled.read);
        // While some are taken out, more than none have to be waited for.
        usize::try_from(spilled).unwrap_or(usize::MAX)
            + self.memory.len()
            + usize::from(self.spilling)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest, at most so many; none while some are on their way to the disk.
    ///
    /// # Errors
    /// When the file was taken away, is damaged or cannot be read; what it held is gone then.
    pub(crate) fn take(&mut self, most: usize) -> io::Result<Vec<Measurement>> {
        if self.spilling {
            return Ok(Vec::new());
        }
        if let Some(mut spilled) = self.spilled.take() {
            let taken = spilled.take(most)?;
            if spilled.read < spilled.written {
                self.spilled = Some(spilled);
            }
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        let n = most.min(self.memory.len());
        Ok(self.memory.drain(..n).collect())
    }

    /// Takes out what shall go to disk, if it is worth it. It has to come back by [`Self::spilled`].
    pub(crate) fn begin_spill(&mut self) -> Option<Batch> {
        if self.spilling || self.memory.len() < WORTH_A_FILE {
            return None;
        }
        self.spilling = true;
        Some(Batch {
            spilled: self.spilled.take(),
            measurements: std::mem::take(&mut self.memory),
        })
    }

    /// Takes back what was written, and what could not be.
    pub(crate) fn end_spill(&mut self, batch: Batch) {
        self.spilling = false;
        self.spilled = batch.spilled;
        let newer = std::mem::replace(&mut self.memory, batch.measurements);
        self.memory.extend(newer);
    }
}

impl Batch {
    /// Writes it behind what is on disk already; what cannot be written stays in memory. Blocks.
    pub(crate) fn write(&mut self, spool: &Spool) {
        let first = self.spilled.as_ref().map_or(0, |spilled| spilled.written);
        let bytes: Vec<u8> = (first..)
            .zip(&self.measurements)
            .flat_map(|(number, measurement)| record(number, measurement))
            .collect();
        let count = self.measurements.len() as u64;
        match &mut self.spilled {
            Some(spilled) => {
                let at = spilled.written * RECORD as u64;
                match write_at(&spilled.file, at, &bytes) {
                    Ok(()) => spilled.written += count,
                    Err(error) => {
                        spool.complain(&spilled.file.path, &error);
                        return;
                    }
                }
            }
            None => {
                let Some(file) = spool.file(|path| std::fs::write(path, &bytes)) else {
                    return;
                };
                self.spilled = Some(Spilled {
                    file,
                    read: 0,
                    written: count,
                });
            }
        }
        self.measurements.clear();
    }
}

impl Spilled {
    fn take(&mut self, most: usize) -> io::Result<Vec<Measurement>> {
        let count = (self.written - self.read).min(most as u64);
        let mut file = File::open(&self.file.path)?;
        file.seek(SeekFrom::Start(self.read * RECORD as u64))?;
        let mut taken = Vec::new();
        let mut record = [0; RECORD];
        for number in self.read..self.read + count {
            file.read_exact(&mut record)?;
            let (measurement, found) = record.split_at(MEASUREMENT);
            if found != sum(number, measurement) {
                let path = self.file.path.display();
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{path} is damaged at measurement {number}: look at that disk"),
                ));
            }
            taken.push(decode(measurement));
        }
        self.read += count;
        Ok(taken)
    }
}

/// Writes at a place, so that what an earlier write that failed left half done is written over.
fn write_at(file: &Spooled, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(&file.path)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// What is written of a measurement.
fn record(number: u64, measurement: &Measurement) -> Vec<u8> {
    let mut bytes = encode(measurement);
    let sum = sum(number, &bytes);
    bytes.extend(sum);
    bytes
}

fn sum(number: u64, measurement: &[u8]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(measurement);
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM]);
    sum
}

/// A measurement bit for bit: its epoch, which numbers there are, the numbers.
fn encode(measurement: &Measurement) -> Vec<u8> {
    let numbers = numbers(measurement);
    let mut bytes = Vec::with_capacity(RECORD);
    bytes.extend(measurement.epoch.to_le_bytes());
    let there = numbers.iter().map(Option::is_some);
    let there = there.chain([measurement.dead_units.is_some()]);
    bytes.push(
        (0..)
            .zip(there)
            .fold(0, |mask, (bit, there)| mask | u8::from(there) << bit),
    );
    for number in numbers {
        bytes.extend(number.unwrap_or_default().to_bits().to_le_bytes());
    }
    bytes.extend(measurement.dead_units.unwrap_or_default().to_le_bytes());
    bytes
}

fn numbers(of: &Measurement) -> [Option<f64>; 6] {
    [
        of.train_loss,
        of.train_error,
        of.validation_loss,
        of.validation_error,
        of.test_loss,
        of.test_error,
    ]
}

fn decode(record: &[u8]) -> Measurement {
    let int = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&record[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let is_there = |bit: usize| record[4] >> bit & 1 == 1;
    let number = |i: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&record[5 + 8 * i..13 + 8 * i]);
        is_there(i).then(|| f64::from_bits(u64::from_le_bytes(bytes)))
    };
    Measurement {
        epoch: int(0),
        train_loss: number(0),
        train_error: number(1),
        validation_loss: number(2),
        validation_error: number(3),
        test_loss: number(4),
        test_error: number(5),
        dead_units: is_there(6).then(|| int(MEASUREMENT - 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(epoch: u32) -> Measurement {
        let x = f64::from(epoch) / 3.0;
        Measurement {
            epoch,
            train_loss: Some(x),
            train_error: None,
            validation_loss: epoch.is_multiple_of(2).then_some(f64::INFINITY),
            validation_error: Some(-0.0),
            test_loss: None,
            test_error: Some(1e-310),
            dead_units: epoch.is_multiple_of(3).then_some(epoch),
        }
    }

    fn spill(backlog: &mut Backlog, spool: &Spool) -> bool {
        let Some(mut batch) = backlog.begin_spill() else {
            return false;
        };
        batch.write(spool);
        backlog.end_spill(batch);
        true
    }

    #[test]
    fn measurements_come_back_in_order_and_bit_for_bit() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(parent.path().to_owned()));
        let mut backlog = Backlog::default();
        let mut taken = Vec::new();
        let mut epoch = 0;
        let mut more = |backlog: &mut Backlog, n: u32| {
            for _ in 0..n {
                backlog.push(measurement(epoch));
                epoch += 1;
            }
        };
        more(&mut backlog, 10);
        assert!(!spill(&mut backlog, &spool));
        more(&mut backlog, 2000);
        assert!(spill(&mut backlog, &spool));
        assert!(backlog.memory.is_empty());
        taken.extend(backlog.take(700).unwrap());
        more(&mut backlog, 1500);
        assert!(spill(&mut backlog, &spool));
        more(&mut backlog, 5);
        // While some are being written, nobody gets those behind them.
        more(&mut backlog, 2000);
        let mut batch = backlog.begin_spill().unwrap();
        more(&mut backlog, 3);
        assert!(backlog.take(9).unwrap().is_empty() && !backlog.is_empty());
        batch.write(&spool);
        backlog.end_spill(batch);
        while !backlog.is_empty() {
            taken.extend(backlog.take(512).unwrap());
        }
        let expected: Vec<Measurement> = (0..epoch).map(measurement).collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn what_finds_no_place_stays_in_memory() {
        let spool = Spool::new(None);
        let mut backlog = Backlog::default();
        for epoch in 0..3000 {
            backlog.push(measurement(epoch));
        }
        assert!(spill(&mut backlog, &spool));
        assert_eq!(backlog.take(usize::MAX).unwrap().len(), 3000);
    }

    #[test]
    fn a_file_that_is_damaged_is_not_taken_for_what_was_measured() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(parent.path().to_owned()));
        let flip = |bytes: &mut Vec<u8>| bytes[10 * RECORD + 7] ^= 1;
        let swap = |bytes: &mut Vec<u8>| bytes.rotate_left(RECORD);
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
        let damages: [fn(&mut Vec<u8>); 3] = [flip, swap, cut];
        for damage in damages {
            let mut backlog = Backlog::default();
            (0..2000).for_each(|epoch| backlog.push(measurement(epoch)));
            assert!(spill(&mut backlog, &spool));
            let path = backlog.spilled.as_ref().unwrap().file.path.clone();
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
            assert!(backlog.take(2000).is_err());
        }
    }
}
