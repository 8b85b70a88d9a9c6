//! Makes the embedded data set `mnist-4k` from full MNIST:
//!
//! ```text
//! cargo run --release -p descent-training --example make_mnist_4k -- FOLDER_WITH_MNIST training/data/mnist-4k
//! ```

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use descent_training::data::{Samples, known, read_folder};
use descent_training::stream::Stream;
use flate2::{Compression, GzBuilder};

/// The recorded draw: the stream of this name with this seed orders all training images; the first 4,000 are taken.
const STREAM: &str = "mnist-4k";
const SEED: u64 = 0;
const SAMPLES: usize = 4_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, target] = arguments.as_slice() else {
        return Err("usage: make_mnist_4k FOLDER_WITH_MNIST TARGET_FOLDER".into());
    };
    let mnist = read_folder(source)?;
    if known::find("mnist").and_then(|known| known.content) != Some(mnist.hash()) {
        return Err(format!(
            "{}: is not MNIST: its content is {}",
            source.display(),
            mnist.hash()
        )
        .into());
    }
    let mut order: Vec<usize> = (0..mnist.train.len()).collect();
    Stream::new(STREAM, SEED, 0).shuffle(&mut order);
    let mut chosen = order[..SAMPLES].to_vec();
    chosen.sort_unstable();
    let train = Samples {
        pixels: chosen
            .iter()
            .flat_map(|&index| &mnist.train.pixels[index * mnist.inputs..][..mnist.inputs])
            .copied()
            .collect(),
        labels: chosen
            .iter()
            .map(|&index| mnist.train.labels[index])
            .collect(),
    };
    fs::create_dir_all(target)?;
    write(target, "train", &train)?;
    write(target, "t10k", &mnist.test)
}

/// Writes images and labels as gzipped IDX files, without a name or a time: the same bytes every time.
fn write(folder: &Path, split: &str, samples: &Samples) -> Result<(), Box<dyn Error>> {
    let count = u32::try_from(samples.len())?;
    let parts: [(&str, &[u32], &[u8]); 2] = [
        ("images-idx3", &[2051, count, 28, 28], &samples.pixels),
        ("labels-idx1", &[2049, count], &samples.labels),
    ];
    for (kind, header, body) in parts {
        // Level 10: slower and smaller than the 9 of gzip.
        let mut file = GzBuilder::new().write(Vec::new(), Compression::new(10));
        for number in header {
            file.write_all(&number.to_be_bytes())?;
        }
        file.write_all(body)?;
        fs::write(
            folder.join(format!("{split}-{kind}-ubyte.gz")),
            file.finish()?,
        )?;
    }
    Ok(())
}
