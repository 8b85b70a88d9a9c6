//! Reads IDX files, plain and gzipped: the format of MNIST and its relatives.
//!
//! A file is a magic number (2051 images, 2049 labels), a count, for images the rows and columns, all big-endian 32-bit,
//! and one byte per pixel or label. What a header claims is never allocated: memory follows the bytes that are really there.

use std::io::{self, Read};
use std::path::Path;

use descent_spec::data::Image;
use flate2::bufread::MultiGzDecoder;

use super::error::DataError;

const IMAGES_MAGIC: u32 = 2051;
const LABELS_MAGIC: u32 = 2049;
/// Larger files are refused: an image set of 2³⁰ bytes would take 4 GiB as 32-bit floats.
pub(super) const MAX_BYTES: u64 = 1 << 30;
const REMEDY: &str = "fetch or copy it again, and see `descent data fetch`";

/// Images of one file.
pub(super) struct Images {
    /// Pixels per image.
    pub(super) inputs: usize,
    pub(super) rows: u32,
    pub(super) columns: u32,
    /// Row-major `[images, inputs]`.
    pub(super) pixels: Vec<u8>,
}

impl Images {
    /// Number of images.
    pub(super) fn len(&self) -> usize {
        self.pixels.len() / self.inputs
    }

    /// One grey channel; `None` where a side is too long for an image.
    pub(super) fn extent(&self) -> Option<Image> {
        let inputs = u32::try_from(self.inputs).ok()?;
        Image::new(1, self.rows, self.columns, inputs)
    }
}

/// Reads an image file. `path` is only for messages.
pub(super) fn images(bytes: impl Read, path: &Path) -> Result<Images, DataError> {
    let mut body = Body::open(bytes, path)?;
    body.expect_magic(IMAGES_MAGIC, "an image file (IDX magic 2051)")?;
    let [count, rows, columns] = [body.number()?, body.number()?, body.number()?];
    if count == 0 || rows == 0 || columns == 0 {
        return Err(body.malformed(format!("has {count} images of {rows} × {columns} pixels")));
    }
    // u128: three 32-bit factors.
    let claimed = u128::from(count) * u128::from(rows) * u128::from(columns);
    let inputs = u64::from(rows) * u64::from(columns);
    let pixels = body.rest(
        claimed,
        &format!("{count} images of {rows} × {columns} bytes"),
    )?;
    let inputs = usize::try_from(inputs).expect("no more than the pixels just read");
    Ok(Images {
        inputs,
        rows,
        columns,
        pixels,
    })
}

/// Reads a label file. `path` is only for messages.
pub(super) fn labels(bytes: impl Read, path: &Path) -> Result<Vec<u8>, DataError> {
    let mut body = Body::open(bytes, path)?;
    body.expect_magic(LABELS_MAGIC, "a label file (IDX magic 2049)")?;
    let count = body.number()?;
    body.rest(u128::from(count), &format!("{count} labels"))
}

/// The decompressed bytes of a file, with its name at hand for messages.
struct Body<'a> {
    reader: Box<dyn Read + 'a>,
    path: &'a Path,
}

impl<'a> Body<'a> {
    /// Looks at the first bytes to see whether they are compressed: names lie, gzip's magic number does not.
    fn open(bytes: impl Read + 'a, path: &'a Path) -> Result<Self, DataError> {
        let mut reader = io::BufReader::with_capacity(1 << 16, bytes);
        let start =
            io::BufRead::fill_buf(&mut reader).map_err(|source| unreadable(path, source))?;
        let reader: Box<dyn Read + 'a> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(MultiGzDecoder::new(reader))
        } else {
            Box::new(reader)
        };
        Ok(Self { reader, path })
    }

    fn malformed(&self, problem: String) -> DataError {
        DataError::Malformed {
            path: self.path.to_owned(),
            problem,
            remedy: REMEDY,
        }
    }

    /// Tells a damaged or short file from one that the system cannot read.
    fn failed(&self, source: io::Error) -> DataError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => self.malformed("ends too early".to_owned()),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                self.malformed(format!("is a damaged gzip file ({source})"))
            }
            _ => unreadable(self.path, source),
        }
    }

    fn number(&mut self) -> Result<u32, DataError> {
        let mut bytes = [0; 4];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|source| self.failed(source))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn expect_magic(&mut self, magic: u32, what: &str) -> Result<(), DataError> {
        let found = self.number()?;
        if found == magic {
            Ok(())
        } else {
            Err(self.malformed(format!("is not {what}: it starts with {found}")))
        }
    }

    /// Everything up to the end, which must be exactly `claimed` bytes.
    fn rest(&mut self, claimed: u128, what: &str) -> Result<Vec<u8>, DataError> {
        let Some(claimed) = u64::try_from(claimed)
            .ok()
            .filter(|&claimed| claimed <= MAX_BYTES)
        else {
            return Err(self.malformed(format!(
                "claims {what}, more than the {MAX_BYTES} bytes that are read"
            )));
        };
        let mut bytes = Vec::new();
        // One byte more than there should be, so that a file that goes on is told from one that ends.
        let read = self
            .reader
            .by_ref()
            .take(claimed + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed(source))?;
        match u64::try_from(read)
            .expect("usize is at most 64 bits")
            .cmp(&claimed)
        {
            std::cmp::Ordering::Equal => Ok(bytes),
            std::cmp::Ordering::Less => {
                Err(self.malformed(format!("claims {what}, but only {read} bytes follow")))
            }
            std::cmp::Ordering::Greater => {
                Err(self.malformed(format!("claims {what}, but more bytes follow")))
            }
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
