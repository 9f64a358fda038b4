//! Turns pieces into parts: pairs up blocks, resolves names and helpers, lists references and mistakes.

mod resolve;

use super::ast::{Operand, Part, What};
use super::names;
use super::scan::{Kind, Piece, Tag};
use super::tag::{Head, Operand as Written, Syntax};
use crate::value::context::{Reference, Root};
use crate::value::issue::Issue;
use std::ops::Range;

/// Deepest nesting of blocks, `{{else if}}` chains included.
const MAX_NESTING: usize = 64;

/// Builds the parts of a template.
pub(super) struct Builder {
    pieces: std::vec::IntoIter<Piece>,
    /// Enclosing `each` and `with` blocks with the names of their parameters.
    scopes: Vec<Vec<String>>,
    nesting: usize,
    pub(super) references: Vec<Reference>,
    pub(super) issues: Vec<Issue>,
}

/// What ended a run of parts.
enum End {
    Source,
    Else(Tag),
    Close(Tag),
}

type Built<T> = Result<T, Issue>;

impl Builder {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces: pieces.into_iter(), scopes: Vec::new(), nesting: 0, references: Vec::new(), issues: Vec::new() }
    }

    /// All parts. Mistakes of structure end the work; others are collected.
    pub(super) fn parts(&mut self) -> Built<Vec<Part>> {
        match self.run()? {
            (parts, End::Source) => Ok(parts),
            (_, End::Else(tag)) => Err(Issue::new(tag.at, "`else` stands outside a block")),
            (_, End::Close(tag)) => Err(Issue::new(tag.at, "this closes a block that was not opened")),
        }
    }

    fn run(&mut self) -> Built<(Vec<Part>, End)> {
        let mut parts = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(text) => match parts.last_mut() {
                    _ if text.is_empty() => {}
                    // Comments leave two texts side by side.
                    Some(Part::Text(before)) => *before = format!("{before}{text}").into(),
                    _ => parts.push(Part::Text(text.into())),
                },
                Piece::Tag(tag) => match tag.kind {
                    Kind::Comment => {}
                    Kind::Else => return Ok((parts, End::Else(tag))),
                    Kind::Close => return Ok((parts, End::Close(tag))),
                    Kind::Value { raw } => parts.extend(self.value(tag).map(|value| Part::Value { value, raw })),
                    Kind::Open { inverse } => {
                        let part = self.block(tag.head, &tag.at, inverse)?;
                        parts.extend(part);
                    }
                },
            }
        }
        Ok((parts, End::Source))
    }

    fn value(&mut self, tag: Tag) -> Option<Operand> {
        let at = tag.at;
        if !tag.head.params.is_empty() {
            self.issues.push(Issue::new(at, "`as |…|` belongs to a block").help("write `{{#each … as |item|}}`"));
            return None;
        }
        let built = self.call(tag.head, at, false);
        self.noted(built)
    }

    fn noted<T>(&mut self, built: Built<T>) -> Option<T> {
        built.map_err(|issue| self.issues.push(issue)).ok()
    }

    // Blocks.

    fn block(&mut self, head: Head, at: &Range<usize>, inverse: bool) -> Built<Option<Part>> {
        if self.nesting >= MAX_NESTING {
            return Err(Issue::new(at.clone(), format!("blocks nest deeper than {MAX_NESTING} levels"))
                .help("build the value in a transform step"));
        }
        self.nesting += 1;
        let part = self.chained(head, at, inverse).and_then(|(part, close, name)| {
            closed_by(close, &name, at)?;
            Ok(part)
        });
        self.nesting -= 1;
        part
    }

    /// One block with its else branches; the closing tag is left to the first of a chain.
    fn chained(
        &mut self,
        mut head: Head,
        at: &Range<usize>,
        inverse: bool,
    ) -> Built<(Option<Part>, Option<Tag>, String)> {
        let name = match &head.operands[0].what {
            Syntax::Path(path) => path.simple().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        if !matches!(name.as_str(), "if" | "unless" | "each" | "with") {
            return Err(self.unknown_block(&head, &name));
        }
        let head_at = head.operands[0].at.clone();
        let mut operands = head.operands.drain(1..);
        let operand = match (operands.next(), operands.next()) {
            (Some(operand), None) => operand,
            (None, _) => return Err(Issue::new(head_at, format!("block `{name}` lacks its argument"))),
            (_, Some(extra)) => {
                return Err(Issue::new(extra.at, format!("block `{name}` takes one argument"))
                    .help("put a call into brackets, such as `{{#if (eq a b)}}`"));
            }
        };
        drop(operands);
        let zero = self.include_zero(&name, head.named);
        let built = self.operand(operand, true);
        let operand = self.noted(built);
        let scoped = matches!(name.as_str(), "each" | "with");
        if scoped && inverse {
            return Err(Issue::new(head_at, format!("block `{name}` has no inverse form"))
                .help(format!("write `{{{{#{name} …}}}}{{{{else}}}}…{{{{/{name}}}}}`")));
        }
        if scoped {
            self.scopes.push(head.params);
        } else if !head.params.is_empty() {
            self.issues.push(Issue::new(head_at, format!("block `{name}` takes no `as |…|`")));
        }
        let body = self.run();
        if scoped {
            self.scopes.pop();
        }
        let (body, end) = body?;
        let (otherwise, close) = self.otherwise(end, at)?;
        let part = operand.map(|operand| {
            let swapped = inverse ^ (name == "unless");
            let (body, otherwise) = if swapped { (otherwise, body) } else { (body, otherwise) };
            match name.as_str() {
                "each" => Part::Each { list: operand, body, otherwise },
                "with" => Part::With { value: operand, body, otherwise },
                _ => Part::If { test: operand, zero, then: body, otherwise },
            }
        });
        Ok((part, close, name))
    }

    fn otherwise(&mut self, end: End, at: &Range<usize>) -> Built<(Vec<Part>, Option<Tag>)> {
        let tag = match end {
            End::Source => return Ok((Vec::new(), None)),
            End::Close(tag) => return Ok((Vec::new(), Some(tag))),
            End::Else(tag) => tag,
        };
        if !tag.head.operands.is_empty() {
            if self.nesting >= MAX_NESTING {
                return Err(Issue::new(tag.at, format!("more than {MAX_NESTING} blocks and `else` branches nest")));
            }
            self.nesting += 1;
            let chained = self.chained(tag.head, at, false);
            self.nesting -= 1;
            let (part, close, _) = chained?;
            return Ok((part.into_iter().collect(), close));
        }
        match self.run()? {
            (parts, End::Source) => Ok((parts, None)),
            (parts, End::Close(tag)) => Ok((parts, Some(tag))),
            (_, End::Else(tag)) => Err(Issue::new(tag.at, "the block has a second `else`")),
        }
    }

    fn unknown_block(&self, head: &Head, name: &str) -> Issue {
        let at = head.operands[0].at.clone();
        if name.is_empty() || Root::by_name(name).is_some() || !self.scopes.is_empty() && head.operands.len() == 1 {
            return Issue::new(at, "a block begins with a helper")
                .help("write `{{#each …}}`, `{{#with …}}` or `{{#if …}}`");
        }
        if names::BUILT.contains(&name) {
            return Issue::new(at, format!("helper `{name}` is not a block")).help(format!("write `{{{{{name} …}}}}`"));
        }
        names::unknown_helper(name, at)
    }

    fn include_zero(&mut self, name: &str, named: Vec<(String, Range<usize>, Written)>) -> bool {
        let mut zero = false;
        for (key, at, value) in named {
            match (key.as_str(), value.what) {
                ("includeZero", Syntax::Bool(on)) if matches!(name, "if" | "unless") => zero = on,
                _ => self.issues.push(Issue::new(at, format!("helper `{name}` has no argument `{key}`"))),
            }
        }
        zero
    }

    // Operands.

    fn operand(&mut self, written: Written, tolerant: bool) -> Built<Operand> {
        let at = written.at;
        let what = match written.what {
            Syntax::Text(text) => What::Text(text.into()),
            Syntax::Number(number) => What::Number(number.into()),
            Syntax::Bool(b) => What::Bool(b),
            Syntax::Null => What::Null,
            Syntax::Call(head) => return self.call(head, at, tolerant),
            Syntax::Path(path) => self.path(path, &at, tolerant)?,
        };
        Ok(Operand { what, at })
    }

    /// A name alone is a path (or a helper without arguments); with arguments it is a call.
    fn call(&mut self, mut head: Head, at: Range<usize>, tolerant: bool) -> Built<Operand> {
        let first = head.operands.remove(0);
        let name = match &first.what {
            Syntax::Path(path) => path.simple().map(str::to_owned),
            _ => None,
        };
        let alone = head.operands.is_empty() && head.named.is_empty();
        let Some(name) = name.filter(|name| !alone || self.is_helper(name)) else {
            if !alone {
                return Err(Issue::new(first.at, "only a helper takes arguments"));
            }
            if matches!(first.what, Syntax::Text(_) | Syntax::Number(_) | Syntax::Bool(_) | Syntax::Null) {
                return Err(
                    Issue::new(first.at, "a tag names a value or a helper").help("write constant text as it is")
                );
            }
            return self.operand(first, tolerant);
        };
        if let Some((key, at, _)) = head.named.first() {
            return Err(Issue::new(at.clone(), format!("helper `{name}` has no argument `{key}`")));
        }
        let wanted = match name.as_str() {
            "default" | "eq" => 2,
            "json" => 1,
            _ if alone && !self.scopes.is_empty() => {
                return Err(names::unknown_helper(&name, first.at).help(format!("for the member write `this.{name}`")));
            }
            _ => return Err(names::unknown_helper(&name, first.at)),
        };
        if head.operands.len() != wanted {
            let given = head.operands.len();
            return Err(Issue::new(at, format!("helper `{name}` takes {wanted} arguments, not {given}")));
        }
        let mut operands = head.operands.into_iter();
        let mut next = |builder: &mut Self, tolerant: bool| match operands.next() {
            Some(operand) => builder.operand(operand, tolerant).map(Box::new),
            None => Err(Issue::new(at.clone(), "an argument is missing")),
        };
        let what = match name.as_str() {
            "default" => What::Default(next(self, true)?, next(self, tolerant)?),
            "eq" => What::Equal(next(self, tolerant)?, next(self, tolerant)?),
            _ => What::Json(next(self, tolerant)?),
        };
        Ok(Operand { what, at })
    }

    /// A helper's name wins over a member's, but not over a block parameter's.
    fn is_helper(&self, name: &str) -> bool {
        names::is_known(name)
            && !self.scopes.iter().flatten().any(|param| param == name)
            && (Root::by_name(name).is_none() || !self.scopes.is_empty())
    }
}

fn closed_by(close: Option<Tag>, name: &str, at: &Range<usize>) -> Built<()> {
    let Some(close) = close else {
        return Err(
            Issue::new(at.clone(), format!("the block `{name}` is not closed")).help(format!("add `{{{{/{name}}}}}`"))
        );
    };
    match close.head.operands.first().map(|operand| &operand.what) {
        Some(Syntax::Path(path)) if path.simple() == Some(name) => Ok(()),
        _ => Err(Issue::new(close.at, format!("this does not close the open block `{name}`"))
            .help(format!("write `{{{{/{name}}}}}`"))),
    }
}
