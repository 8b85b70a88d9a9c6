//! What a query answers: columns and rows.

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text; times are ISO 8601 in UTC, JSON is JSON.
    Text(String),
    /// A truth value (PostgreSQL only: SQLite says 0 and 1).
    Bool(bool),
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Texts.
    Text,
    /// Truth values.
    Bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
    /// Whether there were more rows than asked for.
    pub truncated: bool,
}

impl Table {
    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// What the values of a column are when each says so itself: one kind for all, `None` when all are missing.
/// Whole numbers among others are numbers; anything else that is mixed is text.
pub(super) fn common_kind<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<ColumnKind> {
    let mut common = None;
    for cell in cells {
        let kind = match cell {
            Cell::Null => continue,
            Cell::Int(_) => ColumnKind::Int,
            Cell::Float(_) => ColumnKind::Float,
            Cell::Text(_) => ColumnKind::Text,
            Cell::Bool(_) => ColumnKind::Bool,
        };
        common = match (common, kind) {
            (None, kind) => Some(kind),
            (Some(known), kind) if known == kind => Some(kind),
            (Some(ColumnKind::Int), ColumnKind::Float)
            | (Some(ColumnKind::Float), ColumnKind::Int) => Some(ColumnKind::Float),
            _ => Some(ColumnKind::Text),
        };
    }
    common
}

/// The cell as one of a column of this kind.
pub(super) fn as_kind(cell: Cell, kind: ColumnKind) -> Cell {
    match (cell, kind) {
        // Exact up to 2⁵³; a column that mixes numbers has no better common form.
        (Cell::Int(int), ColumnKind::Float) => Cell::Float(int as f64),
        (Cell::Int(int), ColumnKind::Text) => Cell::Text(int.to_string()),
        (Cell::Float(float), ColumnKind::Text) => Cell::Text(float.to_string()),
        (Cell::Bool(bool), ColumnKind::Text) => Cell::Text(bool.to_string()),
        (cell, _) => cell,
    }
}
