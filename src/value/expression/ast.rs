//! What a compiled expression is made of. Names are resolved to roots, filters and tests to functions, once.

use super::each::Each;
use super::filters::Filter;
use super::functions::Bound;
use super::predicate::Predicate;
use super::slice::Bounds;
use crate::value::context::Root;
use std::ops::Range;

/// A part of an expression and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) what: What,
    pub(super) at: Range<usize>,
    /// Levels below it, itself included; bounds every recursion over the tree.
    pub(super) depth: u16,
}

/// A literal step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::value) enum Step {
    /// `.name`, `['name']`
    Member(Box<str>),
    /// `[2]`; negative counts from the end.
    Index(i64),
    /// A bare number in a template path: an item of a list, else a member of that name.
    Either(Box<str>, i64),
}

/// The kinds of parts.
#[derive(Debug)]
pub(super) enum What {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Box<str>),
    /// A root and literal steps into it.
    Path(Root, Box<[Step]>),
    /// A name that is no root; `config` reports it, evaluation refuses it.
    Unknown(Box<str>),
    Step(Box<Node>, Step),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Negate(Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Math(Math, Box<Node>, Box<Node>),
    /// A chain of `~`, flat: one text is written.
    Concat(Vec<Node>),
    /// One or more comparisons in a row, each with the value before it.
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    If(Box<Choice>),
    Filter(Filter, Box<Node>, Vec<Option<Node>>),
    /// Something done with every item of a list.
    Each(Box<Node>, Each),
    /// `inner[from:to:step]`
    Slice(Box<Node>, Box<Bounds>),
    Is(Predicate, Box<Node>, Vec<Node>),
    Call(Box<Bound>),
}

/// `then if test else otherwise`
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) test: Node,
    pub(super) then: Node,
    pub(super) otherwise: Option<Node>,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::value) enum Math {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

/// Comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
