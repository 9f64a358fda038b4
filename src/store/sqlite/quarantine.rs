//! Setting aside what cannot be trusted: its row leaves the tables, and what it was is kept in `damage` until it is
//! repaired, so that nothing is ever skipped in silence.

use super::code::{self, Book, text};
use super::fault::Fault;
use super::row::{BOOK, DAMAGE, FIGURES};
use super::schema::{self, SCHEMA};
use super::verify::{Finding, Kind, Verdict, known};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Ids of error records that are skipped when it is not known which was given last.
const GAP: u64 = 1000;

/// Sets aside what a walk found, and gives the book that holds from now on.
pub(super) fn set_aside(
    connection: &mut Connection,
    verdict: Verdict,
    witness: Option<u64>,
    mut earlier: Vec<Finding>,
) -> Result<Book, Fault> {
    let book = schema::book(connection);
    let sound = match book {
        Ok(book) => book,
        Err(Fault::Damaged(_)) => None,
        Err(other) => return Err(other),
    };
    let mut book = sound.unwrap_or_else(|| Book {
        applied: witness.unwrap_or(0),
        last_error: verdict.last_error.saturating_add(GAP),
        schema: SCHEMA,
    });
    if let Some(seen) = witness.filter(|seen| *seen > book.applied) {
        let missing = seen - book.applied;
        let what = format!(
            "the database lacks the last {missing} transactions: its log was damaged, or an older copy was put in its place"
        );
        earlier.push(Finding::of(Kind::Lost, None, what));
        book.applied = seen;
    }
    let unchanged = sound == Some(book) && earlier.is_empty() && verdict.findings.is_empty();
    if unchanged {
        return Ok(book);
    }
    let transaction = connection.transaction()?;
    let before: Vec<String> = known(&transaction)?.into_iter().map(|found| found.text).collect();
    for found in earlier.into_iter().chain(verdict.findings) {
        if let Some((table, row)) = found.row {
            transaction.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row])?;
        }
        // Figures follow from rows: written anew, they are whole.
        if found.row.is_some_and(|(table, _)| table == FIGURES.name) {
            for (flow, figures) in &verdict.sums {
                FIGURES.put(&transaction, code::figures(flow, figures)?)?;
            }
        }
        if !before.contains(&found.text) {
            keep(&transaction, &found)?;
        }
    }
    write(&transaction, book)?;
    transaction.commit()?;
    Ok(book)
}

fn keep(connection: &Connection, found: &Finding) -> Result<(), Fault> {
    let next: i64 = connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM damage", [], |row| row.get(0))?;
    let optional = |value: Option<&str>| value.map_or(Value::Null, text);
    let cells = vec![
        Value::Integer(next),
        optional(found.flow.as_ref().map(crate::value::id::FlowId::as_str)),
        text(found.kind.name()),
        optional(found.run.as_deref()),
        found.page.map_or(Value::Null, code::int),
        text(&found.text),
    ];
    DAMAGE.put(connection, cells)
}

/// Writes the book.
pub(super) fn write(connection: &Connection, book: Book) -> Result<(), Fault> {
    BOOK.put(connection, code::book(book))
}
