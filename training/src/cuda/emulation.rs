//! The kernels without a device: compiled for the processor, run by a process of its own, and held to the processor's fast path.
//!
//! What is not covered: CUDA's own products, captures, and real concurrency. See `emulator/` for what is checked on the way.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::machine::{
    Arg, Buffer, Fault, Kernel, Machine, Matrix, Product, Resident, SOURCE, THREADS, rows,
};
use crate::data::Prepared;

mod tests;

/// A device in another process.
pub(crate) struct Emulator {
    child: Child,
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
    next: u32,
    /// Bytes of every buffer, by its number.
    sizes: Vec<usize>,
    /// Bytes that may still be taken.
    pub(crate) memory: usize,
    /// Launches until it is gone.
    pub(crate) life: usize,
    /// Buffers that were not given back.
    pub(crate) held: Arc<AtomicUsize>,
    recording: Option<Vec<Vec<u8>>>,
}

impl Emulator {
    /// Starts it; `None`, and a line that says so, where there is no C++ compiler.
    pub(crate) fn start() -> Option<Self> {
        let mut child = Command::new(build()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = BufWriter::new(child.stdin.take().unwrap());
        let from = BufReader::new(child.stdout.take().unwrap());
        Some(Self {
            child,
            to,
            from,
            next: 0,
            sizes: Vec::new(),
            memory: usize::MAX,
            life: usize::MAX,
            held: Arc::default(),
            recording: None,
        })
    }

    fn send(&mut self, command: &[u8]) {
        self.to.write_all(command).unwrap();
    }

    /// Sends or records work; counts down to the end of the device's life.
    fn work(&mut self, command: Vec<u8>) -> Result<(), Fault> {
        match &mut self.recording {
            Some(recording) => recording.push(command),
            None if self.life == 0 => return Err(Fault::Device("gone".to_owned())),
            None => {
                self.life -= 1;
                self.send(&command);
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Buffer {
        let buffer = self.allocate(bytes.len().max(1)).unwrap();
        self.write(buffer, bytes).unwrap();
        buffer
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn sized(command: u32, buffer: Buffer, sizes: &[usize]) -> Vec<u8> {
    let mut bytes = words(&[command, buffer.0]);
    bytes.extend(sizes.iter().flat_map(|&size| (size as u64).to_le_bytes()));
    bytes
}

impl Machine for Emulator {
    type Recording = Vec<Vec<u8>>;

    fn allocate(&mut self, bytes: usize) -> Result<Buffer, Fault> {
        assert!(bytes > 0 && self.recording.is_none());
        if bytes > self.memory {
            return Err(Fault::OutOfMemory(format!("{bytes} bytes")));
        }
        self.memory -= bytes;
        self.held.fetch_add(1, Ordering::Relaxed);
        let buffer = Buffer(self.next);
        self.next += 1;
        self.sizes.push(bytes);
        self.send(&sized(0, buffer, &[bytes]));
        Ok(buffer)
    }

    fn free(&mut self, buffer: Buffer) {
        let size = std::mem::take(&mut self.sizes[buffer.0 as usize]);
        assert!(size > 0, "freed twice");
        self.held.fetch_sub(1, Ordering::Relaxed);
        self.memory = self.memory.saturating_add(size);
        self.send(&words(&[1, buffer.0]));
    }

    fn write(&mut self, to: Buffer, bytes: &[u8]) -> Result<(), Fault> {
        assert!(self.recording.is_none());
        self.send(&sized(2, to, &[0, bytes.len()]));
        self.send(bytes);
        Ok(())
    }

    fn read(&mut self, from: Buffer, bytes: &mut [u8]) -> Result<(), Fault> {
        assert!(self.recording.is_none());
        if self.life == 0 {
            return Err(Fault::Device("gone".to_owned()));
        }
        self.send(&sized(3, from, &[0, bytes.len()]));
        self.to.flush().unwrap();
        self.from
            .read_exact(bytes)
            .expect("the emulator says on stderr what went wrong");
        Ok(())
    }

    fn launch(
        &mut self,
        kernel: Kernel,
        blocks: (usize, usize),
        args: &[Arg],
    ) -> Result<(), Fault> {
        let number = |count: usize| u32::try_from(count).unwrap();
        let mut command = words(&[4, number(kernel.name().len())]);
        command.extend(kernel.name().as_bytes());
        let grid = [blocks.0, blocks.1, THREADS, args.len()].map(number);
        command.extend(words(&grid));
        for arg in args {
            let (pointer, buffer, value) = match *arg {
                Arg::Start(buffer) => (1, buffer.0, 0),
                Arg::Number(number) => (0, 0, number),
            };
            command.extend(words(&[pointer, buffer, value, 0]));
        }
        self.work(command)
    }

    fn multiply(&mut self, product: &Product) -> Result<(), Fault> {
        let number = |count: usize| u32::try_from(count).unwrap();
        let sizes = [product.rows, product.columns, product.depth].map(number);
        let mut command = words(&[5, u32::from(product.transposed)]);
        command.extend(words(&sizes));
        for Matrix {
            buffer,
            pitch,
            first,
        } in [product.left, product.right, product.out]
        {
            command.extend(words(&[buffer.0]));
            command.extend((4 * (first * pitch) as u64).to_le_bytes());
            command.extend(words(&[number(pitch)]));
        }
        self.work(command)
    }

    fn samples(&mut self, data: &Arc<Prepared>) -> Result<Resident, Fault> {
        let mut split = |x: &[f32]| {
            let x = rows(x, data.inputs);
            self.put(pulp::bytemuck::cast_slice(&x))
        };
        let [train, validation, test] = [
            split(&data.train_x),
            split(&data.validation_x),
            split(&data.test_x),
        ];
        Ok(Resident {
            train,
            validation,
            test,
            validation_labels: self.put(&data.validation_y),
            test_labels: self.put(&data.test_y),
        })
    }

    fn release(&mut self, samples: Resident) {
        let Resident {
            train,
            validation,
            test,
            validation_labels,
            test_labels,
        } = samples;
        for buffer in [train, validation, test, validation_labels, test_labels] {
            self.free(buffer);
        }
    }

    fn record(&mut self) -> Result<(), Fault> {
        assert!(self.recording.is_none());
        self.recording = Some(Vec::new());
        Ok(())
    }

    fn recorded(&mut self) -> Result<Self::Recording, Fault> {
        Ok(self.recording.take().unwrap())
    }

    fn replay(&mut self, recording: &Self::Recording) -> Result<(), Fault> {
        for command in recording {
            self.work(command.clone())?;
        }
        Ok(())
    }
}

/// The compiled emulator, kept beside this test under a name that its text gives.
fn build() -> Option<PathBuf> {
    let text = [
        include_str!("emulator/shim.h"),
        SOURCE,
        include_str!("emulator/main.cpp"),
    ]
    .concat();
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap();
    let program = folder.join(format!("descent-emulator-{}", &hash[..16]));
    if program.exists() {
        return Some(program);
    }
    let own = tempfile::tempdir_in(folder).unwrap();
    let (source, made) = (own.path().join("emulator.cpp"), own.path().join("emulator"));
    std::fs::write(&source, text).unwrap();
    let given = std::env::var("CXX").ok();
    for compiler in given
        .as_deref()
        .into_iter()
        .chain(["c++", "g++", "clang++"])
    {
        let arguments = ["-std=c++17", "-O1", "-ffp-contract=off", "-o"];
        let made_it = Command::new(compiler)
            .args(arguments)
            .args([&made, &source])
            .status();
        match made_it {
            Ok(status) => {
                assert!(status.success(), "the kernels do not compile");
                // Tests that run side by side may all do so.
                std::fs::rename(&made, &program).unwrap();
                return Some(program);
            }
            Err(_) => continue,
        }
    }
    eprintln!("skipped: no C++ compiler (c++, g++, clang++ or $CXX)");
    None
}
