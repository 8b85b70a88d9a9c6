//! The bytes of a checkpoint or of weights, in memory or on disk.

use std::fs;
use std::io;
use std::sync::Arc;

use descent_spec::id::ContentHash;
use descent_spec::lease::Artifact;

use super::{Spool, Spooled};

/// What is smaller stays in memory: it is about as long as what is kept of a file.
const WORTH_A_FILE: usize = 4096;

/// Bytes that wait for the coordinator.
#[derive(Clone)]
pub(crate) enum Content {
    Memory(Arc<[u8]>),
    /// A file, and what was written to it.
    Disk(Arc<Spooled>, Artifact),
}

impl Content {
    /// Puts it on disk if it is worth it and there is a place. Blocks.
    pub(crate) fn to_disk(&self, spool: &Spool) -> Option<Self> {
        let Self::Memory(bytes) = self else {
            return None;
        };
        if bytes.len() < WORTH_A_FILE {
            return None;
        }
        let file = spool.file(|path| fs::write(path, bytes))?;
        Some(Self::Disk(Arc::new(file), artifact(bytes)))
    }

    /// Brings it back to memory, and names it. Blocks.
    ///
    /// # Errors
    /// When the file was taken away, cannot be read, or holds something else than was written to it.
    pub(crate) fn load(self) -> io::Result<(Artifact, Arc<[u8]>)> {
        match self {
            Self::Memory(bytes) => Ok((artifact(&bytes), bytes)),
            Self::Disk(file, written) => {
                let bytes = fs::read(&file.path)?;
                let found = artifact(&bytes);
                if found != written {
                    let path = file.path.display();
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "{path} is damaged: {} bytes with hash {} were written to it, it holds {} bytes with hash {}; \
                             look at that disk",
                            written.bytes, written.hash, found.bytes, found.hash
                        ),
                    ));
                }
                Ok((written, bytes.into()))
            }
        }
    }

    /// Whether this is the very content that the other one is.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(other)) => Arc::ptr_eq(one, other),
            (Self::Disk(one, _), Self::Disk(other, _)) => Arc::ptr_eq(one, other),
            (Self::Memory(_), Self::Disk(..)) | (Self::Disk(..), Self::Memory(_)) => false,
        }
    }
}

fn artifact(bytes: &[u8]) -> Artifact {
    Artifact {
        hash: ContentHash::of(bytes),
        bytes: bytes.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_to_disk_and_comes_back() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(parent.path().to_owned()));
        let small = Content::Memory(vec![1; 10].into());
        assert!(small.to_disk(&spool).is_none());
        let large = Content::Memory(vec![7; 100_000].into());
        let spooled = large.to_disk(&spool).unwrap();
        assert!(spooled.to_disk(&spool).is_none() && !spooled.is(&large));
        assert_eq!(spooled.load().unwrap(), large.clone().load().unwrap());
        assert!(large.to_disk(&Spool::new(None)).is_none());
    }

    #[test]
    fn a_file_that_is_damaged_is_not_taken_for_what_was_written() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(parent.path().to_owned()));
        let flip = |bytes: &mut Vec<u8>| bytes[50_000] ^= 1;
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(99_999);
        let damages: [fn(&mut Vec<u8>); 2] = [flip, cut];
        for damage in damages {
            let content = Content::Memory(vec![7; 100_000].into());
            let spooled = content.to_disk(&spool).unwrap();
            let Content::Disk(file, _) = &spooled else {
                unreachable!("it was put there");
            };
            let mut bytes = fs::read(&file.path).unwrap();
            damage(&mut bytes);
            fs::write(&file.path, bytes).unwrap();
            let error = spooled.load().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("damaged"), "{error}");
        }
    }
}
