//! From text to tree: `roxmltree` parses, and what it found is copied out of it into one piece that owns its text.

use super::{Attribute, Data, Kind, Name, Span, Xml, XmlError, guard};
use roxmltree::{Document, Error, Node, ParsingOptions};
use std::collections::HashMap;

/// Most nodes of a document.
const MAX_NODES: u32 = 4_000_000;

/// The document as the parser has it.
pub(super) fn parsed(text: &str) -> Result<Document<'_>, XmlError> {
    parsed_within(text, MAX_NODES)
}

fn parsed_within(text: &str, nodes_limit: u32) -> Result<Document<'_>, XmlError> {
    if text.trim_ascii().is_empty() {
        return Err(XmlError::at("", 0, "the body is empty"));
    }
    guard::look(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit, entity_resolver: None };
    Document::parse_with_options(text, options).map_err(|error| explain(text, &error, nodes_limit))
}

pub(super) fn read(text: &str) -> Result<Xml, XmlError> {
    let document = parsed(text)?;
    let mut reading = Reading {
        xml: Xml {
            nodes: Vec::new(),
            attributes: Vec::new(),
            names: Vec::new(),
            text: String::with_capacity(text.len() / 2),
        },
        source: text,
        names: HashMap::new(),
        locals: HashMap::new(),
        texts: HashMap::new(),
    };
    for node in document.root().descendants() {
        reading.node(node);
    }
    reading.close();
    Ok(reading.xml)
}

/// A document under construction.
struct Reading<'d> {
    xml: Xml,
    source: &'d str,
    /// Namespace, prefix and local name that were met, and their number.
    names: HashMap<(&'d str, &'d str, &'d str), u32>,
    locals: HashMap<&'d str, u32>,
    /// Parts of names that were met, and where they stand.
    texts: HashMap<&'d str, Span>,
}

impl<'d> Reading<'d> {
    fn node(&mut self, node: Node<'d, 'd>) {
        let at = count(self.xml.nodes.len());
        let parent = node.parent().map_or(0, |parent| parent.id().get());
        let previous = node.prev_sibling().map_or(at, |previous| previous.id().get());
        let mut data = Data {
            kind: Kind::Document,
            parent,
            previous,
            end: at + 1,
            name: 0,
            text: Span::default(),
            attributes: (0, 0),
        };
        if node.is_element() {
            data.kind = Kind::Element;
            data.attributes.0 = count(self.xml.attributes.len());
            let qualified = self.source.get(node.range().start + 1..).map_or("", name_at);
            data.name = self.name(node.tag_name().namespace(), qualified);
            for attribute in node.attributes() {
                let qualified = self.source.get(attribute.range_qname()).unwrap_or_default();
                // A long name does not fit the parser's own count of its length.
                let qualified = if qualified.ends_with(attribute.name()) { qualified } else { attribute.name() };
                let name = self.name(attribute.namespace(), qualified);
                let value = self.keep(attribute.value());
                self.xml.attributes.push(Attribute { name, value });
            }
            data.attributes.1 = count(self.xml.attributes.len());
        } else if node.is_text() || node.is_comment() {
            data.kind = if node.is_text() { Kind::Text } else { Kind::Comment };
            data.text = self.keep(node.text().unwrap_or_default());
        } else if let Some(instruction) = node.pi() {
            data.kind = Kind::Instruction;
            data.name = self.name(None, instruction.target);
            data.text = self.keep(instruction.value.unwrap_or_default());
        }
        self.xml.nodes.push(data);
    }

    /// Tells every node where its descendants end.
    fn close(&mut self) {
        for at in (1..self.xml.nodes.len()).rev() {
            let (parent, end) = (self.xml.nodes[at].parent as usize, self.xml.nodes[at].end);
            let above = &mut self.xml.nodes[parent].end;
            *above = end.max(*above);
        }
    }

    fn name(&mut self, namespace: Option<&'d str>, qualified: &'d str) -> u32 {
        let namespace = namespace.unwrap_or_default();
        let (prefix, local) = qualified.split_once(':').unwrap_or(("", qualified));
        if let Some(number) = self.names.get(&(namespace, prefix, local)) {
            return *number;
        }
        let number = count(self.names.len());
        self.names.insert((namespace, prefix, local), number);
        let next = count(self.locals.len());
        let local_id = *self.locals.entry(local).or_insert(next);
        let uri = (!namespace.is_empty()).then(|| self.part(namespace));
        let name = Name { namespace: uri, prefix: self.part(prefix), local: self.part(local), local_id };
        self.xml.names.push(name);
        number
    }

    fn part(&mut self, text: &'d str) -> Span {
        if let Some(span) = self.texts.get(text) {
            return *span;
        }
        let span = self.keep(text);
        self.texts.insert(text, span);
        span
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = count(self.xml.text.len());
        self.xml.text.push_str(text);
        Span { start, end: count(self.xml.text.len()) }
    }
}

/// Texts and numbers of nodes are capped far below.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c| super::is_space(c) || matches!(c, '/' | '>')).unwrap_or(text.len());
    &text[..end]
}

/// The parser's words, where ours say more.
fn explain(text: &str, error: &Error, most: u32) -> XmlError {
    let place = error.pos();
    let message = match error {
        Error::DtdDetected => "a document type (DTD), which is never read: entities could be anything".to_owned(),
        Error::UnknownNamespace(prefix, _) => format!("the prefix `{prefix}` is not bound to a namespace"),
        Error::UnexpectedCloseTag(open, found, _) => format!("`</{found}>` where `</{open}>` was expected"),
        Error::UnknownEntityReference(name, _) => {
            format!("the entity `&{name};` is not known: only lt, gt, amp, quot and apos are, and numbers")
        }
        Error::MalformedEntityReference(_) => "`&` begins no reference; the character is written `&amp;`".to_owned(),
        Error::InvalidAttributeValue(_) | Error::InvalidChar(b'"' | b'\'', b'<', _) => {
            "`<` inside a value; it is written `&lt;`".to_owned()
        }
        Error::DuplicatedAttribute(name, _) => format!("the attribute `{name}` stands there twice"),
        Error::DuplicatedNamespace(prefix, _) => format!("the prefix `{prefix}` is bound twice"),
        Error::NodesLimitReached => format!("more than {most} nodes"),
        Error::NonXmlChar(c, _) => format!("the character U+{:04X}, which XML cannot hold", u32::from(*c)),
        Error::NoRootNode => "no element: this is no XML".to_owned(),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => {
            return XmlError::at(text, text.len(), "the document ends before its elements are closed");
        }
        other => {
            let words = other.to_string();
            words.strip_suffix(&format!(" at {place}")).unwrap_or(&words).to_owned()
        }
    };
    let page = text.trim_ascii_start().as_bytes();
    let html = page.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"<html"));
    let message = if html { format!("an HTML page where XML was expected: {message}") } else { message };
    XmlError { message, line: place.row as usize, column: place.col as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_bounded() {
        // The document is a node too.
        assert!(parsed_within("<a>x<b/></a>", 4).is_ok());
        assert!(parsed_within("<a>x<b/></a>", 3).map(|_| ()).unwrap_err().message.contains("more than 3 nodes"));
    }
}
