//! What a compiled template is made of. Names are resolved to roots, items or block parameters, once.

use crate::value::context::Root;
use crate::value::expression::Step;
use crate::value::function::{Function, Pattern};
use std::ops::Range;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(Box<str>),
    Value {
        value: Operand,
        raw: bool,
    },
    If {
        test: Operand,
        zero: bool,
        then: Vec<Part>,
        otherwise: Vec<Part>,
    },
    Each {
        list: Operand,
        body: Vec<Part>,
        otherwise: Vec<Part>,
    },
    With {
        value: Operand,
        body: Vec<Part>,
        otherwise: Vec<Part>,
    },
    /// `{{#flag}}`, `{{#list}}`: once, per item, or with the value, as it is found.
    Section {
        value: Operand,
        body: Vec<Part>,
        otherwise: Vec<Part>,
    },
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
    Call(Box<Bound>),
}

/// A helper with what is known of its arguments at load.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) function: &'static Function,
    pub(super) arguments: Vec<Operand>,
    pub(super) named: Vec<(String, Operand)>,
    pub(super) pattern: Option<Pattern>,
}

/// Where a path begins. Numbers count enclosing blocks from the innermost, 0, outwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Root(Root),
    /// No known root; `config` reports it.
    Unknown(Box<str>),
    /// The item of a block.
    Item(usize),
    /// Its key, or its number in a list.
    Key(usize),
    /// So many levels up, where sections stand between: those over a truth value open no level.
    Up(usize),
    /// What `each` tells of its loop, so many loops up.
    Loop(Told, usize),
}

/// What `each` tells of its loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Index,
    Key,
    First,
    Last,
}
