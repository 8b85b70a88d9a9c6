//! Rows: the one shape in which commands hand over results, whatever they are printed as.

/// A table of results.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    /// Its columns, left to right.
    pub(crate) columns: Vec<Column>,
    /// Its rows; each has one cell a column.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A column: its name (the same in SQL, CSV and JSON) and what its numbers mean to a reader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// Its name; units come last, as in `train_ms`.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) form: Form,
}

/// What a column holds: decides alignment and digits for people, and the type in files when no cell can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Words.
    Text,
    /// A JSON document; nested in JSON output.
    Json,
    /// Whole numbers.
    Count,
    /// A loss, or any number that is read by its leading digits.
    Number,
    /// A share between 0 and 1.
    Share,
    /// Yes or no.
    Flag,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// Any other number.
    Real(f64),
    /// Words.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl Form {
    /// What the views' columns of this name hold.
    pub(crate) fn of(name: &str) -> Self {
        let base = name.trim_end_matches("_mean").trim_end_matches("_sd");
        match base {
            "params" | "axes" | "details" => Self::Json,
            "diverged" => Self::Flag,
            "width" | "depth" | "parameters" | "samples" | "outputs" | "epochs" | "epoch"
            | "subspace_dim" | "seed" | "trial" | "point" | "last_epoch" | "attempts"
            | "attempt" | "n" => Self::Count,
            "dead_units" if base == name => Self::Count,
            _ if base.ends_with("_loss") || base.ends_with("_norm") || name != base => Self::Number,
            _ if base.ends_with("_error") => Self::Share,
            _ if base.ends_with("_ms") => Self::Count,
            "value" | "ridge" | "weight_decay" | "label_noise" | "density" => Self::Number,
            _ => Self::Text,
        }
    }

    /// Whether it is set flush right.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Count | Self::Number | Self::Share)
    }
}

impl Rows {
    /// An empty table with these columns.
    pub(crate) fn new<const N: usize>(columns: [(&str, Form); N]) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, form)| Column {
                name: name.to_owned(),
                form,
            })
            .collect();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// An empty table whose columns are known only when it is made.
    pub(crate) fn of(columns: Vec<(String, Form)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, form)| Column { name, form })
            .collect();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell a column.
    pub(crate) fn push<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a row has one cell a column");
        self.rows.push(cells.into());
    }

    /// The columns whose names are wanted, in their order.
    #[cfg_attr(
        not(feature = "worker"),
        allow(dead_code, reason = "only commands that train use it")
    )]
    pub(crate) fn keeping(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|&place| wanted(&self.columns[place].name))
            .collect();
        Self {
            columns: kept
                .iter()
                .map(|&place| self.columns[place].clone())
                .collect(),
            rows: self
                .rows
                .iter()
                .map(|row| kept.iter().map(|&place| row[place].clone()).collect())
                .collect(),
        }
    }

    /// Whether every row has the same in a column.
    #[cfg_attr(
        not(feature = "worker"),
        allow(dead_code, reason = "only commands that train use it")
    )]
    pub(crate) fn is_constant(&self, name: &str) -> bool {
        self.column(name).is_some_and(|place| {
            self.rows
                .windows(2)
                .all(|pair| pair[0][place] == pair[1][place])
        })
    }

    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

impl Cell {
    /// Its number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Null | Self::Text(_) | Self::Flag(_) => None,
        }
    }

    /// Its whole number, if it is one; yes is 1.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Flag(value) => Some(i64::from(*value)),
            Self::Null | Self::Real(_) | Self::Text(_) => None,
        }
    }

    /// Its words, if it has some.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Flag(_) => None,
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Lets plain values stand for cells.
macro_rules! cell_from {
    ($($from:ty => |$value:ident| $cell:expr;)+) => {
        $(impl From<$from> for Cell {
            fn from($value: $from) -> Self {
                $cell
            }
        })+
    };
}

cell_from! {
    i64 => |value| Self::Int(value);
    u32 => |value| Self::Int(i64::from(value));
    u64 => |value| i64::try_from(value).map_or(Self::Real(value as f64), Self::Int);
    usize => |value| i64::try_from(value).map_or(Self::Real(value as f64), Self::Int);
    f64 => |value| Self::Real(value);
    bool => |value| Self::Flag(value);
    String => |value| Self::Text(value);
    &str => |value| Self::Text(value.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_columns_are_known_by_name() {
        assert_eq!(Form::of("test_loss_mean"), Form::Number);
        assert_eq!(Form::of("test_error"), Form::Share);
        assert_eq!(Form::of("train_ms"), Form::Count);
        assert_eq!(Form::of("dead_units"), Form::Count);
        assert_eq!(Form::of("dead_units_mean"), Form::Number);
        assert_eq!(Form::of("params"), Form::Json);
        assert_eq!(Form::of("sweep"), Form::Text);
    }

    #[test]
    fn numbers_too_large_for_sixty_four_bits_stay_numbers() {
        assert_eq!(Cell::from(u64::MAX), Cell::Real(u64::MAX as f64));
        assert_eq!(Cell::from(None::<f64>), Cell::Null);
    }
}
