//! What happens to a record between export and import. (Lookups, routes and imports between come later.)

use crate::value::expression::Expression;
use crate::value::tree::Tree;

/// `[[step]]`
#[derive(Debug, Clone)]
pub struct Step {
    /// `name`, or its position.
    pub name: String,
    /// `when`: false skips the step.
    pub when: Option<Expression>,
    /// What it does.
    pub action: Action,
}

/// What an error of a step means for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It has an error record and goes no further.
    #[default]
    Stop,
    /// It goes on as it was before the step.
    Proceed,
}

/// The one thing a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `transform.create`
    Create(Tree),
    /// `keep`: records for which it is false leave the flow.
    Keep(Expression),
}
