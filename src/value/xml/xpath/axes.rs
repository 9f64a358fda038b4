//! The nodes of an axis in its own order: document order, or away from the context for reverse axes.

use super::ast::Axis;
use crate::value::xml::{DOCUMENT, Kind, Node, Xml};

/// Calls `take` for each node of the axis until it says stop (false).
pub(super) fn walk(xml: &Xml, node: Node, axis: Axis, take: &mut dyn FnMut(Node) -> bool) {
    match axis {
        Axis::Own => {
            take(node);
        }
        Axis::Child => each(xml.children(node), take),
        Axis::Attribute => each(xml.attributes(node), take),
        Axis::Descendant => each(below(xml, node), take),
        Axis::DescendantOrSelf => each(std::iter::once(node).chain(below(xml, node)), take),
        Axis::Parent => each(xml.parent(node).into_iter(), take),
        Axis::Ancestor => each(ancestors(xml, node).skip(1), take),
        Axis::AncestorOrSelf => each(ancestors(xml, node), take),
        Axis::FollowingSibling => each(chain(xml.next(node), |node| xml.next(node)), take),
        Axis::PrecedingSibling => each(chain(xml.previous(node), |node| xml.previous(node)), take),
        Axis::Following => {
            // Behind an attribute stand the children of its element.
            let from = if xml.kind(node) == Kind::Attribute { node.at + 1 } else { xml.data(node).end };
            each(range(from, xml.data(DOCUMENT).end), take);
        }
        Axis::Preceding => preceding(xml, node, take),
    }
}

fn each(nodes: impl Iterator<Item = Node>, take: &mut dyn FnMut(Node) -> bool) {
    for node in nodes {
        if !take(node) {
            return;
        }
    }
}

fn range(from: u32, end: u32) -> impl DoubleEndedIterator<Item = Node> {
    (from..end).map(|at| Node { at, attribute: 0 })
}

fn below(xml: &Xml, node: Node) -> impl Iterator<Item = Node> + use<> {
    let end = if xml.kind(node) == Kind::Attribute { node.at + 1 } else { xml.data(node).end };
    range(node.at + 1, end)
}

fn chain(first: Option<Node>, next: impl Fn(Node) -> Option<Node>) -> impl Iterator<Item = Node> {
    std::iter::successors(first, move |node| next(*node))
}

fn ancestors(xml: &Xml, node: Node) -> impl Iterator<Item = Node> {
    chain(Some(node), |node| xml.parent(node))
}

/// Everything before it, backwards, but not its ancestors.
fn preceding(xml: &Xml, node: Node, take: &mut dyn FnMut(Node) -> bool) {
    let mut above = xml.parent(node);
    if xml.kind(node) == Kind::Attribute {
        above = above.and_then(|element| xml.parent(element));
    }
    for before in range(1, node.at).rev() {
        if above == Some(before) {
            above = xml.parent(before);
        } else if !take(before) {
            return;
        }
    }
}
