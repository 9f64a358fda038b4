//! The functions of XPath 1.0, but `id` and `lang`.

use super::ast::{Expr, Type};
use super::eval::{Evaluation, Focus, position};
use super::value::{Value, number};
use crate::value::issue::EvalError;
use crate::value::xml::{Node, is_space};

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal..=$most:expr, $gives:ident;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($variant),+ }

        impl Function {
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// All names, for people.
            pub(super) fn names() -> String {
                [$($name),+].join(", ")
            }

            /// Fewest and most arguments.
            pub(super) fn arguments(self) -> (usize, usize) {
                match self { $(Self::$variant => ($least, $most)),+ }
            }

            pub(super) fn gives(self) -> Type {
                match self { $(Self::$variant => Type::$gives),+ }
            }
        }
    };
}

functions! {
    Last "last" 0..=0, Number;
    Position "position" 0..=0, Number;
    Count "count" 1..=1, Number;
    LocalName "local-name" 0..=1, Text;
    NamespaceUri "namespace-uri" 0..=1, Text;
    Name "name" 0..=1, Text;
    String "string" 0..=1, Text;
    Concat "concat" 2..=usize::MAX, Text;
    StartsWith "starts-with" 2..=2, Bool;
    Contains "contains" 2..=2, Bool;
    SubstringBefore "substring-before" 2..=2, Text;
    SubstringAfter "substring-after" 2..=2, Text;
    Substring "substring" 2..=3, Text;
    StringLength "string-length" 0..=1, Number;
    NormalizeSpace "normalize-space" 0..=1, Text;
    Translate "translate" 3..=3, Text;
    Boolean "boolean" 1..=1, Bool;
    Not "not" 1..=1, Bool;
    True "true" 0..=0, Bool;
    False "false" 0..=0, Bool;
    Number "number" 0..=1, Number;
    Sum "sum" 1..=1, Number;
    Floor "floor" 1..=1, Number;
    Ceiling "ceiling" 1..=1, Number;
    Round "round" 1..=1, Number;
}

impl Function {
    /// Whether its arguments must be nodes.
    pub(super) fn takes_nodes(self) -> bool {
        matches!(self, Self::Count | Self::Sum | Self::LocalName | Self::NamespaceUri | Self::Name)
    }
}

/// A call with its arguments still to be evaluated.
struct Call<'a, 'x> {
    evaluation: &'a Evaluation<'x>,
    arguments: &'a [Expr],
    focus: Focus,
}

pub(super) fn call(
    evaluation: &Evaluation<'_>,
    function: Function,
    arguments: &[Expr],
    focus: Focus,
) -> Result<Value, EvalError> {
    let call = Call { evaluation, arguments, focus };
    Ok(match function.gives() {
        Type::Bool => Value::Bool(call.bool(function)?),
        Type::Number => Value::Number(call.number(function)?),
        _ => Value::Text(evaluation.paid(call.text(function)?)?),
    })
}

impl Call<'_, '_> {
    fn value(&self, index: usize) -> Result<Value, EvalError> {
        match self.arguments.get(index) {
            Some(argument) => self.evaluation.eval(argument, self.focus),
            // Where an argument may be left out it is the context.
            None => Ok(Value::Nodes(vec![self.focus.node])),
        }
    }

    fn text_of(&self, index: usize) -> Result<String, EvalError> {
        self.value(index)?.text(self.evaluation)
    }

    fn number_of(&self, index: usize) -> Result<f64, EvalError> {
        self.value(index)?.number(self.evaluation)
    }

    fn nodes_of(&self, index: usize) -> Result<Vec<Node>, EvalError> {
        match self.value(index)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Ok(Vec::new()),
        }
    }

    fn bool(&self, function: Function) -> Result<bool, EvalError> {
        Ok(match function {
            Function::StartsWith => self.text_of(0)?.starts_with(&self.text_of(1)?),
            Function::Contains => self.text_of(0)?.contains(&self.text_of(1)?),
            Function::Boolean => self.value(0)?.bool(),
            Function::Not => !self.value(0)?.bool(),
            Function::True => true,
            _ => false,
        })
    }

    fn number(&self, function: Function) -> Result<f64, EvalError> {
        Ok(match function {
            Function::Last => position(self.focus.size),
            Function::Position => position(self.focus.position),
            Function::Count => position(self.nodes_of(0)?.len()),
            Function::StringLength => position(self.text_of(0)?.chars().count()),
            Function::Sum => {
                let mut sum = 0.0;
                for node in self.nodes_of(0)? {
                    sum += number(&self.evaluation.text(node)?);
                }
                sum
            }
            Function::Floor => self.number_of(0)?.floor(),
            Function::Ceiling => self.number_of(0)?.ceil(),
            Function::Round => round(self.number_of(0)?),
            _ => self.number_of(0)?,
        })
    }

    fn text(&self, function: Function) -> Result<String, EvalError> {
        Ok(match function {
            Function::LocalName | Function::NamespaceUri | Function::Name => self.name(function)?,
            Function::Concat => {
                let mut out = String::new();
                for index in 0..self.arguments.len() {
                    out.push_str(&self.text_of(index)?);
                }
                out
            }
            Function::SubstringBefore => {
                let (text, mark) = (self.text_of(0)?, self.text_of(1)?);
                text.split_once(mark.as_str()).map_or("", |(before, _)| before).to_owned()
            }
            Function::SubstringAfter => {
                let (text, mark) = (self.text_of(0)?, self.text_of(1)?);
                text.split_once(mark.as_str()).map_or("", |(_, after)| after).to_owned()
            }
            Function::Substring => {
                let length = if self.arguments.len() > 2 { Some(self.number_of(2)?) } else { None };
                substring(&self.text_of(0)?, self.number_of(1)?, length)
            }
            Function::NormalizeSpace => {
                self.text_of(0)?.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            }
            Function::Translate => translate(&self.text_of(0)?, &self.text_of(1)?, &self.text_of(2)?),
            _ => self.text_of(0)?,
        })
    }

    /// A name of the first node.
    fn name(&self, function: Function) -> Result<String, EvalError> {
        let nodes = self.nodes_of(0)?;
        let Some((namespace, prefix, local)) = nodes.first().and_then(|node| self.evaluation.xml.name(*node)) else {
            return Ok(String::new());
        };
        Ok(match function {
            Function::LocalName => local.to_owned(),
            Function::NamespaceUri => namespace.unwrap_or_default().to_owned(),
            _ if prefix.is_empty() => local.to_owned(),
            _ => format!("{prefix}:{local}"),
        })
    }
}

/// To the nearest whole number, halves upwards.
fn round(number: f64) -> f64 {
    let floor = number.floor();
    if number - floor >= 0.5 { floor + 1.0 } else { floor }
}

/// The characters whose position is not below the rounded start and below start and length together.
fn substring(text: &str, start: f64, length: Option<f64>) -> String {
    let start = round(start);
    let end = length.map_or(f64::INFINITY, |length| start + round(length));
    let inside = |index: usize| {
        let at = position(index + 1);
        at >= start && at < end
    };
    text.chars().enumerate().filter(|(index, _)| inside(*index)).map(|(_, c)| c).collect()
}

/// Replaces characters one by one; what has no counterpart goes.
fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    let mut map = std::collections::BTreeMap::new();
    for (index, c) in from.chars().enumerate() {
        map.entry(c).or_insert(to.get(index).copied());
    }
    text.chars().filter_map(|c| map.get(&c).copied().unwrap_or(Some(c))).collect()
}
