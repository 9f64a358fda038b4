//! What can go wrong with a text: at load (`Issue`) and at evaluation (`EvalError`).

use std::ops::Range;

/// A mistake found while compiling one configuration text (a path, template, expression …).
///
/// `at` counts bytes inside that text; `config` maps it to file, line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Where in the text.
    pub at: Range<usize>,
    /// What is wrong, a fragment without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Issue {
    /// An issue without a remedy yet.
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Why an evaluation against a record failed. Such an error belongs to the record, never to the process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A path or variable is absent. Rules, stops and paging take it as "no match".
    #[error("{0}")]
    Missing(String),
    /// Operands or values of the wrong type; the message names both sides.
    #[error("{0}")]
    Type(String),
    /// A budget was exceeded: fuel, nodes, output size, depth.
    #[error("{0}")]
    Limit(String),
    /// The result may not stand where it would go (CR in a header, another origin in a URI, unparsable body).
    #[error("{0}")]
    Refused(String),
}

impl EvalError {
    /// Whether the cause is an absent value.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }

    /// Puts the place (key path, template text) before the message.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        let with = |message: String| format!("{place}: {message}");
        match self {
            Self::Missing(m) => Self::Missing(with(m)),
            Self::Type(m) => Self::Type(with(m)),
            Self::Limit(m) => Self::Limit(with(m)),
            Self::Refused(m) => Self::Refused(with(m)),
        }
    }
}
