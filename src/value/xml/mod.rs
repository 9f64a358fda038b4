//! XML as a tree of its own: read once, with bounds on depth, size and work; never a DTD, never an entity but the five
//! that are built in. Nodes stand in document order, so that a number is a node and a comparison is an order.
//!
//! [`record`](record::record) makes JSON of an element, [`write`](write::write) XML of JSON, [`xpath`] asks questions.

pub mod body;
mod encoding;
mod guard;
mod read;
pub mod record;
#[cfg(test)]
mod tests;
pub mod write;
pub mod xpath;

use std::ops::Range;

/// Deepest nesting of elements accepted anywhere.
pub const MAX_DEPTH: usize = 128;

/// The namespace of `xsi:nil`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Why a body is no XML, or none that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct XmlError {
    /// What is wrong.
    pub message: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column in characters.
    pub column: usize,
}

impl XmlError {
    fn at(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.bytes().filter(|b| *b == b'\n').count();
        Self { message: message.into(), line, column: 1 + before[line_start..].chars().count() }
    }
}

/// A document that was read whole.
pub struct Xml {
    nodes: Vec<Data>,
    attributes: Vec<Attribute>,
    names: Vec<Name>,
    /// Texts of nodes, values of attributes, names: everything cut out of the document, in one piece.
    text: String,
}

/// A node: an index into the document, and which of the element's attributes is meant (0: the node itself). The order
/// of these pairs is document order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    at: u32,
    attribute: u32,
}

/// The document itself, the parent of its root element.
pub const DOCUMENT: Node = Node { at: 0, attribute: 0 };

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The document.
    Document,
    /// An element.
    Element,
    /// An attribute.
    Attribute,
    /// Text, CDATA sections included; two texts are never neighbours.
    Text,
    /// A comment.
    Comment,
    /// A processing instruction.
    Instruction,
}

struct Data {
    kind: Kind,
    parent: u32,
    /// The sibling before it, or itself.
    previous: u32,
    /// One past its last descendant.
    end: u32,
    name: u32,
    text: Span,
    attributes: (u32, u32),
}

struct Attribute {
    name: u32,
    value: Span,
}

/// A name as it stands in the document, and the namespace its prefix was bound to.
struct Name {
    namespace: Option<Span>,
    prefix: Span,
    local: Span,
    /// The same for the same local name, whatever the namespace.
    local_id: u32,
}

/// A piece of `Xml::text`.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl std::fmt::Debug for Xml {
    /// Says how large it is, never what it holds: it may hold secrets or customer data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Xml({} nodes)", self.nodes.len())
    }
}

impl Xml {
    /// Reads a document. The encoding is told by a byte order mark, else by `charset` (of the content type), else by the
    /// document's own declaration; it is UTF-8 where nobody says.
    pub fn parse(bytes: &[u8], charset: Option<&str>) -> Result<Self, XmlError> {
        read::read(&encoding::decode(bytes, charset)?)
    }

    /// Whether a text is a well-formed document that `parse` would take.
    pub fn check(text: &str) -> Result<(), XmlError> {
        read::parsed(text).map(drop)
    }

    /// How many nodes it has, attributes not counted.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is always a root element.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The root element.
    pub fn root(&self) -> Node {
        self.children(DOCUMENT).find(|node| self.kind(*node) == Kind::Element).unwrap_or(DOCUMENT)
    }

    /// What the node is.
    pub fn kind(&self, node: Node) -> Kind {
        if node.attribute > 0 { Kind::Attribute } else { self.data(node).kind }
    }

    /// Namespace (none, or not empty), prefix and local name of an element or attribute; an instruction's target is its
    /// local name.
    pub fn name(&self, node: Node) -> Option<(Option<&str>, &str, &str)> {
        let name = self.name_of(node)?;
        Some((name.namespace.map(|span| self.cut(span)), self.cut(name.prefix), self.cut(name.local)))
    }

    /// The children of the document or an element, in order.
    pub fn children(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        let data = self.data(node);
        let (mut at, end) = if node.attribute > 0 { (0, 0) } else { (node.at + 1, data.end) };
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let child = Node { at, attribute: 0 };
            at = self.data(child).end.max(at + 1);
            Some(child)
        })
    }

    /// The attributes of an element in the order written.
    pub fn attributes(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        let (start, end) = if node.attribute > 0 { (0, 0) } else { self.data(node).attributes };
        (1..=end - start).map(move |attribute| Node { at: node.at, attribute })
    }

    /// The parent; an attribute's is its element.
    pub fn parent(&self, node: Node) -> Option<Node> {
        match node {
            DOCUMENT => None,
            Node { at, attribute: 1.. } => Some(Node { at, attribute: 0 }),
            _ => Some(Node { at: self.data(node).parent, attribute: 0 }),
        }
    }

    /// The text of a text, comment, instruction or attribute; none of others.
    pub fn text(&self, node: Node) -> &str {
        match node.attribute.checked_sub(1) {
            None => self.cut(self.data(node).text),
            Some(index) => self.attribute(node, index).map_or("", |attribute| self.cut(attribute.value)),
        }
    }

    /// Appends all text below a node, as XPath's string-value has it.
    pub fn write_text(&self, node: Node, out: &mut String) {
        if !matches!(self.kind(node), Kind::Element | Kind::Document) {
            out.push_str(self.text(node));
            return;
        }
        for data in self.nodes.get(self.below(node)).unwrap_or_default() {
            if data.kind == Kind::Text {
                out.push_str(self.cut(data.text));
            }
        }
    }

    /// The range of nodes below a node.
    fn below(&self, node: Node) -> Range<usize> {
        if node.attribute > 0 {
            return 0..0;
        }
        node.at as usize + 1..self.data(node).end as usize
    }

    /// The sibling before a node.
    fn previous(&self, node: Node) -> Option<Node> {
        let previous = self.data(node).previous;
        (node.attribute == 0 && previous != node.at).then_some(Node { at: previous, attribute: 0 })
    }

    /// The sibling after a node.
    fn next(&self, node: Node) -> Option<Node> {
        let parent = self.parent(node).filter(|_| node.attribute == 0)?;
        let at = self.data(node).end;
        (at < self.data(parent).end).then_some(Node { at, attribute: 0 })
    }

    fn data(&self, node: Node) -> &Data {
        // Nodes are made by this document only; the document itself is always there.
        self.nodes.get(node.at as usize).unwrap_or(&self.nodes[0])
    }

    fn attribute(&self, node: Node, index: u32) -> Option<&Attribute> {
        let (start, _) = self.data(node).attributes;
        self.attributes.get((start + index) as usize)
    }

    fn name_of(&self, node: Node) -> Option<&Name> {
        let name = match node.attribute.checked_sub(1) {
            Some(index) => self.attribute(node, index)?.name,
            None => match self.data(node).kind {
                Kind::Element | Kind::Instruction => self.data(node).name,
                _ => return None,
            },
        };
        self.names.get(name as usize)
    }

    fn cut(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// Whether a text is a name without a prefix.
pub fn is_ncname(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(is_name_char)
}

/// White space of XML.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Whether a name may begin with it; colons are looked after by the callers.
fn is_name_start(c: char) -> bool {
    c == '_'
        || c.is_ascii_alphabetic()
        || matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// Whether a name may go on with it.
fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || c.is_ascii_digit()
        || matches!(c, '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
