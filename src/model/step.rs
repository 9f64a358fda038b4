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

/// The one thing a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `transform.create`
    Create(Tree),
    /// `keep`: records for which it is false leave the flow.
    Keep(Expression),
}
