//! All series of this process, and their exposition as text in the Prometheus format.
//!
//! Kept by owner, because that is how they come and go: a flow's series are made together, shown together and let go
//! together. What a line says before its value is written once, when the series is made: with ten thousand flows an
//! answer has three hundred thousand lines.

use super::names::{self, Kind, Metric};
use super::recorder::Live;
use super::series::{Counter, Gauge, Histogram, Spread};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

/// Held shared while several series of one owner change as one, alone while an owner's are read: a scrape sees whole
/// changes, and nothing that runs waits for longer than one owner takes.
static ACCOUNT: RwLock<()> = RwLock::new(());

/// Places in the table of names.
static PLACES: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| names::ALL.iter().enumerate().map(|(place, metric)| (metric.name, place)).collect());

/// Places in the order of names, in which families are shown.
static BY_NAME: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let mut places: Vec<usize> = (0..names::ALL.len()).collect();
    places.sort_by_key(|place| names::ALL[*place].name);
    places
});

/// Whose a series is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The process': never let go.
    Process,
    /// A flow's.
    Flow(String),
    /// A connection's.
    Connection(String),
}

impl Owner {
    fn of(metric: &Metric, values: &[&str]) -> Self {
        let value =
            |name| metric.labels.iter().zip(values).find(|(label, _)| label.name == name).map(|(_, value)| *value);
        match (value("flow"), value("connection")) {
            (Some(flow), _) => Self::Flow(flow.to_owned()),
            (None, Some(connection)) => Self::Connection(connection.to_owned()),
            (None, None) => Self::Process,
        }
    }
}

/// What is counted.
#[derive(Clone)]
enum Cell {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Spread>),
}

impl Cell {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Gauge => Self::Gauge(Arc::default()),
            Kind::Histogram(bounds) => Self::Histogram(Arc::new(Spread::new(bounds))),
        }
    }

    /// Whether somebody has a handle to it.
    fn is_held(&self) -> bool {
        1 < match self {
            Self::Counter(value) | Self::Gauge(value) => Arc::strong_count(value),
            Self::Histogram(spread) => Arc::strong_count(spread),
        }
    }
}

struct Row {
    /// Place of its metric in the table of names.
    place: usize,
    /// `name{labels} ` of a counter or gauge; only the labels of a histogram, whose lines differ.
    head: Box<str>,
    cell: Cell,
}

#[derive(Default)]
pub(super) struct Registry(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    by_owner: BTreeMap<Owner, Vec<Row>>,
    /// Bytes of each family when it was last shown: about as many as the next time.
    sizes: HashMap<usize, usize>,
}

impl Registry {
    /// Takes the counter, made at 0 where it is new.
    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        match self.take(metric, values) {
            Cell::Counter(value) => Counter(Some(value)),
            Cell::Gauge(_) | Cell::Histogram(_) => unreachable!("{} is no counter", metric.name),
        }
    }

    /// Takes the gauge, made at 0 where it is new.
    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        match self.take(metric, values) {
            Cell::Gauge(value) => Gauge(Some(value)),
            Cell::Counter(_) | Cell::Histogram(_) => unreachable!("{} is no gauge", metric.name),
        }
    }

    /// Takes the histogram, empty where it is new.
    pub(super) fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        match self.take(metric, values) {
            Cell::Histogram(spread) => Histogram(Some(spread)),
            Cell::Counter(_) | Cell::Gauge(_) => unreachable!("{} is no histogram", metric.name),
        }
    }

    fn take(&self, metric: &Metric, values: &[&str]) -> Cell {
        debug_assert_eq!(metric.labels.len(), values.len(), "{} takes other labels", metric.name);
        let Some(place) = PLACES.get(metric.name).copied() else { unreachable!("{} is not in the table", metric.name) };
        let head = head(metric, values);
        let mut rows = self.lock();
        let rows = rows.by_owner.entry(Owner::of(metric, values)).or_default();
        if let Some(known) = rows.iter().find(|row| row.place == place && *row.head == *head) {
            return known.cell.clone();
        }
        let cell = Cell::new(metric.kind);
        rows.push(Row { place, head: head.into_boxed_str(), cell: cell.clone() });
        cell
    }

    /// The exposition, a text per family: series of those who live, families in the order of their names.
    pub(super) fn show(&self, live: &Live) -> Vec<String> {
        let mut rows = self.lock();
        rows.let_go(live);
        let size = |place: usize| rows.sizes.get(&place).map_or(0, |size| size + size / 16);
        let mut families: Vec<String> = (0..names::ALL.len()).map(|place| String::with_capacity(size(place))).collect();
        for (_, owned) in rows.by_owner.iter().filter(|(owner, _)| live.has(owner)) {
            let _alone = ACCOUNT.write().unwrap_or_else(PoisonError::into_inner);
            for row in owned {
                let family = &mut families[row.place];
                if family.is_empty() {
                    begin(family, &names::ALL[row.place]);
                }
                row.write(family);
            }
        }
        rows.sizes = families.iter().map(String::len).enumerate().collect();
        let shown = BY_NAME.iter().map(|place| std::mem::take(&mut families[*place]));
        shown.filter(|family| !family.is_empty()).collect()
    }

    /// Forgets the series of those who are gone, once nobody counts on them any more.
    pub(super) fn let_go(&self, live: &Live) {
        self.lock().let_go(live);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn let_go(&mut self, live: &Live) {
        self.by_owner.retain(|owner, rows| live.has(owner) || rows.iter().any(|row| row.cell.is_held()));
    }
}

impl Row {
    fn write(&self, out: &mut String) {
        match &self.cell {
            Cell::Counter(value) => {
                out.push_str(&self.head);
                whole(out, value.load(Ordering::Relaxed));
            }
            Cell::Gauge(value) => {
                out.push_str(&self.head);
                number(out, f64::from_bits(value.load(Ordering::Relaxed)));
            }
            Cell::Histogram(spread) => return self.write_spread(spread, out),
        }
        out.push('\n');
    }

    fn write_spread(&self, spread: &Spread, out: &mut String) {
        let (name, labels) = (names::ALL[self.place].name, &*self.head);
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bound, up_to) in spread.up_to() {
            let _ = write!(out, "{name}_bucket{{{labels}{comma}le=\"");
            number(out, bound.unwrap_or(f64::INFINITY));
            let _ = writeln!(out, "\"}} {up_to}");
            count = up_to;
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = write!(out, "{name}_sum{braces} ");
        number(out, spread.sum());
        let _ = writeln!(out, "\n{name}_count{braces} {count}");
    }
}

fn begin(out: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let name = metric.name;
    let _ = write!(out, "# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help);
}

fn head(metric: &Metric, values: &[&str]) -> String {
    let is_histogram = matches!(metric.kind, Kind::Histogram(_));
    let mut out = if is_histogram { String::new() } else { metric.name.to_owned() };
    let braces = !is_histogram && !values.is_empty();
    if braces {
        out.push('{');
    }
    for (at, (label, value)) in metric.labels.iter().zip(values).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}=\"", label.name);
        for c in value.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if braces {
        out.push('}');
    }
    if !is_histogram {
        out.push(' ');
    }
    out
}

fn whole(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Most values are whole numbers, and those are written ten times as fast.
fn number(out: &mut String, value: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "whole and far below 2^63: nothing is cut off")]
    if value.fract() == 0.0 && value.abs() < 1e15 {
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(out, "{value}");
    }
}

/// Changes series of one owner that must agree with each other in every scrape.
pub(super) fn as_one_change(change: impl FnOnce()) {
    let _shared = ACCOUNT.read().unwrap_or_else(PoisonError::into_inner);
    change();
}

#[cfg(not(test))]
static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::default);

/// Does something with the process' own registry.
#[cfg(not(test))]
pub(super) fn with<T>(act: impl FnOnce(&Registry) -> T) -> T {
    act(&REGISTRY)
}

// Each test counts for itself.
#[cfg(test)]
thread_local! {
    static REGISTRY: std::cell::RefCell<Arc<Registry>> = std::cell::RefCell::default();
}

#[cfg(test)]
pub(super) fn with<T>(act: impl FnOnce(&Registry) -> T) -> T {
    let registry = REGISTRY.with(|registry| registry.borrow().clone());
    act(&registry)
}

/// Begins anew on this thread.
#[cfg(test)]
pub(super) fn forget() {
    REGISTRY.with(|registry| *registry.borrow_mut() = Arc::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_format_has_them() {
        let written = |value| {
            let mut out = String::new();
            number(&mut out, value);
            out
        };
        for (value, text) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (1_800_000_000.0, "1800000000"),
            (1_800_000_000.123, "1800000000.123"),
            (0.005, "0.005"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (1e18, "1000000000000000000"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn a_label_cannot_end_its_line_or_its_quotes() {
        let head = head(&names::AGENTS_CONNECTED, &["a\"} 7\nflowgate_x\\"]);
        assert_eq!(head, "flowgate_agents_connected{agent=\"a\\\"} 7\\nflowgate_x\\\\\"} ");
    }
}
