//! A span, as it leaves.

/// Most events of one span; further ones are counted.
pub const MOST_EVENTS: usize = 64;
/// Most bytes of one text.
const MOST_TEXT: usize = 1024;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Seconds(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(short(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Names in the order they were noted.
pub type Attributes = Vec<(&'static str, Value)>;

/// Something at an instant of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: &'static str,
    pub at: u64,
    pub attributes: Attributes,
}

/// Who is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody.
    Internal,
    /// A server that we ask.
    Client,
}

/// An ended span. Instants are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// The span it is part of; none for a run's.
    pub parent: Option<u64>,
    pub name: String,
    pub kind: Kind,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    /// Events that are not among them.
    pub events_lost: u32,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// As much of a text as a span holds.
pub fn short(text: &str) -> String {
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
