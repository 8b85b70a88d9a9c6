//! Statements that insert many rows at once.

use super::dialect;

/// Rows in one statement. Few sizes, so that few statements are prepared, whatever the number of rows.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// One statement in all its sizes.
pub(super) struct Batch([String; SIZES.len()]);

impl Batch {
    /// `before` ends where the values begin, `after` follows them; each row has so many parameters.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        Self(SIZES.map(|rows| {
            let mut sql = format!("{before} VALUES ");
            for row in 0..rows {
                sql.push_str(if row == 0 { "(" } else { ", (" });
                for column in 0..columns {
                    let comma = if column == 0 { "" } else { ", " };
                    sql.push_str(comma);
                    dialect::parameter(&mut sql, row * columns + column + 1);
                }
                sql.push(')');
            }
            sql.push(' ');
            sql.push_str(after);
            sql
        }))
    }

    /// Cuts rows into statements, the largest first.
    pub(super) fn cut<'r, R>(
        &'static self,
        mut rows: &'r [R],
    ) -> impl Iterator<Item = (&'static str, &'r [R])> {
        std::iter::from_fn(move || {
            let place = SIZES.iter().position(|size| *size <= rows.len())?;
            let (now, later) = rows.split_at(SIZES[place]);
            rows = later;
            Some((self.0[place].as_str(), now))
        })
    }

    /// All sizes, for the test that has statements described.
    #[cfg(test)]
    pub(super) fn all(&'static self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static PAIRS: LazyLock<Batch> =
        LazyLock::new(|| Batch::new("INSERT INTO pair (a, b)", 2, "ON CONFLICT DO NOTHING"));

    #[test]
    fn rows_are_cut_in_order_and_each_has_its_parameters() {
        let rows: Vec<usize> = (0..150).collect();
        let cut: Vec<_> = PAIRS.cut(&rows).collect();
        let sizes: Vec<usize> = cut.iter().map(|(_, rows)| rows.len()).collect();
        assert_eq!(sizes, [64, 64, 16, 4, 1, 1]);
        let again: Vec<usize> = cut.iter().flat_map(|(_, rows)| rows.to_vec()).collect();
        assert_eq!(again, rows);
        let told = |numbered: &str, plain: &str| cut[3].0 == numbered || cut[3].0 == plain;
        assert!(told(
            "INSERT INTO pair (a, b) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) ON CONFLICT DO NOTHING",
            "INSERT INTO pair (a, b) VALUES (?, ?), (?, ?), (?, ?), (?, ?) ON CONFLICT DO NOTHING",
        ));
        assert_eq!(PAIRS.cut::<usize>(&[]).count(), 0);
    }
}
