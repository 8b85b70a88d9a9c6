//! The samples of a message, cut into blocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use descent_spec::asked::CodeSpec;

use crate::data::Prepared;

/// A message: samples whose labels are sent in their order, block after block.
pub(crate) struct Blocks {
    code: CodeSpec,
    /// All samples, to train on in the end.
    pub(super) data: Arc<Prepared>,
    /// What is sent.
    pub(super) labels: Arc<[u8]>,
    /// Where blocks end.
    ends: Vec<u32>,
    /// Blocks in use: courses that are at the same block share it.
    cut: Mutex<BTreeMap<usize, Weak<Prepared>>>,
}

impl Blocks {
    /// The same message, if one of `all` is it; else a new one, which joins them.
    pub(crate) fn shared(
        all: &mut Vec<Arc<Self>>,
        code: CodeSpec,
        data: Arc<Prepared>,
        labels: Arc<[u8]>,
    ) -> Arc<Self> {
        let same = |blocks: &&Arc<Self>| {
            Arc::ptr_eq(&blocks.data, &data)
                && blocks.labels == labels
                && (blocks.code.first, blocks.code.holdout) == (code.first, code.holdout)
        };
        if let Some(blocks) = all.iter().find(same) {
            return Arc::clone(blocks);
        }
        let samples = u32::try_from(labels.len()).expect("samples are counted in 32 bits");
        let blocks = Arc::new(Self {
            code,
            ends: code.ends(samples),
            data,
            labels,
            cut: Mutex::default(),
        });
        all.push(Arc::clone(&blocks));
        blocks
    }

    /// Number of blocks.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Labels sent before a block, and those in it.
    pub(super) fn extent(&self, block: usize) -> (u32, u32) {
        let sent = block.checked_sub(1).map_or(0, |before| self.ends[before]);
        (sent, self.ends[block] - sent)
    }

    /// Samples that the network for a block is trained on; the rest of what was sent is held out.
    pub(super) fn trained(&self, block: usize) -> u32 {
        let (sent, _) = self.extent(block);
        sent - self.code.held_out(sent)
    }

    /// What the network for a block is trained on, what is held out, and as test samples the block.
    pub(super) fn block(&self, block: usize) -> Arc<Prepared> {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = cut.get(&block).and_then(Weak::upgrade) {
            return there;
        }
        let (sent, samples) = self.extent(block);
        let [trained, known, end] =
            [self.trained(block), sent, sent + samples].map(|count| count as usize);
        let made = Arc::new(self.data.block(&self.labels, trained, known, end));
        cut.insert(block, Arc::downgrade(&made));
        made
    }
}
