//! From tokens to an expression whose types fit, whose prefixes are bound and whose functions exist.

use super::Namespaces;
use super::ast::{Comparison, Expr, Operator, Path, Start, Step, Type};
use super::functions::Function;
use super::lex::{self, Token};
use super::step::anything_below;
use crate::value::issue::Issue;
use std::ops::Range;

/// Deepest nesting of brackets.
const MAX_NESTING: usize = 24;

const NODE_TYPES: &[&str] = &["node", "text", "comment", "processing-instruction"];

pub(super) fn parse(text: &str, namespaces: &Namespaces) -> Result<Expr, Issue> {
    let tokens = lex::tokens(text)?;
    let mut parser = Parser { tokens, at: 0, length: text.len(), depth: 0, namespaces };
    let expr = parser.expr()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((_, place)) => Err(Issue::new(place.clone(), format!("`{}` is not expected here", &text[place.clone()]))
            .help("an XPath looks like `/data/items/item[@id = '7']/name` or `//item`")),
    }
}

pub(super) struct Parser<'a> {
    pub tokens: Vec<(Token, Range<usize>)>,
    pub at: usize,
    length: usize,
    depth: usize,
    pub namespaces: &'a Namespaces,
}

pub(super) type Parsed<T> = Result<T, Issue>;

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    pub(super) fn sign_at(&self, at: usize) -> Option<&'static str> {
        match self.tokens.get(at) {
            Some((Token::Sign(sign), _)) => Some(sign),
            _ => None,
        }
    }

    pub(super) fn sign(&self) -> Option<&'static str> {
        self.sign_at(self.at)
    }

    pub(super) fn accept(&mut self, sign: &str) -> bool {
        let found = self.sign() == Some(sign);
        self.at += usize::from(found);
        found
    }

    /// Where the current token stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.length..self.length, |(_, place)| place.clone())
    }

    pub(super) fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.accept(sign) {
            return Ok(());
        }
        Err(Issue::new(self.place(), format!("expected `{sign}`")))
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(Issue::new(self.place(), format!("brackets nest deeper than {MAX_NESTING}")));
        }
        let mut left = self.conjunction()?;
        while self.accept("or") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut left = self.equality()?;
        while self.accept("and") {
            left = Expr::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Parsed<Expr> {
        let mut left = self.relation()?;
        loop {
            let comparison = match self.sign() {
                Some("=") => Comparison::Equal,
                Some("!=") => Comparison::Unequal,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.relation()?));
        }
    }

    fn relation(&mut self) -> Parsed<Expr> {
        let mut left = self.sum()?;
        loop {
            let comparison = match self.sign() {
                Some("<") => Comparison::Less,
                Some("<=") => Comparison::LessOrEqual,
                Some(">") => Comparison::Greater,
                Some(">=") => Comparison::GreaterOrEqual,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.sum()?));
        }
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.product()?;
        loop {
            let operator = match self.sign() {
                Some("+") => Operator::Add,
                Some("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut left = self.negation()?;
        loop {
            let operator = match self.sign() {
                Some("*") => Operator::Multiply,
                Some("div") => Operator::Divide,
                Some("mod") => Operator::Modulo,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.negation()?));
        }
    }

    fn negation(&mut self) -> Parsed<Expr> {
        let mut negations = 0_usize;
        while self.accept("-") {
            negations += 1;
        }
        let inner = self.union()?;
        Ok(match negations {
            0 => inner,
            // Two of them still make a number of what is inside.
            _ if negations.is_multiple_of(2) => Expr::Negate(Box::new(Expr::Negate(Box::new(inner)))),
            _ => Expr::Negate(Box::new(inner)),
        })
    }

    fn union(&mut self) -> Parsed<Expr> {
        let start = self.place().start;
        let mut left = self.path()?;
        while self.sign() == Some("|") {
            self.must_be_nodes(&left, start, "`|`")?;
            self.at += 1;
            let start = self.place().start;
            let right = self.path()?;
            self.must_be_nodes(&right, start, "`|`")?;
            left = Expr::Union(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn must_be_nodes(&self, expr: &Expr, start: usize, what: &str) -> Parsed<()> {
        if expr.kind() == Type::Nodes {
            return Ok(());
        }
        let end = self.tokens[..self.at].last().map_or(self.length, |(_, place)| place.end);
        Err(Issue::new(start..end.max(start), format!("{what} takes nodes, and this gives none")))
    }

    fn path(&mut self) -> Parsed<Expr> {
        let start = self.place().start;
        if self.begins_primary() {
            let inner = self.primary()?;
            if !matches!(self.sign(), Some("[" | "/" | "//")) {
                return Ok(inner);
            }
            self.must_be_nodes(&inner, start, "a step or predicate")?;
            let predicates = self.predicates()?;
            let mut steps = Vec::new();
            self.further(&mut steps)?;
            return Ok(Expr::Path(Path { start: Start::Filter(Box::new(inner), predicates), steps }));
        }
        let mut steps = Vec::new();
        let start = match self.sign() {
            Some("/") => {
                self.at += 1;
                if !self.begins_step() {
                    return Ok(Expr::Path(Path { start: Start::Root, steps }));
                }
                Start::Root
            }
            Some("//") => {
                self.at += 1;
                steps.push(anything_below());
                Start::Root
            }
            _ => Start::Context,
        };
        self.step(&mut steps)?;
        self.further(&mut steps)?;
        Ok(Expr::Path(Path { start, steps }))
    }

    /// `/step//step…`
    fn further(&mut self, steps: &mut Vec<Step>) -> Parsed<()> {
        loop {
            if self.accept("//") {
                steps.push(anything_below());
            } else if !self.accept("/") {
                return Ok(());
            }
            self.step(steps)?;
        }
    }

    fn begins_primary(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Text(_) | Token::Sign("(")) => true,
            Some(Token::Name(prefix, name)) => {
                self.sign_at(self.at + 1) == Some("(") && !(prefix.is_none() && NODE_TYPES.contains(&name.as_str()))
            }
            _ => false,
        }
    }

    fn begins_step(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Name(..) | Token::Star | Token::Namespace(_) | Token::Local(_) | Token::Sign("@" | "." | ".."))
        )
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let Some((token, place)) = self.tokens.get(self.at).cloned() else { return Err(self.nothing()) };
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Name(prefix, name) => self.call(prefix.as_deref(), &name, place),
            _ => {
                let inner = self.expr()?;
                self.expect(")")?;
                // Kept apart, so that predicates behind the bracket count over all of it.
                Ok(inner)
            }
        }
    }

    fn call(&mut self, prefix: Option<&str>, name: &str, place: Range<usize>) -> Parsed<Expr> {
        let Some(function) = Function::named(name).filter(|_| prefix.is_none()) else {
            return Err(Issue::new(place, format!("the function `{name}` is not supported in an XPath"))
                .help(format!("there are {}", Function::names())));
        };
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.accept(")") {
            loop {
                let start = self.place().start;
                let argument = self.expr()?;
                if function.takes_nodes() {
                    self.must_be_nodes(&argument, start, &format!("`{name}()`"))?;
                }
                arguments.push(argument);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let (least, most) = function.arguments();
        if arguments.len() < least || arguments.len() > most {
            let wanted = match (least, most) {
                (least, usize::MAX) => format!("at least {least}"),
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(Issue::new(place, format!("`{name}()` takes {wanted} arguments, not {}", arguments.len())));
        }
        Ok(Expr::Call(function, arguments))
    }

    pub(super) fn predicates(&mut self) -> Parsed<Vec<Expr>> {
        let mut predicates = Vec::new();
        while self.accept("[") {
            predicates.push(self.expr()?);
            self.expect("]")?;
        }
        Ok(predicates)
    }

    pub(super) fn nothing(&self) -> Issue {
        Issue::new(self.length..self.length, "the XPath ends too early")
    }
}
