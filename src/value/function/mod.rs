//! The helpers of templates, which are the functions of expressions: one table, one implementation.
//!
//! Each is pure over values, takes what its signature says and accounts for its work and its output before it does
//! either. What is missing is decided by the caller: only `tolerant` functions ever see it (or all of them, as
//! nothing, where a flow says `missing = "empty"`).

// size: one row's shape, and what each call may ask of its arguments

mod aws4;
mod case;
mod date;
mod decimal;
mod digest;
#[cfg(test)]
mod documented;
mod encode;
mod list;
mod logic;
mod math;
mod pattern;
#[cfg(test)]
mod tests;
mod text;

use super::context::Context;
use super::expression::{Value, number};
use super::issue::EvalError;
use super::json::Kind;
use std::borrow::Cow;

pub(in crate::value) use date::{in_zone as wall_clock, known_in as date_known};
pub(in crate::value) use decimal::shown as number_text;
pub(in crate::value) use pattern::Pattern;

/// What a function gives.
pub(in crate::value) type Outcome<'a> = Result<Value<'a>, EvalError>;
type Run = for<'c, 'a> fn(&Call<'c, 'a>) -> Outcome<'a>;
type Check = fn(usize, &str) -> Result<(), String>;

/// Accounts for work and output; the one evaluation under way owns it.
pub(in crate::value) trait Budget {
    /// Uses up steps.
    fn spend(&self, steps: usize) -> Result<(), EvalError>;
    /// Announces text about to be produced.
    fn produce(&self, bytes: usize) -> Result<(), EvalError>;
}

/// One helper.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of its own about the helper")]
pub(in crate::value) struct Function {
    pub(in crate::value) name: &'static str,
    /// `s: text, delimiter: text, index?: whole` — `?` optional, `…` any number of them.
    pub(in crate::value) takes: &'static str,
    /// Arguments by name: `sort list reverse="true"`.
    pub(in crate::value) named: &'static [&'static str],
    pub(in crate::value) says: &'static str,
    /// Arguments as a JSON list (or a whole template, where it reads more than them), and the text of the result.
    pub(in crate::value) example: (&'static str, &'static str),
    /// Whether it may be given missing values.
    pub(in crate::value) tolerant: bool,
    /// Whether it answers yes or no, and so opens blocks.
    pub(in crate::value) block: bool,
    /// Whether it reads `now`.
    pub(in crate::value) timed: bool,
    /// Whether it reads the request as it leaves.
    pub(in crate::value) signing: bool,
    run: Run,
    /// Looks at constant arguments at load.
    check: Option<Check>,
}

impl Function {
    const fn new(name: &'static str, takes: &'static str, run: Run) -> Self {
        Self {
            name,
            takes,
            named: &[],
            says: "",
            example: ("", ""),
            tolerant: false,
            block: false,
            timed: false,
            signing: false,
            run,
            check: None,
        }
    }

    const fn says(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }

    const fn example(mut self, arguments: &'static str, result: &'static str) -> Self {
        self.example = (arguments, result);
        self
    }

    const fn named(mut self, named: &'static [&'static str]) -> Self {
        self.named = named;
        self
    }

    const fn tolerant(mut self) -> Self {
        self.tolerant = true;
        self
    }

    const fn block(mut self) -> Self {
        self.block = true;
        self.tolerant = true;
        self
    }

    const fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    const fn signing(mut self) -> Self {
        self.signing = true;
        self
    }

    const fn checked(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Name, kind and manner of each parameter.
    pub(in crate::value) fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.takes.split(", ").filter(|part| !part.is_empty()).map(|part| {
            let (name, kind) = part.split_once(": ").unwrap_or((part, "any"));
            Parameter {
                name: name.trim_end_matches('?'),
                optional: name.ends_with('?'),
                kind: kind.trim_end_matches('…'),
                many: kind.ends_with('…'),
            }
        })
    }

    /// How many arguments it needs, and how many it takes.
    pub(in crate::value) fn arity(&self) -> (usize, usize) {
        let least = self.parameters().filter(|p| !p.optional).count();
        let most = if self.parameters().any(|p| p.many) { usize::MAX } else { self.parameters().count() };
        (least, most)
    }

    /// What is wrong with so many arguments, if anything.
    pub(in crate::value) fn refuses_count(&self, given: usize) -> Option<String> {
        let (least, most) = self.arity();
        if (least..=most).contains(&given) {
            return None;
        }
        let wanted = match most {
            usize::MAX => format!("at least {least}"),
            most if most == least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        let plural = if wanted == "1" { "" } else { "s" };
        Some(format!("helper `{}` takes {wanted} argument{plural}, not {given}", self.name))
    }

    /// Looks at one constant argument.
    pub(in crate::value) fn check_constant(&self, n: usize, text: &str) -> Result<(), String> {
        self.check.map_or(Ok(()), |check| check(n, text))
    }

    /// Whether its result already has the escaping of a URI or of a JSON string.
    pub(in crate::value) fn escapes(&self) -> Option<Escapes> {
        match self.name {
            "encodeURI" => Some(Escapes::Uri),
            "json" | "jsonEncode" | "jsonSerialize" | "jsonStringify" => Some(Escapes::Json),
            _ => None,
        }
    }
}

/// What a result is ready to stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::value) enum Escapes {
    Uri,
    Json,
}

/// One parameter of a signature.
pub(in crate::value) struct Parameter {
    pub(in crate::value) name: &'static str,
    pub(in crate::value) optional: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "the page of helpers and its tests read it"))]
    pub(in crate::value) kind: &'static str,
    pub(in crate::value) many: bool,
}

/// All of them, by family.
pub(in crate::value) const FAMILIES: &[(&str, &[Function])] = &[
    ("Math", math::FUNCTIONS),
    ("Text", text::FUNCTIONS),
    ("Names", case::FUNCTIONS),
    ("Lists", list::FUNCTIONS),
    ("Dates", date::FUNCTIONS),
    ("Encoding", encode::FUNCTIONS),
    ("Patterns", pattern::FUNCTIONS),
    ("Hashes", digest::FUNCTIONS),
    ("Signatures", aws4::FUNCTIONS),
    ("Types and conditions", logic::FUNCTIONS),
];

/// All of them.
pub(in crate::value) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|(_, functions)| functions.iter())
}

/// Finds one by its name.
pub(in crate::value) fn by_name(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// One call under way. Missing arguments are `Undefined`.
pub(in crate::value) struct Call<'c, 'a> {
    pub(in crate::value) function: &'static Function,
    pub(in crate::value) values: Vec<Value<'a>>,
    pub(in crate::value) named: Vec<(&'c str, Value<'a>)>,
    /// The pattern, where it is a constant.
    pub(in crate::value) pattern: Option<&'c Pattern>,
    pub(in crate::value) budget: &'c dyn Budget,
    pub(in crate::value) ctx: &'c Context<'a>,
}

impl<'a> Call<'_, 'a> {
    /// Does it.
    pub(in crate::value) fn run(&self) -> Outcome<'a> {
        self.budget.spend(1)?;
        (self.function.run)(self)
    }

    fn value(&self, n: usize) -> Value<'a> {
        self.values.get(n).cloned().unwrap_or(Value::Undefined)
    }

    /// Whether an optional argument was given, and is neither missing nor null.
    fn given(&self, n: usize) -> bool {
        self.values.get(n).is_some_and(|value| !matches!(value, Value::Undefined) && !value.is_null())
    }

    fn flag(&self, name: &str) -> bool {
        self.named.iter().any(|(n, value)| *n == name && matches!(&*value.text(), "true" | "1"))
    }

    fn wrong(&self, n: usize, wanted: &str, value: &Value<'_>) -> EvalError {
        let name = self.function.name;
        let parameter = self.function.parameters().nth(n).or_else(|| self.function.parameters().last());
        let parameter = parameter.map_or("value", |parameter| parameter.name);
        EvalError::Type(format!("helper `{name}` takes {wanted} as `{parameter}`, not {}", value.type_name()))
    }

    fn refused(&self, why: &str) -> EvalError {
        EvalError::Type(format!("helper `{}`: {why}", self.function.name))
    }

    fn too_large(&self) -> EvalError {
        EvalError::Limit(format!("the result of helper `{}` is too large for a number", self.function.name))
    }

    /// Text; numbers and truth values as text; null as nothing.
    fn text(&self, n: usize) -> Result<Cow<'a, str>, EvalError> {
        let value = self.value(n);
        match value.type_name() {
            "a list" | "a map" => Err(self.wrong(n, "text", &value)),
            _ => Ok(plain(&value)),
        }
    }

    fn text_or(&self, n: usize, otherwise: &'static str) -> Result<Cow<'a, str>, EvalError> {
        if self.given(n) { self.text(n) } else { Ok(Cow::Borrowed(otherwise)) }
    }

    /// A number, or text that is one.
    fn number(&self, n: usize) -> Result<Value<'a>, EvalError> {
        let value = self.value(n);
        self.as_number(&value).ok_or_else(|| match value.type_name() {
            "text" => self.wrong(n, "a number", &value).and("this text is no number"),
            _ => self.wrong(n, "a number", &value),
        })
    }

    #[expect(clippy::unused_self, reason = "reads like the rest")]
    fn as_number(&self, value: &Value<'a>) -> Option<Value<'a>> {
        match value.clone().decoded() {
            number @ (Value::Int(_) | Value::Float(_)) => Some(number),
            Value::Text(text) => numeral(&text),
            Value::Json(json) if json.kind() == Kind::Number => number::float(json.text()).map(Value::Float),
            _ => None,
        }
    }

    fn float(&self, n: usize) -> Result<f64, EvalError> {
        let value = self.number(n)?;
        number::as_float(&value).ok_or_else(|| self.wrong(n, "a number", &value))
    }

    /// A whole number.
    fn whole(&self, n: usize) -> Result<i64, EvalError> {
        let value = self.number(n)?;
        let whole = match value {
            Value::Int(n) => i64::try_from(n).ok(),
            Value::Float(n) if n.fract() == 0.0 => number::whole(n).and_then(|n| i64::try_from(n).ok()),
            _ => None,
        };
        whole.ok_or_else(|| self.wrong(n, "a whole number", &value))
    }

    /// A whole number that counts something.
    fn count(&self, n: usize) -> Result<usize, EvalError> {
        let count = self.whole(n)?;
        usize::try_from(count).map_err(|_| self.refused("a count cannot be negative"))
    }

    /// The items of a list; missing as none.
    fn list(&self, n: usize) -> Result<Vec<Value<'a>>, EvalError> {
        let value = self.value(n);
        if matches!(value, Value::Undefined) {
            return Ok(Vec::new());
        }
        if let Value::Json(json) = &value {
            self.budget.spend(json.text().len() / 256)?;
        }
        let items = value.items().ok_or_else(|| self.wrong(n, "a list", &value))?;
        self.budget.spend(items.len())?;
        Ok(items)
    }

    /// Text made here.
    fn made(&self, text: String) -> Outcome<'a> {
        self.budget.produce(text.len())?;
        Ok(Value::Text(Cow::Owned(text)))
    }

    /// Undefined: nothing is there.
    fn nothing(&self, what: &str) -> Outcome<'a> {
        if self.ctx.missing_is_empty() {
            return Ok(Value::Undefined);
        }
        Err(EvalError::Missing(format!("helper `{}` {what}", self.function.name)))
    }
}

impl EvalError {
    fn and(self, more: &str) -> Self {
        match self {
            Self::Type(message) => Self::Type(format!("{message}: {more}")),
            other => other,
        }
    }
}

/// Decimal text as a number: `-12`, `3.5`, `1e3`; never `inf`, `0x10` or `1,000`.
fn numeral(text: &str) -> Option<Value<'static>> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    if plain { number::parse(text.strip_prefix('+').unwrap_or(text)) } else { None }
}

/// A value as templates print it: numbers made here as people write them, lists joined with commas, maps as JSON.
pub(in crate::value) fn printed<'a>(value: &Value<'a>, budget: &dyn Budget) -> Result<Cow<'a, str>, EvalError> {
    if value.type_name() != "a list" {
        return Ok(plain(value));
    }
    let mut out = String::new();
    print_list(value, budget, &mut out, 0)?;
    Ok(Cow::Owned(out))
}

fn print_list(value: &Value<'_>, budget: &dyn Budget, out: &mut String, depth: usize) -> Result<(), EvalError> {
    let items = value.items().unwrap_or_default();
    budget.spend(items.len())?;
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if item.type_name() == "a list" && depth < super::json::MAX_DEPTH {
            print_list(item, budget, out, depth + 1)?;
        } else {
            let text = plain(item);
            budget.produce(text.len() + 1)?;
            out.push_str(&text);
        }
    }
    Ok(())
}

fn plain<'a>(value: &Value<'a>) -> Cow<'a, str> {
    match value {
        Value::Float(n) => Cow::Owned(number_text(*n)),
        other => other.text(),
    }
}

/// A whole float as a whole number, so that it prints without a fraction.
fn tidy(n: f64) -> Value<'static> {
    match number::whole(n) {
        Some(whole) if n.fract() == 0.0 && n.abs() < 9.0e15 => Value::Int(whole),
        _ => Value::Float(n),
    }
}
