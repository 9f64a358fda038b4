//! Expressions: the Jinja expression grammar with strict types, bounded by fuel.

use super::context::{Context, Reference};
use super::issue::{EvalError, Issue};
use super::json::JsonRef;
use std::borrow::Cow;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
}

/// What an expression gives.
#[derive(Clone)]
pub enum Value<'a> {
    /// No such value.
    Undefined,
    /// Raw JSON that was only passed through (any kind).
    Json(JsonRef<'a>),
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// A map, in order.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Expression {
    /// Compiles the text after `=` (or a bare condition).
    pub fn compile(_text: &str) -> Result<Self, Vec<Issue>> {
        todo!()
    }
    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Names it reads.
    pub fn references(&self) -> &[Reference] {
        todo!()
    }
    /// Its value. An undefined result is `Missing`.
    pub fn eval<'a>(&'a self, _ctx: &Context<'a>) -> Result<Value<'a>, EvalError> {
        todo!()
    }
    /// As a condition: undefined is false.
    pub fn test(&self, _ctx: &Context<'_>) -> Result<bool, EvalError> {
        todo!()
    }
}

impl Value<'_> {
    /// Writes the value as JSON.
    pub fn write(&self, _out: &mut Vec<u8>) -> Result<(), EvalError> {
        todo!()
    }
}
