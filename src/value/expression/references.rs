//! Lists the names an expression reads, for checks at load.

use super::ast::{Node, Step, What};
use super::filters::Filter;
use super::functions::Bound;
use super::predicate::Predicate;
use crate::value::context::{AWS4, Reference, Root, TABLES};

/// Every name, in the order of the text as far as the tree keeps it.
pub(super) fn collect(root: &Node) -> Vec<Reference> {
    let mut found = Vec::new();
    visit(root, false, &mut found);
    found
}

fn visit(node: &Node, tolerant: bool, found: &mut Vec<Reference>) {
    let mut add = |root: &str, members: Vec<String>| {
        found.push(Reference { root: root.to_owned(), members, at: node.at.clone(), tolerant });
    };
    match &node.what {
        What::Null | What::Bool(_) | What::Int(_) | What::Float(_) | What::Text(_) => {}
        What::Path(root, steps) => add(root.name(), steps.iter().map(step_text).collect()),
        What::Unknown(name) => add(name, Vec::new()),
        What::Step(inner, _) => visit(inner, tolerant, found),
        What::Negate(inner) | What::Not(inner) => visit(inner, false, found),
        What::Index(left, right) => {
            visit(left, tolerant, found);
            visit(right, false, found);
        }
        What::And(left, right) | What::Or(left, right) | What::Math(_, left, right) => {
            visit(left, false, found);
            visit(right, false, found);
        }
        What::List(items) | What::Concat(items) => {
            for item in items {
                visit(item, false, found);
            }
        }
        What::Map(members) => {
            for (key, value) in members {
                visit(key, false, found);
                visit(value, false, found);
            }
        }
        What::Compare(first, rest) => {
            visit(first, false, found);
            for (_, operand) in rest {
                visit(operand, false, found);
            }
        }
        What::If(choice) => {
            visit(&choice.then, tolerant, found);
            visit(&choice.test, false, found);
            if let Some(node) = &choice.otherwise {
                visit(node, tolerant, found);
            }
        }
        What::Filter(filter, input, arguments) => {
            visit(input, *filter == Filter::Default, found);
            for node in arguments.iter().flatten() {
                visit(node, false, found);
            }
        }
        What::Each(input, each) => {
            visit(input, false, found);
            each.nodes().for_each(|node| visit(node, false, found));
        }
        What::Slice(inner, bounds) => {
            visit(inner, tolerant, found);
            bounds.iter().flatten().for_each(|node| visit(node, false, found));
        }
        What::Is(predicate, input, arguments) => {
            visit(input, matches!(predicate, Predicate::Defined | Predicate::Undefined), found);
            for node in arguments {
                visit(node, false, found);
            }
        }
        What::Call(bound) => call(bound, node, found),
    }
}

/// What a function reads: by itself, and in its arguments.
fn call(bound: &Bound, node: &Node, found: &mut Vec<Reference>) {
    let first = bound.arguments.first();
    let text = first.and_then(|first| match &first.what {
        What::Text(text) => Some(&**text),
        _ => None,
    });
    let mut add = |root: String, members: Vec<String>, at: &Node, tolerant: bool| {
        found.push(Reference { root, members, at: at.at.clone(), tolerant });
    };
    if bound.function.timed {
        add("now".to_owned(), Vec::new(), node, false);
    }
    if bound.function.signing {
        add(Root::HmacOptions.name().to_owned(), vec![AWS4.to_owned()], node, false);
    }
    match (bound.function.name, text) {
        ("getValue", Some(path)) => {
            let mut names = path.split(['.', '[', ']']).filter(|name| !name.is_empty()).map(str::to_owned);
            add(names.next().unwrap_or_default(), names.collect(), node, true);
        }
        ("lookup", Some(name)) => add(TABLES.to_owned(), vec![name.to_owned()], first.unwrap_or(node), false),
        _ => {}
    }
    for (n, argument) in bound.arguments.iter().enumerate() {
        let fallback = bound.function.name == "default" && n == 1;
        visit(argument, bound.function.tolerant && !fallback, found);
    }
    for (_, argument) in &bound.named {
        visit(argument, false, found);
    }
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Member(name) | Step::Either(name, _) => name.to_string(),
        Step::Index(n) => n.to_string(),
    }
}
