//! What a path is once it is parsed. Types are known here: there are no variables whose type would not be.

use super::functions::Function;
use crate::value::xml::{Kind, Node, Xml};

/// The four types of XPath 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Nodes,
    Bool,
    Number,
    Text,
}

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Operator, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Union(Box<Expr>, Box<Expr>),
    Text(String),
    Number(f64),
    Call(Function, Vec<Expr>),
    Path(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone)]
pub(super) struct Path {
    pub start: Start,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum Start {
    Root,
    Context,
    /// A primary expression with predicates.
    Filter(Box<Expr>, Vec<Expr>),
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub axis: Axis,
    pub test: Test,
    pub predicates: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Parent,
    Ancestor,
    AncestorOrSelf,
    FollowingSibling,
    PrecedingSibling,
    Following,
    Preceding,
    Attribute,
    Own,
}

impl Axis {
    /// Every axis by its name.
    pub(super) const ALL: &'static [(&'static str, Axis)] = &[
        ("child", Self::Child),
        ("descendant", Self::Descendant),
        ("descendant-or-self", Self::DescendantOrSelf),
        ("parent", Self::Parent),
        ("ancestor", Self::Ancestor),
        ("ancestor-or-self", Self::AncestorOrSelf),
        ("following-sibling", Self::FollowingSibling),
        ("preceding-sibling", Self::PrecedingSibling),
        ("following", Self::Following),
        ("preceding", Self::Preceding),
        ("attribute", Self::Attribute),
        ("self", Self::Own),
    ];

    /// Whether its positions count against document order.
    pub(super) fn is_reverse(self) -> bool {
        matches!(self, Self::Parent | Self::Ancestor | Self::AncestorOrSelf | Self::PrecedingSibling | Self::Preceding)
    }
}

/// What of an axis is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// `node()`
    Node,
    /// `text()`
    Text,
    /// `comment()`
    Comment,
    /// `processing-instruction('target')`
    Instruction(Option<String>),
    /// `*`
    Star,
    /// `p:*`
    Namespace(String),
    /// `name`, `p:name`
    Name(Option<String>, String),
    /// `*:name`
    Local(String),
}

impl Test {
    /// Whether it names one element.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Self::Name(..) | Self::Local(_))
    }

    /// Whether a node of this axis passes.
    pub(super) fn passes(&self, xml: &Xml, node: Node, axis: Axis) -> bool {
        let kind = xml.kind(node);
        let principal = if axis == Axis::Attribute { Kind::Attribute } else { Kind::Element };
        let named = |accepts: &dyn Fn(Option<&str>, &str) -> bool| {
            kind == principal && xml.name(node).is_some_and(|(namespace, _, local)| accepts(namespace, local))
        };
        match self {
            Self::Node => true,
            Self::Text => kind == Kind::Text,
            Self::Comment => kind == Kind::Comment,
            Self::Instruction(None) => kind == Kind::Instruction,
            Self::Instruction(Some(target)) => {
                kind == Kind::Instruction && xml.name(node).is_some_and(|(_, _, local)| local == target)
            }
            Self::Star => kind == principal,
            Self::Namespace(uri) => named(&|namespace, _| namespace == Some(uri)),
            Self::Name(uri, name) => named(&|namespace, local| local == name && namespace == uri.as_deref()),
            Self::Local(name) => named(&|_, local| local == name),
        }
    }
}

impl Expr {
    /// What it gives.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Or(..) | Self::And(..) | Self::Compare(..) => Type::Bool,
            Self::Arithmetic(..) | Self::Negate(_) | Self::Number(_) => Type::Number,
            Self::Union(..) => Type::Nodes,
            Self::Text(_) => Type::Text,
            Self::Call(function, _) => function.gives(),
            Self::Path(path) => match &path.start {
                Start::Filter(inner, predicates) if path.steps.is_empty() && predicates.is_empty() => inner.kind(),
                _ => Type::Nodes,
            },
        }
    }

    /// Whether a predicate of this kind depends on where a node stands among others.
    pub(super) fn is_positional(&self) -> bool {
        self.kind() == Type::Number || self.mentions_position()
    }

    fn mentions_position(&self) -> bool {
        match self {
            Self::Or(left, right)
            | Self::And(left, right)
            | Self::Compare(_, left, right)
            | Self::Arithmetic(_, left, right)
            | Self::Union(left, right) => left.mentions_position() || right.mentions_position(),
            Self::Call(function, arguments) => {
                matches!(function, Function::Position | Function::Last) || arguments.iter().any(Self::mentions_position)
            }
            // Inside the brackets of a path positions are those of its own steps.
            Self::Negate(inner) | Self::Path(Path { start: Start::Filter(inner, _), .. }) => inner.mentions_position(),
            Self::Text(_) | Self::Number(_) | Self::Path(_) => false,
        }
    }
}
