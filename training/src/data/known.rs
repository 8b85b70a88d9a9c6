//! Public data sets that can be fetched: their files, where they are, and the hashes that they must have.

use descent_spec::id::ContentHash;

/// A public data set.
#[derive(Debug)]
pub struct Known {
    /// Its name, in sweep files and as a folder.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Under which terms it is offered, and by whom.
    pub licence: &'static str,
    /// Places that offer it, each ending in `/`; the first that answers with the right bytes is taken.
    pub mirrors: &'static [&'static str],
    /// Its files there.
    pub files: &'static [Download],
    /// Content hash of the whole, as [`Dataset::hash`](super::Dataset::hash) takes it.
    pub content: Option<ContentHash>,
}

/// A file to fetch.
#[derive(Debug)]
pub struct Download {
    /// Its name at the mirror.
    pub name: &'static str,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: &'static str,
    /// How it is stored.
    pub kind: DownloadKind,
}

/// How a fetched file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadKind {
    /// As it is.
    Plain,
    /// A gzipped tar archive, of which the data files are stored.
    TarGz,
}

/// All of them.
pub static KNOWN: [Known; 3] = [
    Known {
        name: "mnist",
        about: "handwritten digits, 28 × 28 grey, 60,000 + 10,000",
        licence: "CC BY-SA 3.0, Y. LeCun, C. Cortes, C. Burges",
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        files: &[
            plain(
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            plain(
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            plain(
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            plain(
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        content: Some(ContentHash([
            0x3e, 0x93, 0x8d, 0x9d, 0xd4, 0x23, 0x55, 0x27, 0xa2, 0xf6, 0x66, 0x45, 0x9c, 0x97,
            0x90, 0x25, 0xe9, 0x5e, 0x95, 0x3d, 0xe5, 0x39, 0x67, 0x6f, 0x1b, 0x3e, 0x06, 0x0a,
            0xf2, 0x15, 0x48, 0xc4,
        ])),
    },
    Known {
        name: "fashion-mnist",
        about: "pictures of clothes, 28 × 28 grey, 60,000 + 10,000",
        licence: "MIT, Zalando SE",
        mirrors: &[
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: &[
            plain(
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            plain(
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            plain(
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            plain(
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        content: None,
    },
    Known {
        name: "cifar10",
        about: "photographs of ten kinds, 32 × 32 colour, 50,000 + 10,000",
        licence: "no licence stated, A. Krizhevsky, V. Nair, G. Hinton",
        mirrors: &[
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ],
        files: &[Download {
            name: "cifar-10-binary.tar.gz",
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            kind: DownloadKind::TarGz,
        }],
        content: Some(ContentHash([
            0x66, 0x19, 0xd1, 0x54, 0x92, 0x83, 0x86, 0x9c, 0x62, 0x54, 0x58, 0xe1, 0x05, 0xbb,
            0xe5, 0x38, 0x59, 0x33, 0xb9, 0x22, 0xab, 0x5a, 0x32, 0xb0, 0xd7, 0x60, 0xde, 0x15,
            0x48, 0x8e, 0x25, 0x53,
        ])),
    },
];

/// The public data set of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

const fn plain(name: &'static str, sha256: &'static str) -> Download {
    Download {
        name,
        sha256,
        kind: DownloadKind::Plain,
    }
}
