//! The bytes of a checkpoint or of weights, in memory or on disk.

use std::fs;
use std::io;
use std::sync::Arc;

use super::{Spool, Spooled};

/// What is smaller stays in memory: it is about as long as what is kept of a file.
const WORTH_A_FILE: usize = 4096;

/// Bytes that wait for the coordinator.
#[derive(Clone)]
pub(crate) enum Content {
    Memory(Arc<[u8]>),
    Disk(Arc<Spooled>),
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
        Some(Self::Disk(Arc::new(file)))
    }

    /// Brings it back to memory. Blocks.
    ///
    /// # Errors
    /// When the file was taken away or cannot be read.
    pub(crate) fn load(self) -> io::Result<Arc<[u8]>> {
        match self {
            Self::Memory(bytes) => Ok(bytes),
            Self::Disk(file) => Ok(fs::read(&file.path)?.into()),
        }
    }

    /// Whether this is the very content that the other one is.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(other)) => Arc::ptr_eq(one, other),
            (Self::Disk(one), Self::Disk(other)) => Arc::ptr_eq(one, other),
            (Self::Memory(_), Self::Disk(_)) | (Self::Disk(_), Self::Memory(_)) => false,
        }
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
}
