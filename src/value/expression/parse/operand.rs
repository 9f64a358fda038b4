//! Operands: literals, names, calls, and what may follow one: steps, filters, tests.

use super::{Argument, MAX_STEPS, Parsed, Parser};
use crate::value::context::Root;
use crate::value::expression::ast::{Node, Step, What};
use crate::value::expression::each::Each;
use crate::value::expression::filters::Filter;
use crate::value::expression::functions::Bound;
use crate::value::expression::lex::{Lexed, Token};
use crate::value::expression::predicate::Predicate;
use crate::value::issue::Issue;
use std::ops::Range;

impl Parser<'_> {
    pub(super) fn unary(&mut self) -> Parsed {
        let node = self.negated()?;
        self.filters(node)
    }

    /// The sign applies to the operand with its steps; filters and tests then apply to the negated value.
    fn negated(&mut self) -> Parsed {
        let start = self.here().start;
        if !self.sign("-") {
            let primary = self.primary()?;
            return self.steps(primary);
        }
        let inner = self.nested(Self::negated)?;
        let below = inner.depth;
        match inner.what {
            What::Int(n) => self.node(start, What::Int(-n), 0),
            What::Float(n) => self.node(start, What::Float(-n), 0),
            _ => self.node(start, What::Negate(Box::new(inner)), below),
        }
    }

    fn primary(&mut self) -> Parsed {
        let Lexed { token, at } = match self.tokens.get(self.next) {
            Some(lexed) => lexed.clone(),
            None => return Err(Issue::new(self.here(), "expected a value, found the end")),
        };
        self.next += 1;
        let what = match token {
            Token::Int(n) => What::Int(n),
            Token::Float(n) => What::Float(n),
            Token::Text(text) => What::Text(text.into()),
            Token::Name(name) => return self.named(name, at),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => return self.list(at.start),
            Token::Sign("{") => return self.map(at.start),
            Token::Sign(sign) => {
                return Err(Issue::new(at, format!("expected a value, found `{sign}`")));
            }
        };
        self.node(at.start, what, 0)
    }

    fn named(&mut self, name: String, at: Range<usize>) -> Parsed {
        let what = match name.as_str() {
            "true" | "True" => What::Bool(true),
            "false" | "False" => What::Bool(false),
            "none" | "None" | "null" => What::Null,
            "if" | "else" | "and" | "or" | "not" | "in" | "is" => {
                return Err(Issue::new(at, format!("expected a value, found `{name}`")));
            }
            _ if self.sign("(") => return self.call(&name, at),
            _ => match Root::by_name(&name) {
                Some(root) => What::Path(root, Box::default()),
                None => What::Unknown(name.into()),
            },
        };
        self.node(at.start, what, 0)
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Parsed {
        let arguments = self.arguments()?;
        let below = arguments.iter().map(|(_, n)| n.depth).max().unwrap_or(0);
        let span = at.start..self.end_of_last();
        match Bound::new(name, at.clone(), span, arguments) {
            Ok(bound) => self.node(at.start, What::Call(Box::new(bound)), below),
            Err(issue) => {
                self.issues.push(issue);
                self.node(at.start, What::Null, below)
            }
        }
    }

    fn list(&mut self, start: usize) -> Parsed {
        let mut items = Vec::new();
        while !self.sign("]") {
            if !items.is_empty() {
                self.expect(",")?;
                if self.sign("]") {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        let below = items.iter().map(|n| n.depth).max().unwrap_or(0);
        self.node(start, What::List(items), below)
    }

    fn map(&mut self, start: usize) -> Parsed {
        let mut members = Vec::new();
        while !self.sign("}") {
            if !members.is_empty() {
                self.expect(",")?;
                if self.sign("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect(":")?;
            members.push((key, self.expression()?));
        }
        let below = members.iter().map(|(k, v)| k.depth.max(v.depth)).max().unwrap_or(0);
        self.node(start, What::Map(members), below)
    }

    fn steps(&mut self, mut node: Node) -> Parsed {
        loop {
            if self.sign(".") {
                let step = if let Some(Token::Int(n)) = self.peek() {
                    let index = i64::try_from(*n).unwrap_or(i64::MAX);
                    self.next += 1;
                    Step::Index(index)
                } else {
                    Step::Member(self.name()?.0.into())
                };
                node = self.step(node, step)?;
            } else if self.sign("[") {
                node = self.subscript(node)?;
            } else if matches!(self.peek(), Some(Token::Sign("("))) {
                return Err(Issue::new(self.here(), "only helper names can be called")
                    .help("values have no methods; use a filter, as in `x | upper`"));
            } else {
                return Ok(node);
            }
        }
    }

    fn subscript(&mut self, node: Node) -> Parsed {
        if self.sign(":") {
            return self.slice(node, None);
        }
        let index = self.expression()?;
        if self.sign(":") {
            return self.slice(node, Some(index));
        }
        self.expect("]")?;
        match index.what {
            What::Text(name) => self.step(node, Step::Member(name)),
            What::Int(n) if i64::try_from(n).is_ok() => {
                self.step(node, Step::Index(i64::try_from(n).unwrap_or_default()))
            }
            _ => self.pair(node, index, What::Index),
        }
    }

    /// After the first colon of `[from:to:step]`.
    fn slice(&mut self, node: Node, from: Option<Node>) -> Parsed {
        let to = if matches!(self.peek(), Some(Token::Sign(":" | "]"))) { None } else { Some(self.expression()?) };
        let more = self.sign(":") && !matches!(self.peek(), Some(Token::Sign("]")));
        let step = if more { Some(self.expression()?) } else { None };
        self.expect("]")?;
        let bounds = [from, to, step];
        let below = bounds.iter().flatten().map(|node| node.depth).max().unwrap_or(0).max(node.depth);
        self.node(node.at.start, What::Slice(Box::new(node), Box::new(bounds)), below)
    }

    fn step(&self, node: Node, step: Step) -> Parsed {
        let (start, below) = (node.at.start, node.depth);
        match node.what {
            What::Path(_, steps) if steps.len() >= MAX_STEPS => {
                Err(Issue::new(start..self.end_of_last(), format!("the path has more than {MAX_STEPS} steps")))
            }
            What::Path(root, steps) => {
                let steps = steps.into_iter().chain([step]).collect();
                self.node(start, What::Path(root, steps), 0)
            }
            _ => self.node(start, What::Step(Box::new(node), step), below),
        }
    }

    fn filters(&mut self, mut node: Node) -> Parsed {
        loop {
            if self.sign("|") {
                let (name, at) = self.name()?;
                let arguments = if self.sign("(") { self.arguments()? } else { Vec::new() };
                let below = arguments.iter().map(|(_, n)| n.depth).max().unwrap_or(0).max(node.depth);
                let span = at.start..self.end_of_last();
                let start = node.at.start;
                if Each::is(&name, &arguments) {
                    match Each::bind(&name, at, span, arguments) {
                        Ok(each) => node = self.node(start, What::Each(Box::new(node), each), below)?,
                        Err(issue) => self.issues.push(issue),
                    }
                    continue;
                }
                match Filter::bind(&name, at, span, arguments) {
                    Ok((filter, arguments)) => {
                        node = self.node(start, What::Filter(filter, Box::new(node), arguments), below)?;
                    }
                    Err(issue) => self.issues.push(issue),
                }
            } else if self.word("is") {
                node = self.is(node)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn is(&mut self, node: Node) -> Parsed {
        let negated = self.word("not");
        let (name, at) = self.name()?;
        let arguments = if self.sign("(") {
            self.arguments()?
        } else if self.starts_an_argument() {
            vec![(None, self.nested(Self::negated)?)]
        } else {
            Vec::new()
        };
        let below = arguments.iter().map(|(_, n)| n.depth).max().unwrap_or(0).max(node.depth);
        let (start, span) = (node.at.start, at.start..self.end_of_last());
        match Predicate::bind(&name, at, span, arguments) {
            Ok((predicate, arguments)) => {
                let is = self.node(start, What::Is(predicate, Box::new(node), arguments), below)?;
                if negated { self.node(start, What::Not(Box::new(is)), below + 1) } else { Ok(is) }
            }
            Err(issue) => {
                self.issues.push(issue);
                Ok(node)
            }
        }
    }

    fn starts_an_argument(&self) -> bool {
        match self.peek() {
            Some(Token::Name(name)) => !matches!(name.as_str(), "and" | "or" | "else" | "is" | "if" | "in" | "not"),
            Some(Token::Text(_) | Token::Int(_) | Token::Float(_)) => true,
            Some(Token::Sign(sign)) => matches!(*sign, "[" | "{"),
            None => false,
        }
    }

    /// After the opening bracket.
    fn arguments(&mut self) -> Result<Vec<Argument>, Issue> {
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.sign(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
                if self.sign(")") {
                    break;
                }
            }
            let named = match (self.peek(), self.tokens.get(self.next + 1).map(|l| &l.token)) {
                (Some(Token::Name(name)), Some(Token::Sign("="))) => Some((name.clone(), self.here())),
                _ => None,
            };
            if named.is_some() {
                self.next += 2;
            } else if arguments.last().is_some_and(|(name, _)| name.is_some()) {
                return Err(Issue::new(self.here(), "an argument without a name cannot follow a named one"));
            }
            arguments.push((named, self.expression()?));
        }
        Ok(arguments)
    }
}
