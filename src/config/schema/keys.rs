//! Every key of every kind of file: its name, what it takes, and what it is for. Tests hold this table against what the
//! decoder asks for, both ways.

mod connection;
mod flow;
mod requests;
mod settings;

pub(super) use connection::CONNECTION;
pub(super) use flow::FLOW;
pub(super) use settings::{AGENT, SETTINGS};

use super::What;

/// A key.
pub(super) type Key = (&'static str, What, &'static str);

/// A table with a name, made of groups of keys; a later one of a name stands for an earlier one.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) groups: &'static [&'static [Key]],
    /// Keys without which it is never valid.
    pub(super) needs: &'static [&'static str],
}

const fn shape(
    name: &'static str,
    about: &'static str,
    groups: &'static [&'static [Key]],
    needs: &'static [&'static str],
) -> Shape {
    Shape { name, about, groups, needs }
}

/// Each table by its name.
pub(super) fn shapes() -> impl Iterator<Item = &'static Shape> {
    [requests::SHAPES, flow::SHAPES, connection::SHAPES, settings::SHAPES].into_iter().flatten()
}
