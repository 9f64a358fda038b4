//! Aligned columns for people. Cells are made safe for a terminal.

use super::style::{Tone, paint};
use crate::observe::logs::visible;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Figures.
    Right,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// In a tone.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: visible(text.as_ref()), tone: Some(tone) }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: visible(text.as_ref()), tone: None }
    }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without rows yet.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, further ones are left out.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As lines, each ended by a line feed, without blanks at their ends.
    pub fn render(&self, colour: bool) -> String {
        let width = |at: usize, heading: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| columns_of(&cell.text));
            cells.chain([columns_of(heading)]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(at, (name, _))| width(at, name)).collect();
        let headings: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::toned(name, Tone::Dim)).collect();
        let mut out = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            self.line(row, &widths, colour, &mut out);
        }
        out
    }

    fn line(&self, row: &[Cell], widths: &[usize], colour: bool, out: &mut String) {
        let mut blanks = 0;
        for (at, (width, (_, align))) in widths.iter().zip(&self.columns).enumerate() {
            let empty = Cell::from("");
            let cell = row.get(at).unwrap_or(&empty);
            let pad = width - columns_of(&cell.text);
            let (before, after) = if *align == Align::Right { (pad, 0) } else { (0, pad) };
            blanks += before;
            // Blanks are only written before something: none at the end of a line.
            if !cell.text.is_empty() {
                out.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                match cell.tone {
                    Some(tone) => out.push_str(&paint(colour, tone, &cell.text)),
                    None => out.push_str(&cell.text),
                }
            }
            blanks += after + 2;
        }
        out.push('\n');
    }
}

/// Characters; ids and figures are ASCII, and a title with wide ones only loses its alignment.
fn columns_of(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_left_figures_right_and_no_blanks_at_the_end() {
        let mut table = Table::new(&[("flow", Align::Left), ("records", Align::Right), ("note", Align::Left)]);
        table.row(vec!["orders".into(), "12000".into(), "".into()]);
        table.row(vec!["a".into(), "7".into(), "late".into()]);
        table.row(vec!["b".into()]);
        assert_eq!(
            table.render(false),
            "flow    records  note\n\
             orders    12000\n\
             a             7  late\n\
             b\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let mut table = Table::new(&[("a", Align::Right), ("b", Align::Left)]);
        table.row(vec![Cell::toned("7", Tone::Good), "x".into()]);
        table.row(vec!["100".into(), "y".into()]);
        assert_eq!(table.render(true), "  \x1b[2ma\x1b[0m  \x1b[2mb\x1b[0m\n  \x1b[32m7\x1b[0m  x\n100  y\n");
    }

    #[test]
    fn cells_cannot_move_the_cursor() {
        let mut table = Table::new(&[("title", Align::Left)]);
        table.row(vec!["\x1b[2Jgone\nnext".into()]);
        assert!(!table.render(false).contains('\x1b'));
        assert_eq!(table.render(false).lines().count(), 2);
    }
}
