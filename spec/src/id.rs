//! Names of things: typed identifiers, and the digests that name trials and data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Makes a newtype around a database row number, so that two kinds of id cannot be swapped.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

row_id!(
    /// A sweep's row number.
    SweepId
);
row_id!(
    /// A trial's row number in one database. Across databases a trial is named by its [`Identity`].
    TrialId
);
row_id!(
    /// The number of one execution of a trial: +1 at every claim, never reset. The fencing token.
    AttemptNumber
);

/// A text that is not the hexadecimal form of a digest of the expected length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {bytes} bytes in hexadecimal")]
pub struct InvalidDigest {
    /// What was found.
    pub text: String,
    /// How many bytes were expected.
    pub bytes: usize,
}

/// Makes a newtype around a fixed number of bytes with a lower-case hexadecimal form.
macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads the bytes as they come from a database or a message.
            ///
            /// # Errors
            /// When the length is not the digest's.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidDigest> {
                <[u8; $bytes]>::try_from(bytes).map(Self).map_err(|_| InvalidDigest {
                    text: format!("{} bytes", bytes.len()),
                    bytes: $bytes,
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidDigest;

            fn from_str(text: &str) -> Result<Self, InvalidDigest> {
                let invalid = || InvalidDigest { text: text.to_owned(), bytes: $bytes };
                if text.len() != 2 * $bytes || !text.is_ascii() {
                    return Err(invalid());
                }
                let mut bytes = [0; $bytes];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| invalid())?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest!(
    /// A trial's name for ever: 128 bits of BLAKE3 over all that decides its numbers.
    Identity,
    16
);
digest!(
    /// What trials must share to be trained as one stacked model: 128 bits of BLAKE3.
    PackKey,
    16
);
digest!(
    /// BLAKE3 of some content: a data set's samples, an artifact's bytes.
    ContentHash,
    32
);
digest!(
    /// A worker process's life: 128 random bits, drawn at every start, so that no two lives share one.
    SessionId,
    16
);
digest!(
    /// Makes one call idempotent: 128 random bits chosen by the caller, the same in every retry.
    RequestId,
    16
);

impl ContentHash {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// Milliseconds since 1970-01-01 UTC. Always handed in by a clock, never read inside a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time plus `ms` milliseconds, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}
