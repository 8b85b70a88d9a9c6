//! Takes data files out of a gzipped tar archive.
//!
//! Only what such an archive needs: regular files with short names, of which only the last part counts, so that no path in an
//! archive decides where something is written. It is read after its SHA-256 sum was checked.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

const BLOCK: usize = 512;

/// Writes the files whose last part of the name ends in `.bin` into `folder`, which exists.
pub(super) fn unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    let mut tar = GzDecoder::new(BufReader::new(File::open(archive)?));
    let mut header = [0; BLOCK];
    loop {
        tar.read_exact(&mut header)?;
        // The end is a block of zeros.
        if header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let size = size(&header)?;
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut body = tar.by_ref().take(size);
        let is_file = matches!(header[156], b'0' | 0);
        match name(&header).filter(|name| is_file && name.ends_with(".bin")) {
            Some(name) => io::copy(&mut body, &mut File::create(folder.join(name))?)?,
            None => io::copy(&mut body, &mut io::sink())?,
        };
        io::copy(&mut tar.by_ref().take(padded - size), &mut io::sink())?;
    }
}

/// The last part of an entry's name.
fn name(header: &[u8; BLOCK]) -> Option<&str> {
    let field = &header[..100];
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    let name = str::from_utf8(&field[..end]).ok()?.rsplit('/').next()?;
    (!name.is_empty() && !name.contains('\\')).then_some(name)
}

/// An entry's size: octal digits, ended by a blank or a zero byte.
fn size(header: &[u8; BLOCK]) -> io::Result<u64> {
    let invalid = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the archive has an entry without a size",
        )
    };
    let digits = str::from_utf8(&header[124..136]).map_err(|_| invalid())?;
    u64::from_str_radix(digits.trim_matches(['\0', ' ']), 8).map_err(|_| invalid())
}
