//! Whether what is stored is what was written: every row against its checksum, every body against its frame, and the
//! rows against the figures kept beside them.

use super::code;
use super::fault::Fault;
use super::row::{ALL, BOOK, DAMAGE, ERRORS, FIGURES, INTENTS, PAGES, RUNS, Table, VALUES, shown};
use super::segments;
use crate::store::figures::{Figures, is_over};
use crate::store::rows::{RunRow, Space};
use crate::value::id::FlowId;
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// What kind of thing is not right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A row that cannot be read as it was written.
    Row,
    /// A row that tells of a page, or of what was intended with its records.
    Page,
    /// A row of something that is gone.
    Orphan,
    /// A body that cannot be read as it was written.
    Body,
    /// Rows that must have been there.
    Lost,
    /// A database that was set aside.
    File,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Page => "page",
            Self::Orphan => "orphan",
            Self::Body => "body",
            Self::Lost => "lost",
            Self::File => "file",
        }
    }
}

/// One thing that is not right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub kind: Kind,
    /// The row to be set aside.
    pub row: Option<(&'static str, i64)>,
    pub flow: Option<FlowId>,
    pub run: Option<String>,
    pub page: Option<u64>,
    pub text: String,
}

impl Finding {
    pub fn of(kind: Kind, flow: Option<FlowId>, text: impl Into<String>) -> Self {
        Self { kind, row: None, flow, run: None, page: None, text: text.into() }
    }
}

/// What a walk over everything found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub findings: Vec<Finding>,
    /// Sound rows of each table.
    pub counts: BTreeMap<&'static str, u64>,
    /// Figures as the sound rows give them.
    pub sums: BTreeMap<FlowId, Figures>,
    pub last_error: u64,
    /// Flows with runs under way or held.
    pub live: BTreeSet<FlowId>,
}

/// What is known of runs while walking.
type Runs = HashMap<String, FlowId>;

/// Walks over everything.
pub(super) fn walk(connection: &Connection, pages: &Path) -> Result<Verdict, Fault> {
    let mut verdict = Verdict::default();
    let mut runs = Runs::new();
    let mut stored: BTreeMap<FlowId, Figures> = BTreeMap::new();
    let mut unsound_figures = false;
    for table in ALL {
        let mut failed = Vec::new();
        rows(connection, table, |row, id| {
            let sound = table.is_sound(row)? && visit(table, row, id, pages, &mut verdict, &mut runs, &mut stored);
            if sound {
                *verdict.counts.entry(table.name).or_default() += 1;
            } else {
                failed.push(damaged(table, row, id));
            }
            Ok(())
        })?;
        unsound_figures |= table.name == FIGURES.name && !failed.is_empty();
        for finding in failed {
            name_flows(table, finding, &runs, &mut verdict);
        }
    }
    if !verdict.counts.contains_key(BOOK.name)
        && !verdict.findings.iter().any(|found| found.row == Some((BOOK.name, 1)))
    {
        verdict.findings.push(Finding::of(Kind::Lost, None, "the row of `book` is gone"));
    }
    if !unsound_figures {
        compare(&stored, &mut verdict);
    }
    Ok(verdict)
}

/// Rows in their order, with the number each is known by inside the database.
pub(super) fn rows(
    connection: &Connection,
    table: &Table,
    mut visit: impl FnMut(&Row<'_>, i64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let sql =
        format!("SELECT {}, v, sum, rowid FROM {} NOT INDEXED ORDER BY rowid", table.columns.join(", "), table.name);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(table.columns.len() + 2)?;
        visit(row, id)?;
    }
    Ok(())
}

/// Takes a sound row into account; false when it does not mean anything all the same.
fn visit(
    table: &Table,
    row: &Row<'_>,
    id: i64,
    pages: &Path,
    verdict: &mut Verdict,
    runs: &mut Runs,
    stored: &mut BTreeMap<FlowId, Figures>,
) -> bool {
    let understood = match table.name {
        name if name == BOOK.name => code::read_book(row).map(drop),
        name if name == RUNS.name => code::read_run(row).map(|run| take_run(run, verdict, runs)),
        name if name == PAGES.name => take_page(row, id, pages, verdict, runs),
        name if name == INTENTS.name => code::read_intents(row).map(|_| {
            let run = code::string(row, 0).unwrap_or_default();
            if !runs.contains_key(&run) {
                let page = code::number(row, 1).unwrap_or_default();
                let text = format!("what run `{run}` intended to send from page {page} belongs to no run");
                verdict
                    .findings
                    .push(Finding { row: Some((INTENTS.name, id)), ..Finding::of(Kind::Orphan, None, text) });
            }
        }),
        name if name == ERRORS.name => code::read_error(row).map(|error| {
            verdict.last_error = verdict.last_error.max(error.id);
            let sum = verdict.sums.entry(error.flow.clone()).or_default();
            *sum = sum.plus(Figures::of_error(&error));
        }),
        name if name == FIGURES.name => code::read_figures(row).map(|(flow, figures)| {
            stored.insert(flow, figures);
        }),
        _ => Some(()),
    };
    understood.is_some()
}

fn take_run(run: RunRow, verdict: &mut Verdict, runs: &mut Runs) {
    let sum = verdict.sums.entry(run.flow.clone()).or_default();
    *sum = sum.plus(Figures::of_run(&run));
    if !is_over(run.phase) {
        verdict.live.insert(run.flow.clone());
    }
    runs.insert(run.id, run.flow);
}

fn take_page(row: &Row<'_>, id: i64, dir: &Path, verdict: &mut Verdict, runs: &Runs) -> Option<()> {
    let (page, place) = code::read_page(row)?;
    let run = code::string(row, 0)?;
    let Some(flow) = runs.get(&run) else {
        let text = format!("page {} belongs to run `{run}`, which is gone", page.number);
        verdict.findings.push(Finding { row: Some((PAGES.name, id)), ..Finding::of(Kind::Orphan, None, text) });
        return Some(());
    };
    let sum = verdict.sums.entry(flow.clone()).or_default();
    *sum = sum.plus(Figures::of_page());
    if let Some(place) = place
        && let Err(fault) = segments::read(dir, &run, page.number, place)
    {
        let found = Finding::of(Kind::Body, Some(flow.clone()), fault.to_string());
        verdict.findings.push(Finding { run: Some(run), page: Some(page.number), ..found });
    }
    Some(())
}

/// A row that is not sound. What it says about itself is shown, but not trusted.
fn damaged(table: &Table, row: &Row<'_>, id: i64) -> Finding {
    let cell = |index: usize| row.get_ref(index).map(shown).unwrap_or_default();
    let (run, page) = match table.name {
        name if name == RUNS.name => (Some(cell(1)), None),
        name if name == ERRORS.name => (Some(cell(2)), None),
        name if name == PAGES.name || name == INTENTS.name => (Some(cell(0)), cell(1).parse().ok()),
        _ => (None, None),
    };
    let flow = match table.name {
        name if name == RUNS.name => FlowId::parse(&cell(2)).ok(),
        name if name == ERRORS.name => FlowId::parse(&cell(1)).ok(),
        name if name == FIGURES.name => FlowId::parse(&cell(0)).ok(),
        name if name == VALUES.name
            && [Space::Schedule, Space::Mark, Space::After, Space::Backfill]
                .map(Space::name)
                .contains(&cell(0).as_str()) =>
        {
            FlowId::parse(cell(1).split(' ').next().unwrap_or_default()).ok()
        }
        _ => None,
    };
    let keys: Vec<String> =
        table.columns.iter().take(3).enumerate().map(|(at, name)| format!("{name} {}", cell(at))).collect();
    let text = format!("a row of `{}` ({}) is not what was written", table.name, keys.join(", "));
    let kind = if [PAGES.name, INTENTS.name].contains(&table.name) { Kind::Page } else { Kind::Row };
    Finding { kind, row: Some((table.name, id)), flow, run, page, text }
}

/// A page or intent that cannot say whose it was may be of any run under way: all their flows are named.
fn name_flows(table: &Table, mut finding: Finding, runs: &Runs, verdict: &mut Verdict) {
    if ![PAGES.name, INTENTS.name].contains(&table.name) {
        verdict.findings.push(finding);
        return;
    }
    finding.flow = finding.run.as_ref().and_then(|run| runs.get(run)).cloned();
    if finding.flow.is_none() {
        let text = format!("{}; it may be of this flow", finding.text);
        verdict.findings.extend(
            verdict.live.iter().map(|flow| Finding::of(Kind::Lost, Some(flow.clone()), &*text)).collect::<Vec<_>>(),
        );
    }
    verdict.findings.push(finding);
}

/// The second witness: rows may be gone without a trace of their own.
fn compare(stored: &BTreeMap<FlowId, Figures>, verdict: &mut Verdict) {
    let flows: BTreeSet<&FlowId> = stored.keys().chain(verdict.sums.keys()).collect();
    let mut lost = Vec::new();
    for flow in flows {
        let [was, is] = [stored, &verdict.sums].map(|figures| figures.get(flow).copied().unwrap_or_default());
        if was != is {
            let text = format!(
                "flow `{flow}`: its figures tell of {} runs, {} pages and {} error records ({} open), and its rows of {}, {}, {} ({})",
                was.runs, was.pages, was.errors, was.open, is.runs, is.pages, is.errors, is.open
            );
            // Error records stand by themselves; with anything else, runs under way may miss something.
            let kind = if (was.runs, was.pages) == (is.runs, is.pages) { Kind::Row } else { Kind::Lost };
            lost.push(Finding::of(kind, Some(flow.clone()), text));
        }
    }
    verdict.findings.extend(lost);
}

/// What was found before and is kept until it is repaired.
pub(super) fn known(connection: &Connection) -> Result<Vec<Finding>, Fault> {
    let mut found = Vec::new();
    rows(connection, &DAMAGE, |row, _| {
        let kind = match code::string(row, 2).as_deref() {
            Some("row") => Kind::Row,
            Some("page") => Kind::Page,
            Some("orphan") => Kind::Orphan,
            Some("body") => Kind::Body,
            Some("file") => Kind::File,
            _ => Kind::Lost,
        };
        found.push(Finding {
            kind,
            row: None,
            flow: code::string(row, 1).and_then(|flow| FlowId::parse(&flow).ok()),
            run: code::string(row, 3),
            page: code::number(row, 4),
            text: code::string(row, 5).unwrap_or_default(),
        });
        Ok(())
    })?;
    Ok(found)
}
