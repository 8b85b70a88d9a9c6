//! Checkpoints and weights as files, named by their content: `ab/cdef…` is the BLAKE3 of what is inside.
//!
//! A file appears under its name only when it is complete, verified and on the disk; the pointer to it moves afterwards,
//! in the store, under the fence. So a crash leaves at worst a file that nothing refers to, which is collected later.

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use descent_spec::id::{ContentHash, Timestamp};
use descent_spec::lease::Artifact;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio_stream::StreamExt as _;

use crate::fail_point;

/// Bytes gathered before they are written: also the smallest part that S3-like stores accept.
const PART_BYTES: usize = 5 << 20;
/// Parts of one upload being written at a time.
const PARTS_AT_ONCE: usize = 2;

/// Why a file cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// No such file.
    #[error("there is no artifact {hash}")]
    NotFound {
        /// What was asked for.
        hash: ContentHash,
    },
    /// Over the limit.
    #[error("an artifact of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More or fewer bytes came than were announced. Nothing was stored.
    #[error("{found} bytes came, {announced} were announced: send the file again")]
    WrongLength {
        /// As announced.
        announced: u64,
        /// As counted.
        found: u64,
    },
    /// The bytes are not those that were announced. Nothing was stored.
    #[error("the content has hash {found}, {announced} was announced: send the file again")]
    WrongHash {
        /// As announced.
        announced: ContentHash,
        /// As computed.
        found: ContentHash,
    },
    /// The disk is full.
    #[error(
        "the disk that holds {folder} is full: free some space; nothing that was committed is lost"
    )]
    DiskFull {
        /// The folder of artifacts.
        folder: String,
    },
    /// Anything else that the file system reported.
    #[error("artifacts in {folder}: {reason}")]
    Storage {
        /// The folder of artifacts.
        folder: String,
        /// What was reported.
        reason: String,
    },
}

/// The files of one coordinator.
#[derive(Clone)]
pub struct Artifacts {
    files: Arc<dyn ObjectStore>,
    folder: Arc<FilePath>,
    largest: u64,
    /// Held for reading between a file's appearance and the move of its pointer, for writing while collecting:
    /// a file is never collected in between.
    gate: Arc<RwLock<()>>,
}

/// A stored file whose pointer has not moved yet: keep it until that is done.
#[must_use = "the pointer moves while this is held"]
pub struct Stored {
    _gate: OwnedRwLockReadGuard<()>,
}

impl Artifacts {
    /// Opens the folder, and makes it when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: impl Into<PathBuf>, largest: u64) -> Result<Self, ArtifactError> {
        let folder = folder.into();
        let storage = |reason: String| ArtifactError::Storage {
            folder: folder.display().to_string(),
            reason,
        };
        std::fs::create_dir_all(&folder).map_err(|error| storage(error.to_string()))?;
        let files = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| storage(error.to_string()))?
            .with_fsync(true);
        Ok(Self {
            files: Arc::new(files),
            folder: folder.into(),
            largest,
            gate: Arc::default(),
        })
    }

    /// Files that are gone with the process: for simulations. Clones share them.
    #[must_use]
    pub fn in_memory(largest: u64) -> Self {
        Self {
            files: Arc::new(InMemory::new()),
            folder: PathBuf::from("memory").into(),
            largest,
            gate: Arc::default(),
        }
    }

    /// Begins to receive a file.
    ///
    /// # Errors
    /// When it is announced larger than the limit, or the file system refuses.
    pub async fn receive(&self, announced: Artifact) -> Result<Receiving, ArtifactError> {
        if announced.bytes > self.largest {
            return Err(ArtifactError::TooLarge {
                bytes: announced.bytes,
                limit: self.largest,
            });
        }
        let upload = self
            .files
            .put_multipart(&path(announced.hash))
            .await
            .map_err(|error| self.error(announced.hash, &error))?;
        Ok(Receiving {
            artifacts: self.clone(),
            announced,
            found: 0,
            hasher: blake3::Hasher::new(),
            upload: WriteMultipart::new_with_chunk_size(upload, PART_BYTES),
        })
    }

    /// Length of a stored file.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or what the file system reports.
    pub async fn length(&self, hash: ContentHash) -> Result<u64, ArtifactError> {
        let meta = self.files.head(&path(hash)).await;
        meta.map(|meta| meta.size)
            .map_err(|error| self.error(hash, &error))
    }

    /// A part of a stored file.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], or what the file system reports.
    pub async fn read(
        &self,
        hash: ContentHash,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, ArtifactError> {
        let bytes = self.files.get_range(&path(hash), range).await;
        bytes
            .map(Vec::from)
            .map_err(|error| self.error(hash, &error))
    }

    /// Removes files that were last written before `older_than` and that nothing refers to; answers how many.
    /// `in_use` is asked after the files were listed, so that what is committed meanwhile is seen.
    ///
    /// # Errors
    /// What `in_use` or the file system reports.
    pub async fn collect<E: From<ArtifactError>>(
        &self,
        older_than: Timestamp,
        in_use: impl Future<Output = Result<Vec<ContentHash>, E>>,
    ) -> Result<u64, E> {
        let mut candidates = Vec::new();
        let mut listing = self.files.list(None);
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|error| self.error(ContentHash([0; 32]), &error))?;
            if meta.last_modified.timestamp_millis() < older_than.0
                && let Some(hash) = hash_of(&meta.location)
            {
                candidates.push(hash);
            }
        }
        if candidates.is_empty() {
            return Ok(0);
        }
        let _alone = self.gate.write().await;
        let in_use: HashSet<ContentHash> = in_use.await?.into_iter().collect();
        let mut removed = 0;
        for hash in candidates.into_iter().filter(|hash| !in_use.contains(hash)) {
            let path = path(hash);
            // Written again since it was listed? Then it is young.
            let young = match self.files.head(&path).await {
                Ok(meta) => meta.last_modified.timestamp_millis() >= older_than.0,
                Err(_) => true,
            };
            if !young {
                self.files
                    .delete(&path)
                    .await
                    .map_err(|error| self.error(hash, &error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// An error of the file system in our words.
    fn error(&self, hash: ContentHash, error: &object_store::Error) -> ArtifactError {
        let folder = self.folder.display().to_string();
        if matches!(error, object_store::Error::NotFound { .. }) {
            return ArtifactError::NotFound { hash };
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(inner) = cause {
            if inner
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull)
            {
                return ArtifactError::DiskFull { folder };
            }
            cause = inner.source();
        }
        ArtifactError::Storage {
            folder,
            reason: error.to_string(),
        }
    }
}

/// A file on its way in.
pub struct Receiving {
    artifacts: Artifacts,
    announced: Artifact,
    found: u64,
    hasher: blake3::Hasher,
    upload: WriteMultipart,
}

impl Receiving {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When more come than were announced, or the file system refuses. The file is then abandoned.
    pub async fn chunk(&mut self, chunk: &[u8]) -> Result<(), ArtifactError> {
        self.found = self.found.saturating_add(chunk.len() as u64);
        if self.found > self.announced.bytes {
            return Err(self.wrong_length());
        }
        self.hasher.update(chunk);
        let hash = self.announced.hash;
        self.upload
            .wait_for_capacity(PARTS_AT_ONCE)
            .await
            .map_err(|error| self.artifacts.error(hash, &error))?;
        self.upload.write(chunk);
        Ok(())
    }

    /// Verifies the file and makes it appear under its name, durably.
    ///
    /// # Errors
    /// When length or hash are not as announced; nothing is stored then.
    pub async fn finish(self) -> Result<Stored, ArtifactError> {
        let Artifact { hash, bytes } = self.announced;
        let found = ContentHash(*self.hasher.finalize().as_bytes());
        let wrong = if self.found != bytes {
            Some(self.wrong_length())
        } else if found != hash {
            Some(ArtifactError::WrongHash {
                announced: hash,
                found,
            })
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.abandon().await;
            return Err(wrong);
        }
        let gate = Arc::clone(&self.artifacts.gate).read_owned().await;
        fail_point::pass("before-file");
        self.upload
            .finish()
            .await
            .map_err(|error| self.artifacts.error(hash, &error))?;
        fail_point::pass("after-file");
        Ok(Stored { _gate: gate })
    }

    /// Gives up: what came so far is removed.
    pub async fn abandon(self) {
        // A leftover is hidden from listings and harmless.
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, "could not remove an abandoned upload");
        }
    }

    fn wrong_length(&self) -> ArtifactError {
        ArtifactError::WrongLength {
            announced: self.announced.bytes,
            found: self.found,
        }
    }
}

/// Where a file of this content lies.
fn path(hash: ContentHash) -> Path {
    let hex = hash.to_string();
    let (folder, name) = hex.split_at(2);
    Path::from(format!("{folder}/{name}"))
}

/// The content that lies at a path; `None` for what is not ours.
fn hash_of(path: &Path) -> Option<ContentHash> {
    path.as_ref().replace('/', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAST: Timestamp = Timestamp(0);
    const FUTURE: Timestamp = Timestamp(i64::MAX);

    async fn store(artifacts: &Artifacts, content: &[u8]) -> ContentHash {
        let hash = ContentHash::of(content);
        let bytes = content.len() as u64;
        let mut file = artifacts.receive(Artifact { hash, bytes }).await.unwrap();
        file.chunk(content).await.unwrap();
        drop(file.finish().await.unwrap());
        hash
    }

    #[tokio::test]
    async fn only_old_files_that_nothing_refers_to_are_collected() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path(), 1_000).unwrap();
        let used = store(&artifacts, b"used").await;
        let unused = store(&artifacts, b"unused").await;
        std::fs::write(folder.path().join("README"), "not ours").unwrap();
        for (older_than, removed) in [(PAST, 0), (FUTURE, 1)] {
            let in_use = async { Ok::<_, ArtifactError>(vec![used]) };
            assert_eq!(
                artifacts.collect(older_than, in_use).await.unwrap(),
                removed
            );
        }
        assert_eq!(artifacts.length(used).await.unwrap(), 4);
        let gone = artifacts.length(unused).await;
        assert!(
            matches!(gone, Err(ArtifactError::NotFound { .. })),
            "{gone:?}"
        );
        assert!(folder.path().join("README").exists());
    }

    #[tokio::test]
    async fn an_upload_that_ends_early_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path(), 1_000).unwrap();
        let hash = ContentHash::of(b"whole");
        let mut file = artifacts
            .receive(Artifact { hash, bytes: 5 })
            .await
            .unwrap();
        file.chunk(b"wh").await.unwrap();
        drop(file); // the caller went away
        let mut file = artifacts
            .receive(Artifact { hash, bytes: 5 })
            .await
            .unwrap();
        file.chunk(b"wh").await.unwrap();
        file.abandon().await;
        assert!(artifacts.length(hash).await.is_err());
        assert_eq!(store(&artifacts, b"whole").await, hash);
        assert_eq!(artifacts.read(hash, 1..3).await.unwrap(), b"ho");
    }
}
