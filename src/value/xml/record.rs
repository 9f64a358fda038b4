//! From an element to a record: child elements are members by their local names, repeats are lists, attributes are
//! `@name`, text beside others is `#text`. All values are text, as XML has no other.

use super::{Kind, Node, XSI, Xml, is_space};
use crate::value::issue::{EvalError, Issue};
use crate::value::json::{self, Json, write_string};
use foldhash::HashMap;
use std::collections::hash_map::Entry;

/// `array_paths`: elements that are lists although they stand alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArrayPaths(Vec<Vec<Segment>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Name(String),
    Any,
}

impl Segment {
    fn fits(&self, local: &str) -> bool {
        match self {
            Self::Name(name) => name == local,
            Self::Any => true,
        }
    }
}

impl ArrayPaths {
    /// Adds `response/items/item`: local names from the root element on; `*` is any one.
    pub fn add(&mut self, text: &str) -> Result<(), Issue> {
        let (mut at, mut path) = (0, Vec::new());
        for name in text.strip_prefix('/').inspect(|_| at = 1).unwrap_or(text).split('/') {
            let place = at..at + name.len();
            at = place.end + 1;
            if name == "*" {
                path.push(Segment::Any);
                continue;
            }
            if !super::is_ncname(name) {
                let message = match name {
                    "" => "an empty name in the path".to_owned(),
                    _ => format!("`{name}` is no local name"),
                };
                return Err(Issue::new(place, message).help(
                    "write local names from the root element on, as in `response/items/item`; `*` stands for any one",
                ));
            }
            path.push(Segment::Name(name.to_owned()));
        }
        self.0.push(path);
        Ok(())
    }

    /// What is left of each path below a node; empty rests mean that it is a list itself.
    fn below<'a>(&'a self, xml: &Xml, node: Node) -> Vec<&'a [Segment]> {
        let mut names = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at {
            names.extend(xml.name(node).map(|(_, _, local)| local));
            at = xml.parent(node);
        }
        let mut rests: Vec<&[Segment]> = self.0.iter().map(Vec::as_slice).collect();
        for local in names.into_iter().rev() {
            rests = step(&rests, local);
        }
        rests
    }
}

fn step<'a>(rests: &[&'a [Segment]], local: &str) -> Vec<&'a [Segment]> {
    rests
        .iter()
        .filter_map(|rest| rest.split_first().filter(|(name, _)| name.fits(local)).map(|(_, rest)| rest))
        .collect()
}

/// The record that a node is: an element's members, the root element's for the document, a text for anything else.
pub fn record(xml: &Xml, node: Node, arrays: &ArrayPaths) -> Result<Json, EvalError> {
    let mut out = Vec::new();
    write_record(xml, node, arrays, &mut out)?;
    Ok(Json::trusted(out))
}

/// As `record`, after what is there already.
pub(super) fn write_record(xml: &Xml, node: Node, arrays: &ArrayPaths, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let node = if xml.kind(node) == Kind::Document { xml.root() } else { node };
    if xml.kind(node) == Kind::Element {
        return element(xml, node, &arrays.below(xml, node), 0, out);
    }
    write_string(out, xml.text(node));
    Ok(())
}

fn element(xml: &Xml, node: Node, arrays: &[&[Segment]], depth: usize, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let groups = Groups::of(xml, node);
    if groups.names.is_empty() {
        if is_nil(xml, node) {
            out.extend_from_slice(b"null");
        } else {
            let mut text = String::new();
            xml.write_text(node, &mut text);
            write_string(out, &text);
        }
        return Ok(());
    }
    if depth >= json::MAX_DEPTH {
        return Err(EvalError::Limit(format!("a record would nest deeper than {}", json::MAX_DEPTH)));
    }
    out.push(b'{');
    for (number, group) in groups.names.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        member(xml, group, arrays, depth + 1, out)?;
    }
    text(xml, node, out);
    out.push(b'}');
    Ok(())
}

/// Whether the element says that it has no value.
fn is_nil(xml: &Xml, node: Node) -> bool {
    let nil = |attribute: Node| xml.name(attribute).is_some_and(|(uri, _, local)| uri == Some(XSI) && local == "nil");
    xml.attributes(node).any(|attribute| nil(attribute) && matches!(xml.text(attribute), "true" | "1"))
        && xml.children(node).next().is_none()
}

/// One member: its key, and a value or a list of them.
fn member(xml: &Xml, group: &[Node], arrays: &[&[Segment]], depth: usize, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let Some((first, (_, _, local))) = group.first().and_then(|first| Some((*first, xml.name(*first)?))) else {
        return Ok(());
    };
    let attribute = xml.kind(first) == Kind::Attribute;
    if attribute {
        write_string(out, &format!("@{local}"));
    } else {
        write_string(out, local);
    }
    out.push(b':');
    let inside = if attribute { Vec::new() } else { step(arrays, local) };
    let list = group.len() > 1 || inside.iter().any(|rest| rest.is_empty());
    if list && depth >= json::MAX_DEPTH {
        return Err(EvalError::Limit(format!("a record would nest deeper than {}", json::MAX_DEPTH)));
    }
    if list {
        out.push(b'[');
    }
    for (number, node) in group.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        if attribute {
            write_string(out, xml.text(*node));
        } else {
            element(xml, *node, &inside, depth + usize::from(list), out)?;
        }
    }
    if list {
        out.push(b']');
    }
    Ok(())
}

/// `#text`: the texts directly inside, without the white space that only indents.
fn text(xml: &Xml, node: Node, out: &mut Vec<u8>) {
    let alone = !xml.children(node).any(|child| xml.kind(child) == Kind::Element);
    let mut found = String::new();
    for child in xml.children(node).filter(|child| xml.kind(*child) == Kind::Text) {
        let text = xml.text(child);
        if alone || !text.chars().all(is_space) {
            found.push_str(text);
        }
    }
    let indents = alone && found.chars().all(is_space);
    if !found.is_empty() && !indents {
        out.extend_from_slice(b",\"#text\":");
        write_string(out, &found);
    }
}

/// Attributes and child elements of one local name each, in the order they were first met.
struct Groups {
    names: Vec<Vec<Node>>,
}

impl Groups {
    fn of(xml: &Xml, node: Node) -> Self {
        let nil = is_nil(xml, node);
        let mut numbers: HashMap<(bool, u32), usize> = HashMap::default();
        let mut names: Vec<Vec<Node>> = Vec::new();
        let attributes = xml.attributes(node).filter(|attribute| {
            // What says "null" is not a member beside it.
            !(nil && xml.name(*attribute).is_some_and(|(uri, _, _)| uri == Some(XSI)))
        });
        let elements = xml.children(node).filter(|child| xml.kind(*child) == Kind::Element);
        for found in attributes.chain(elements) {
            let Some(name) = xml.name_of(found) else { continue };
            match numbers.entry((found.attribute > 0, name.local_id)) {
                Entry::Occupied(known) => names[*known.get()].push(found),
                Entry::Vacant(new) => {
                    new.insert(names.len());
                    names.push(vec![found]);
                }
            }
        }
        Self { names }
    }
}
