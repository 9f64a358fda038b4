//! Turns pieces into parts: pairs up blocks, resolves names and helpers, lists references and mistakes.

mod call;
mod resolve;

use super::ast::{Operand, Part, What};
use super::names;
use super::scan::{Kind, Piece, Tag};
use super::tag::{Head, Operand as Written, PathSyntax, Syntax};
use crate::value::context::Reference;
use crate::value::function;
use crate::value::issue::Issue;
use std::ops::Range;

/// Deepest nesting of blocks, `{{else if}}` chains included.
const MAX_NESTING: usize = 64;

/// Builds the parts of a template.
pub(super) struct Builder {
    pieces: std::vec::IntoIter<Piece>,
    /// Enclosing blocks that open a level.
    scopes: Vec<Level>,
    nesting: usize,
    pub(super) references: Vec<Reference>,
    pub(super) issues: Vec<Issue>,
}

/// A block that opens a level.
struct Level {
    /// The names of its parameters.
    params: Vec<String>,
    /// Whether it may loop.
    loops: bool,
    /// Whether what it opens is known when it is rendered only.
    section: bool,
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
    fn chained(&mut self, head: Head, at: &Range<usize>, inverse: bool) -> Built<(Option<Part>, Option<Tag>, String)> {
        let (name, simple) = match &head.operands[0].what {
            Syntax::Path(path) => (spelled(path), path.simple().is_some()),
            _ => return Err(Self::unknown_block(&head, "")),
        };
        let kind = match name.as_str() {
            "if" | "unless" => Block::If,
            "each" => Block::Each,
            "with" => Block::With,
            "filter" if head.operands.len() > 1 => Block::Filter,
            name if simple && function::by_name(name).is_some_and(|function| function.block) => Block::Test,
            name if head.operands.len() == 1 && head.named.is_empty() && !(simple && names::is_known(name)) => {
                Block::Section
            }
            name => return Err(Self::unknown_block(&head, name)),
        };
        let head_at = head.operands[0].at.clone();
        let scoped = matches!(kind, Block::Each | Block::Filter | Block::With | Block::Section);
        if inverse && matches!(kind, Block::Each | Block::Filter | Block::With) {
            return Err(Issue::new(head_at, format!("block `{name}` has no inverse form"))
                .help(format!("write `{{{{#{name} …}}}}{{{{else}}}}…{{{{/{name}}}}}`")));
        }
        if !matches!(kind, Block::Each | Block::Filter | Block::With) && !head.params.is_empty() {
            self.issues.push(Issue::new(head_at, format!("block `{name}` takes no `as |…|`")));
        }
        let level = Level {
            params: head.params.clone(),
            loops: matches!(kind, Block::Each | Block::Filter | Block::Section),
            section: kind == Block::Section,
        };
        let (operand, zero) = self.block_operand(head, at, &name, kind)?;
        if scoped {
            self.scopes.push(level);
        }
        let body = self.run();
        if scoped {
            self.scopes.pop();
        }
        let (body, end) = body?;
        let (otherwise, close) = self.otherwise(end, at)?;
        let swapped = inverse ^ (name == "unless");
        let (body, otherwise) = if swapped { (otherwise, body) } else { (body, otherwise) };
        let part = operand.map(|operand| match kind {
            Block::Each | Block::Filter => Part::Each { list: operand, body, otherwise },
            Block::With => Part::With { value: operand, body, otherwise },
            Block::Section => Part::Section { value: operand, body, otherwise },
            Block::If | Block::Test => Part::If { test: operand, zero, then: body, otherwise },
        });
        Ok((part, close, name))
    }

    /// What a block looks at, and whether zero counts as true.
    fn block_operand(
        &mut self,
        mut head: Head,
        at: &Range<usize>,
        name: &str,
        kind: Block,
    ) -> Built<(Option<Operand>, bool)> {
        if matches!(kind, Block::Test | Block::Filter) {
            head.params.clear();
            let built = self.call(head, at.clone(), true);
            return Ok((self.noted(built), false));
        }
        let head_at = head.operands[0].at.clone();
        let mut operands = head.operands.drain(..);
        let first = operands.next();
        let operand = match (operands.next(), operands.next()) {
            (None, _) if kind == Block::Section => first,
            (Some(operand), None) => Some(operand),
            (None, _) => None,
            (_, Some(extra)) => {
                return Err(Issue::new(extra.at, format!("block `{name}` takes one argument"))
                    .help("put a call into brackets, such as `{{#if (eq a b)}}`"));
            }
        };
        drop(operands);
        let Some(operand) = operand else {
            return Err(Issue::new(head_at, format!("block `{name}` lacks its argument")));
        };
        let zero = self.include_zero(name, head.named);
        let built = self.operand(operand, true);
        Ok((self.noted(built), zero))
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

    fn unknown_block(head: &Head, name: &str) -> Issue {
        let at = head.operands[0].at.clone();
        if name.is_empty() {
            return Issue::new(at, "a block begins with a helper or a name")
                .help("write `{{#each …}}`, `{{#with …}}` or `{{#if …}}`");
        }
        if function::by_name(name).is_some() {
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
}

/// The kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    If,
    Each,
    /// `{{#filter list value "path"}}`: once for each item that is kept.
    Filter,
    With,
    /// A helper that answers yes or no.
    Test,
    /// `{{#record.flag}}`
    Section,
}

/// A path as it can be compared: `../a.b`.
fn spelled(path: &PathSyntax) -> String {
    let names: Vec<&str> = path.segments.iter().map(|(name, _)| name.as_str()).collect();
    let this = if path.this && names.is_empty() { "this" } else { "" };
    format!("{}{}{this}{}", "../".repeat(path.up), if path.data { "@" } else { "" }, names.join("."))
}

fn closed_by(close: Option<Tag>, name: &str, at: &Range<usize>) -> Built<()> {
    let Some(close) = close else {
        return Err(
            Issue::new(at.clone(), format!("the block `{name}` is not closed")).help(format!("add `{{{{/{name}}}}}`"))
        );
    };
    match close.head.operands.first().map(|operand| &operand.what) {
        Some(Syntax::Path(path)) if spelled(path) == name => Ok(()),
        _ => Err(Issue::new(close.at, format!("this does not close the open block `{name}`"))
            .help(format!("write `{{{{/{name}}}}}`"))),
    }
}
