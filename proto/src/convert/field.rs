//! A field that cannot be what it should be, named by its path; and the checks that find it.

use std::fmt::Display;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A field of a message that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{path}`: {reason}")]
pub struct InvalidField {
    /// Where: names joined by dots, places in lists in brackets, such as `completions[3].result.stop`.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl InvalidField {
    /// A field that is wrong for this reason.
    pub fn new(path: impl Into<String>, reason: impl Display) -> Self {
        Self {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    /// A field that has to be there.
    pub fn missing(path: impl Into<String>) -> Self {
        Self::new(path, "is missing")
    }

    /// The same seen from the message around it.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        // A list's element brings its bracket along: `data` + `[2]` has no dot between.
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{outer}{joint}{}", self.path),
            reason: self.reason,
        }
    }
}

impl From<InvalidField> for Status {
    fn from(invalid: InvalidField) -> Self {
        let message = invalid.to_string();
        let details = ErrorDetails::with_bad_request_violation(invalid.path, invalid.reason);
        Self::with_error_details(Code::InvalidArgument, message, details)
    }
}

/// Adds the outer message's field to an error's path.
pub trait Scoped<T> {
    /// Puts `outer` before the path.
    ///
    /// # Errors
    /// The same error, seen from further out.
    fn scope(self, outer: &str) -> Result<T, InvalidField>;
}

impl<T> Scoped<T> for Result<T, InvalidField> {
    fn scope(self, outer: &str) -> Self {
        self.map_err(|invalid| invalid.within(outer))
    }
}

/// A message field that must be there, converted.
///
/// # Errors
/// Missing, or wrong inside.
pub fn required<W, D>(field: Option<W>, path: &str) -> Result<D, InvalidField>
where
    D: TryFrom<W, Error = InvalidField>,
{
    let wire = field.ok_or_else(|| InvalidField::missing(path))?;
    D::try_from(wire).scope(path)
}

/// An enum field that must name a variant which both the wire and the domain know.
///
/// # Errors
/// `UNSPECIFIED`, or a number that this version does not know.
pub fn known<W, D>(number: i32, path: &str) -> Result<D, InvalidField>
where
    W: TryFrom<i32>,
    D: TryFrom<W, Error = InvalidField>,
{
    let wire = W::try_from(number)
        .map_err(|_| InvalidField::new(path, format!("{number} is no known value")))?;
    D::try_from(wire).scope(path)
}

/// A digest of fixed length: `SessionId`, `Identity`, `ContentHash`, …
///
/// # Errors
/// Empty, or of another length.
pub fn digest<const N: usize, D>(
    bytes: &[u8],
    path: &str,
    make: fn([u8; N]) -> D,
) -> Result<D, InvalidField> {
    if bytes.is_empty() {
        return Err(InvalidField::missing(path));
    }
    <[u8; N]>::try_from(bytes)
        .map(make)
        .map_err(|_| InvalidField::new(path, format!("is {} bytes, not {N}", bytes.len())))
}

/// A list of digests.
///
/// # Errors
/// The first element that is empty or of another length.
pub fn digests<const N: usize, D, B: AsRef<[u8]>>(
    list: &[B],
    path: &str,
    make: fn([u8; N]) -> D,
) -> Result<Vec<D>, InvalidField> {
    list.iter()
        .enumerate()
        .map(|(i, bytes)| digest(bytes.as_ref(), &format!("{path}[{i}]"), make))
        .collect()
}

/// A row number: positive.
///
/// # Errors
/// Zero (which is what a missing number looks like) or negative.
pub fn row<D>(number: i64, path: &str, make: fn(i64) -> D) -> Result<D, InvalidField> {
    match number {
        0 => Err(InvalidField::missing(path)),
        1.. => Ok(make(number)),
        ..0 => Err(InvalidField::new(path, format!("{number} is negative"))),
    }
}

/// A count that must be positive.
///
/// # Errors
/// Zero, which is what a missing number looks like.
pub fn positive<N: Default + PartialEq>(number: N, path: &str) -> Result<N, InvalidField> {
    if number == N::default() {
        Err(InvalidField::missing(path))
    } else {
        Ok(number)
    }
}
