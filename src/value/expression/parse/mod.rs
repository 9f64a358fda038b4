//! The Jinja expression grammar, by recursive descent with caps on length, nesting and depth. Gives a tree whose
//! names, filters and functions are resolved; unknown ones become issues, all of them in one pass.

mod operand;

use super::ast::{Choice, Comparison, Math, Node, What};
use super::lex::{Lexed, Token, tokens};
use crate::value::issue::Issue;
use std::ops::Range;

/// Longest source text, in bytes.
pub(super) const MAX_SOURCE: usize = 8 * 1024;
/// Deepest nesting of brackets and prefix operators.
const MAX_NESTING: usize = 64;
/// Deepest tree; a chain such as `a ~ b ~ c` counts one level per operator.
const MAX_DEPTH: u16 = 256;

/// Most steps of one path; checked JSON nests no deeper.
const MAX_STEPS: usize = crate::value::json::MAX_DEPTH;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Issue>> {
    if text.len() > MAX_SOURCE {
        return Err(vec![
            Issue::new(0..0, format!("the expression is {} bytes long, at most {MAX_SOURCE} are allowed", text.len()))
                .help("move the computation into a transform step, or shorten it"),
        ]);
    }
    let tokens = tokens(text).map_err(|issue| vec![issue])?;
    if tokens.is_empty() {
        return Err(vec![Issue::new(0..text.len(), "the expression is empty")]);
    }
    let mut parser = Parser { text, tokens, next: 0, nesting: 0, issues: Vec::new() };
    let root = parser.whole();
    match root {
        Ok(node) if parser.issues.is_empty() => Ok(node),
        Ok(_) => Err(parser.issues),
        Err(issue) => {
            parser.issues.push(issue);
            Err(parser.issues)
        }
    }
}

type Parsed = Result<Node, Issue>;
/// An argument, perhaps named.
pub(super) type Argument = (Option<(String, Range<usize>)>, Node);

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Lexed>,
    next: usize,
    nesting: usize,
    issues: Vec<Issue>,
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed {
        let node = self.expression()?;
        match self.peek() {
            None => Ok(node),
            Some(Token::Sign("=")) => {
                Err(Issue::new(self.here(), "`=` does not compare").help("write `==` to compare two values"))
            }
            Some(_) => Err(Issue::new(self.here(), format!("unexpected {} after the expression", self.found()))
                .help("join parts with an operator, such as `~` for text")),
        }
    }

    // Tokens.

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|l| &l.token)
    }

    fn here(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.text.len()..self.text.len(), |l| l.at.clone())
    }

    fn end_of_last(&self) -> usize {
        self.next.checked_sub(1).and_then(|n| self.tokens.get(n)).map_or(0, |l| l.at.end)
    }

    fn found(&self) -> String {
        match self.tokens.get(self.next) {
            Some(lexed) => format!("`{}`", &self.text[lexed.at.clone()]),
            None => "the end".to_owned(),
        }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let yes = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.next += usize::from(yes);
        yes
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(name)) if name == word)
    }

    fn word(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        self.next += usize::from(yes);
        yes
    }

    fn expect(&mut self, sign: &str) -> Result<(), Issue> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(Issue::new(self.here(), format!("expected `{sign}`, found {}", self.found())))
    }

    fn name(&mut self) -> Result<(String, Range<usize>), Issue> {
        let at = self.here();
        if let Some(Token::Name(name)) = self.peek() {
            let name = name.clone();
            self.next += 1;
            return Ok((name, at));
        }
        Err(Issue::new(at, format!("expected a name, found {}", self.found())))
    }

    // Nodes.

    fn node(&self, start: usize, what: What, below: u16) -> Parsed {
        let at = start..self.end_of_last();
        if below >= MAX_DEPTH {
            return Err(Issue::new(at, format!("the expression has more than {MAX_DEPTH} levels"))
                .help("split it, or use a list with `join`"));
        }
        Ok(Node { what, at, depth: below + 1 })
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.nesting >= MAX_NESTING {
            return Err(Issue::new(self.here(), format!("the expression nests deeper than {MAX_NESTING} levels")));
        }
        self.nesting += 1;
        let node = parse(self);
        self.nesting -= 1;
        node
    }

    // Grammar, loosest first.

    fn expression(&mut self) -> Parsed {
        self.nested(Self::choice)
    }

    fn choice(&mut self) -> Parsed {
        let mut node = self.either()?;
        while self.word("if") {
            let start = node.at.start;
            let test = self.either()?;
            let otherwise = if self.word("else") { Some(self.expression()?) } else { None };
            let below = node.depth.max(test.depth).max(otherwise.as_ref().map_or(0, |n| n.depth));
            node = self.node(start, What::If(Box::new(Choice { test, then: node, otherwise })), below)?;
        }
        Ok(node)
    }

    fn either(&mut self) -> Parsed {
        let mut left = self.both()?;
        while self.word("or") {
            let right = self.both()?;
            left = self.pair(left, right, What::Or)?;
        }
        Ok(left)
    }

    fn both(&mut self) -> Parsed {
        let mut left = self.inverse()?;
        while self.word("and") {
            let right = self.inverse()?;
            left = self.pair(left, right, What::And)?;
        }
        Ok(left)
    }

    fn pair(&self, left: Node, right: Node, what: impl FnOnce(Box<Node>, Box<Node>) -> What) -> Parsed {
        let (start, below) = (left.at.start, left.depth.max(right.depth));
        self.node(start, what(Box::new(left), Box::new(right)), below)
    }

    /// `a ~ b ~ c` becomes one part with three operands.
    fn chain(&self, left: Node, right: Node) -> Parsed {
        let start = left.at.start;
        if let What::Concat(mut operands) = left.what {
            let below = right.depth.max(left.depth - 1);
            operands.push(right);
            return self.node(start, What::Concat(operands), below);
        }
        let below = left.depth.max(right.depth);
        self.node(start, What::Concat(vec![left, right]), below)
    }

    fn inverse(&mut self) -> Parsed {
        let start = self.here().start;
        if !self.word("not") {
            return self.comparison();
        }
        let inner = self.nested(Self::inverse)?;
        let below = inner.depth;
        self.node(start, What::Not(Box::new(inner)), below)
    }

    fn comparison(&mut self) -> Parsed {
        let first = self.binary(0)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison_sign()? {
            rest.push((comparison, self.binary(0)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let below = rest.iter().map(|(_, n)| n.depth).max().unwrap_or(0).max(first.depth);
        self.node(first.at.start, What::Compare(Box::new(first), rest), below)
    }

    fn comparison_sign(&mut self) -> Result<Option<Comparison>, Issue> {
        let comparison = match self.peek() {
            Some(Token::Sign("==")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(Token::Name(name)) if name == "in" => Comparison::In,
            Some(Token::Name(name)) if name == "not" => {
                self.next += 1;
                if !self.is_word("in") {
                    return Err(Issue::new(self.here(), format!("expected `in` after `not`, found {}", self.found())));
                }
                Comparison::NotIn
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(comparison))
    }

    /// Arithmetic and `~`, all left associative; level 0 binds loosest.
    fn binary(&mut self, level: u8) -> Parsed {
        if level == 4 {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(Token::Sign(sign)) = self.peek() {
            let math = match (level, *sign) {
                (0, "+") => Some(Math::Add),
                (0, "-") => Some(Math::Subtract),
                (1, "~") => None,
                (2, "*") => Some(Math::Multiply),
                (2, "/") => Some(Math::Divide),
                (2, "//") => Some(Math::FloorDivide),
                (2, "%") => Some(Math::Remainder),
                (3, "**") => Some(Math::Power),
                _ => break,
            };
            self.next += 1;
            let right = self.binary(level + 1)?;
            left = match math {
                Some(math) => self.pair(left, right, |l, r| What::Math(math, l, r))?,
                None => self.chain(left, right)?,
            };
        }
        Ok(left)
    }
}
