//! Calls of helpers, and names that stand alone.

use super::{Builder, Built};
use crate::value::context::{AWS4, Reference, Root, TABLES};
use crate::value::function::{self, Function, Pattern};
use crate::value::issue::Issue;
use crate::value::template::ast::{Bound, Operand, What};
use crate::value::template::names;
use crate::value::template::tag::{Head, Operand as Written, PathSyntax, Syntax};
use std::ops::Range;

impl Builder {
    /// A name alone is a path (or a helper without arguments); with arguments it is a call.
    pub(super) fn call(&mut self, mut head: Head, at: Range<usize>, tolerant: bool) -> Built<Operand> {
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
            return self.operand(by_literal_name(first), tolerant);
        };
        let Some(function) = function::by_name(&name) else {
            return Err(names::unknown_helper(&name, first.at));
        };
        if let Some(message) = function.refuses_count(head.operands.len()) {
            let issue = Issue::new(at, message);
            let inside = alone && !self.scopes.is_empty();
            return Err(if inside { issue.help(format!("for the member write `this.{name}`")) } else { issue });
        }
        let what = self.bound(function, head, &at, tolerant)?;
        Ok(Operand { what, at })
    }

    fn bound(&mut self, function: &'static Function, head: Head, at: &Range<usize>, tolerant: bool) -> Built<What> {
        let name = function.name;
        let mut named = Vec::new();
        for (key, key_at, operand) in head.named {
            if !function.named.contains(&&*key) {
                let issue = Issue::new(key_at, format!("helper `{name}` has no argument `{key}`"));
                return Err(names::did_you_mean(issue, &key, function.named.iter().copied()));
            }
            named.push((key, self.operand(operand, tolerant)?));
        }
        let mut arguments = Vec::with_capacity(head.operands.len());
        for (n, operand) in head.operands.into_iter().enumerate() {
            let fallback = name == "default" && n == 1;
            arguments.push(self.operand(operand, tolerant || function.tolerant && !fallback)?);
        }
        for (n, argument) in arguments.iter().enumerate() {
            if let Some(text) = constant(argument) {
                let at = argument.at.clone();
                function.check_constant(n, text).map_err(|why| Issue::new(at, format!("helper `{name}`: {why}")))?;
            }
        }
        self.note(function, &arguments, at);
        if name == "default"
            && let [_, _] = &arguments[..]
        {
            let fallback = arguments.pop().map(Box::new);
            let value = arguments.pop().map(Box::new);
            if let (Some(value), Some(fallback)) = (value, fallback) {
                return Ok(What::Default(value, fallback));
            }
        }
        let pattern = pattern(function, &arguments)?;
        Ok(What::Call(Box::new(Bound { function, arguments, named, pattern })))
    }

    /// Names that a helper reads by itself.
    fn note(&mut self, function: &Function, arguments: &[Operand], at: &Range<usize>) {
        if function.signing {
            let (root, members) = (Root::HmacOptions.name().to_owned(), vec![AWS4.to_owned()]);
            self.references.push(Reference { root, members, at: at.clone(), tolerant: false });
        }
        let mut add = |root: String, members| {
            self.references.push(Reference { root, members, at: at.clone(), tolerant: !function.timed });
        };
        if function.timed {
            add("now".to_owned(), Vec::new());
        }
        if let ("getValue", Some(path)) = (function.name, arguments.first().and_then(constant)) {
            let mut names = path.split(['.', '[', ']']).filter(|name| !name.is_empty()).map(str::to_owned);
            add(names.next().unwrap_or_default(), names.collect());
        }
        if let ("lookup", Some(argument)) = (function.name, arguments.first())
            && let Some(name) = constant(argument)
        {
            let (root, members) = (TABLES.to_owned(), vec![name.to_owned()]);
            self.references.push(Reference { root, members, at: argument.at.clone(), tolerant: false });
        }
    }

    /// A helper's name wins over a member's, but not over a block parameter's.
    fn is_helper(&self, name: &str) -> bool {
        names::is_known(name)
            && !self.scopes.iter().flat_map(|scope| &scope.params).any(|param| param == name)
            && (Root::by_name(name).is_none() || !self.scopes.is_empty())
    }
}

/// `{{"a b"}}` is the field of that name.
fn by_literal_name(written: Written) -> Written {
    let name = match written.what {
        Syntax::Text(name) | Syntax::Number(name) => name,
        Syntax::Bool(yes) => yes.to_string(),
        Syntax::Null => "null".to_owned(),
        what => return Written { what, at: written.at },
    };
    let path = PathSyntax { segments: vec![(name, true)], ..PathSyntax::default() };
    Written { what: Syntax::Path(path), at: written.at }
}

fn constant(operand: &Operand) -> Option<&str> {
    match &operand.what {
        What::Text(text) => Some(text),
        _ => None,
    }
}

/// The pattern, compiled, where it is a constant.
fn pattern(function: &Function, arguments: &[Operand]) -> Built<Option<Pattern>> {
    let Some((at, flags)) = Pattern::places(function.name) else { return Ok(None) };
    let flags = arguments.get(flags).map_or(Some(""), constant);
    let (Some(pattern), Some(flags)) = (arguments.get(at).and_then(constant), flags) else { return Ok(None) };
    let place = arguments.get(at).map_or(0..0, |argument| argument.at.clone());
    Pattern::compile(pattern, flags)
        .map(Some)
        .map_err(|why| Issue::new(place, format!("helper `{}`: {why}", function.name)))
}
