//! Where a trial and a sweep can be: the same words in SQL, on the wire, in Rust and on the screen.

/// Makes an enum whose variants have one word each, and the conversions from and to that word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word, as in SQL, in sweep files and on the screen.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant that a word names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Where a trial is.
    TrialState {
        /// Waits for another trial's artifact.
        Blocked = "blocked",
        /// May be claimed.
        Ready = "ready",
        /// Held by a worker session.
        Leased = "leased",
        /// Waits out a back-off after a failure.
        Delayed = "delayed",
        /// Has its one result. A diverged network is a result too.
        Succeeded = "succeeded",
        /// Failed for good: not retryable, or its budget of failures is used up.
        Failed = "failed",
        /// Took down too many workers.
        Poisoned = "poisoned",
        /// Given up by the user.
        Cancelled = "cancelled",
        /// Given up by the system: a trial that it waits for cannot succeed.
        Skipped = "skipped",
    }
);

impl TrialState {
    /// Whether no attempt can change the trial any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Poisoned | Self::Cancelled | Self::Skipped
        )
    }
}

words!(
    /// Where a sweep is.
    SweepState {
        /// Acknowledged; its points are still being turned into trials. Workers may already train.
        Expanding = "expanding",
        /// All its trials exist; some are not terminal.
        Running = "running",
        /// Its trials are not handed out.
        Paused = "paused",
        /// All its trials are terminal.
        Finished = "finished",
        /// Given up by the user.
        Cancelled = "cancelled",
    }
);
