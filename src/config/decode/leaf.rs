//! Values that are compiled at load: texts, URIs, paths, expressions, conditions and computed numbers.

use super::file::Finding;
use super::scope::Scope;
use super::value::Value;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::path::Path;
use crate::value::template::{Place, Template};
use crate::value::tree::Tree;
use crate::value::uri::UriTemplate;
use std::ops::RangeInclusive;
use toml::de::DeValue;

impl Value<'_> {
    /// A text: constant, or template where it contains `{{`.
    pub(in crate::config) fn text(&self, place: Place, scope: &Scope<'_>) -> Option<Template> {
        let text = self.string()?;
        match Template::compile(text, place) {
            Ok(template) => {
                self.check_references(template.references(), 0, scope);
                Some(template)
            }
            Err(issues) => {
                self.report_issues("bad-template", 0, issues);
                None
            }
        }
    }

    pub(in crate::config) fn uri(&self, scope: &Scope<'_>) -> Option<UriTemplate> {
        let text = self.string()?;
        match UriTemplate::compile(text) {
            Ok(uri) => {
                self.check_references(uri.references(), 0, scope);
                Some(uri)
            }
            Err(issues) => {
                self.report_issues("bad-template", 0, issues);
                None
            }
        }
    }

    /// A URI that is written out has to be one that requests of its connection may go to.
    pub(in crate::config) fn stays(&self, uri: &UriTemplate, scope: &Scope<'_>) {
        let Some(reach) = scope.reach() else { return };
        if let Some(error) = uri.leads_away(&reach.base, &reach.allowed) {
            let help = "name its origin in `allowed_origins` of the connection, or use a connection of that API";
            self.report(Finding::error("foreign-origin", error.to_string()).help(help));
        }
    }

    pub(in crate::config) fn path(&self) -> Option<Path> {
        let text = self.path_text()?;
        Path::compile(text).map_err(|issues| self.report_issues("bad-path", 0, issues)).ok()
    }

    /// A path into an answer.
    pub(in crate::config) fn body_path(&self, scope: &Scope<'_>) -> Option<BodyPath> {
        let text = self.path_text()?;
        let namespaces = scope.xml().namespaces;
        BodyPath::compile_for(text, &namespaces, scope.meets())
            .map_err(|issues| self.report_issues("bad-path", 0, issues))
            .ok()
    }

    /// The text of a path. An expression would be read as a name that nothing has, and found out by the first run.
    fn path_text(&self) -> Option<&str> {
        let text = self.string()?;
        let (what, inside) = match text.trim_start().strip_prefix('=') {
            Some(inside) => ("an expression", inside),
            None if text.contains("{{") && !looks_like_path(text) => {
                ("a text with `{{`", text.trim_start().trim_start_matches('{'))
            }
            None => return Some(text),
        };
        let help = match same_path(inside.trim_end().trim_end_matches('}').trim()) {
            Some(path) => format!("write `\"{path}\"`"),
            None => "write a path such as `\"$.id\"` or `\"data.items\"`".to_owned(),
        };
        self.report(Finding::error("bad-path", format!("`{}` takes a path, not {what}", self.key)).help(help));
        None
    }

    /// The expression that begins `shift` bytes into the string.
    fn expression_from(&self, shift: usize, scope: &Scope<'_>) -> Option<Expression> {
        let text = self.string()?;
        match Expression::compile(text.get(shift..)?) {
            Ok(expression) => {
                self.check_references(expression.references(), shift, scope);
                Some(expression)
            }
            Err(issues) => {
                self.report_issues("bad-expression", shift, issues);
                None
            }
        }
    }

    /// A condition: an expression without `=`.
    pub(in crate::config) fn condition(&self, scope: &Scope<'_>) -> Option<Expression> {
        let text = self.string()?;
        if text.trim_start().starts_with('=') {
            let finding =
                Finding::error("bad-expression", format!("`{}` is a condition, written without `=`", self.key));
            self.report(finding.help("remove the `=` at the beginning"));
            return None;
        }
        self.expression_from(0, scope)
    }

    /// An expression that must begin with `=`.
    pub(in crate::config) fn computed(&self, scope: &Scope<'_>) -> Option<Expression> {
        let text = self.string()?;
        if !text.starts_with('=') {
            let finding = Finding::error("bad-expression", format!("`{}` takes an expression", self.key));
            self.report(finding.help("begin it with `=`, as in `\"= previous.last_record.id\"`"));
            return None;
        }
        self.expression_from(1, scope)
    }

    /// A string leaf of a tree, by its look.
    pub(super) fn leaf(&self, text: &str, scope: &Scope<'_>) -> Option<Tree> {
        if text.starts_with('=') {
            return self.expression_from(1, scope).map(Tree::Expression);
        }
        let code = if looks_like_path(text) { "bad-path" } else { "bad-template" };
        let tree = Tree::leaf_at(text, scope.place).map_err(|issues| self.report_issues(code, 0, issues)).ok()?;
        if let Tree::Path(path) = &tree {
            self.check_path(path, scope);
        }
        self.check_references(tree.references(), 0, scope);
        Some(tree)
    }

    /// Reports a path into the record where there is none.
    pub(super) fn check_path(&self, path: &Path, scope: &Scope<'_>) {
        if let Some(finding) = scope.judge_path(path.source()) {
            self.report(finding);
        }
    }

    /// A whole number in range, perhaps computed over `connection.vars` and `flow.vars`.
    pub(in crate::config) fn number(&self, range: RangeInclusive<u64>, scope: &Scope<'_>) -> Option<u64> {
        let number = match self.node() {
            DeValue::Integer(_) => self.integer()?,
            DeValue::String(text) if text.starts_with('=') => self.computed_number(scope)?,
            _ => {
                self.wrong_type("a whole number");
                return None;
            }
        };
        let fits = u64::try_from(number).ok().filter(|number| range.contains(number));
        if fits.is_none() {
            let bounds = format!("{} to {}", range.start(), range.end());
            let message = format!("`{}` is {number}, outside {bounds}", self.key);
            self.report(Finding::error("out-of-range", message).help(format!("give a number from {bounds}")));
        }
        fits
    }

    fn computed_number(&self, scope: &Scope<'_>) -> Option<i128> {
        let before = self.file.error_count();
        let expression = self.expression_from(1, &scope.constants())?;
        // A name that is not there was just reported: do not say it twice.
        if self.file.error_count() != before || !scope.is_complete() {
            return None;
        }
        let mut written = Vec::new();
        let outcome = scope.with_constants(|context| {
            let value = expression.eval(context)?;
            value.write(&mut written)
        });
        if let Err(error) = outcome {
            self.report(Finding::error("bad-expression", error.to_string()));
            return None;
        }
        let text = String::from_utf8_lossy(&written);
        let number = text.parse::<i128>().ok().or_else(|| text.parse::<f64>().ok().and_then(whole));
        if number.is_none() {
            let help = "numbers only: an environment variable is text, convert it with `| int`";
            let message = format!("`{}` gives no whole number", self.key);
            self.report(Finding::error("wrong-type", message).help(help));
        }
        number
    }
}

/// A float that is a whole number.
fn whole(number: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small just before")]
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i128)
}

/// The path to what an expression names and does nothing else with.
fn same_path(expression: &str) -> Option<String> {
    let names = ["record.", "item."].iter().find_map(|root| expression.strip_prefix(root)).unwrap_or(expression);
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let path = if names.starts_with('$') { names.to_owned() } else { format!("$.{names}") };
    let fits = names.starts_with('$') || names.split('.').all(plain);
    (fits && Path::compile(&path).is_ok()).then_some(path)
}

/// `$`, `$.…`, `$[…`: FORMAT's look of a path.
pub(super) fn looks_like_path(text: &str) -> bool {
    text == "$" || text.starts_with("$.") || text.starts_with("$[")
}
