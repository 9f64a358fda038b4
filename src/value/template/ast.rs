//! What a compiled template is made of. Names are resolved to roots, items or block parameters, once.

use crate::value::context::Root;
use crate::value::expression::Step;
use std::ops::Range;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(Box<str>),
    Value { value: Operand, raw: bool },
    If { test: Operand, zero: bool, then: Vec<Part>, otherwise: Vec<Part> },
    Each { list: Operand, body: Vec<Part>, otherwise: Vec<Part> },
    With { value: Operand, body: Vec<Part>, otherwise: Vec<Part> },
}

/// Something with a value, and where it stands.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) what: What,
    pub(super) at: Range<usize>,
}

/// The kinds of operands.
#[derive(Debug)]
pub(super) enum What {
    Text(Box<str>),
    /// A number, as written.
    Number(Box<str>),
    Bool(bool),
    Null,
    Path(Base, Box<[Step]>),
    Default(Box<Operand>, Box<Operand>),
    Equal(Box<Operand>, Box<Operand>),
    Json(Box<Operand>),
}

/// Where a path begins. Numbers count enclosing `each` and `with` blocks from the innermost, 0, outwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Root(Root),
    /// No known root; `config` reports it.
    Unknown(Box<str>),
    /// The item of a block.
    Item(usize),
    /// Its number.
    Index(usize),
    /// Its key, or its number in a list.
    Key(usize),
    First(usize),
    Last(usize),
}
