//! Reads what stands inside one pair of braces: paths, literals, calls. Knows nothing of blocks or of meaning.

use crate::value::issue::Issue;
use std::ops::Range;

/// Deepest nesting of `(…)`.
const MAX_NESTING: usize = 16;
/// Most operands of one call.
const MAX_OPERANDS: usize = 64;

/// What a tag holds: a name or path and what follows it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) operands: Vec<Operand>,
    pub(super) named: Vec<(String, Range<usize>, Operand)>,
    /// `as |item index|`
    pub(super) params: Vec<String>,
}

/// One operand and where it stands.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) what: Syntax,
    pub(super) at: Range<usize>,
}

/// The kinds of operands.
#[derive(Debug)]
pub(super) enum Syntax {
    Path(PathSyntax),
    Text(String),
    Number(String),
    Bool(bool),
    Null,
    Call(Head),
}

/// A path as written.
#[derive(Debug, Default)]
pub(super) struct PathSyntax {
    /// How often `../`.
    pub(super) up: usize,
    /// `@index` and the like.
    pub(super) data: bool,
    /// Begins with `this` or `.`.
    pub(super) this: bool,
    /// The names; whether each stood in brackets.
    pub(super) segments: Vec<(String, bool)>,
}

impl PathSyntax {
    /// The one plain name, when it is no more than that.
    pub(super) fn simple(&self) -> Option<&str> {
        match &self.segments[..] {
            [(name, false)] if self.up == 0 && !self.data && !self.this => Some(name),
            _ => None,
        }
    }
}

/// Reads forward through the source.
pub(super) struct Cursor<'s> {
    pub(super) source: &'s str,
    pub(super) at: usize,
    nesting: usize,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(source: &'s str, at: usize) -> Self {
        Self { source, at, nesting: 0 }
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let yes = self.rest().starts_with(text);
        self.at += if yes { text.len() } else { 0 };
        yes
    }

    pub(super) fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether the tag (or the bracket) ends here.
    fn at_end(&self) -> bool {
        let rest = self.rest();
        rest.is_empty() || rest.starts_with('}') || rest.starts_with('~') || rest.starts_with(')')
    }

    /// Operands up to the end of the tag.
    pub(super) fn head(&mut self) -> Result<Head, Issue> {
        let mut head = Head { operands: Vec::new(), named: Vec::new(), params: Vec::new() };
        loop {
            self.space();
            if self.at_end() {
                return Ok(head);
            }
            if head.operands.len() + head.named.len() >= MAX_OPERANDS {
                return Err(Issue::new(self.at..self.at, format!("more than {MAX_OPERANDS} arguments")));
            }
            if self.rest().starts_with("as |") || self.rest().starts_with("as  |") {
                head.params = self.params()?;
                continue;
            }
            let start = self.at;
            if let Some(name) = self.named_argument() {
                let operand = self.operand()?;
                head.named.push((name, start..self.at, operand));
                continue;
            }
            head.operands.push(self.operand()?);
        }
    }

    fn named_argument(&mut self) -> Option<String> {
        let name: &str = self.rest().split(|c| !is_name(c)).next().unwrap_or_default();
        if name.is_empty() || !self.rest()[name.len()..].starts_with('=') {
            return None;
        }
        self.at += name.len() + 1;
        Some(name.to_owned())
    }

    fn params(&mut self) -> Result<Vec<String>, Issue> {
        let start = self.at;
        let inner = self.rest().split_once('|').map_or("", |(_, inner)| inner);
        let Some((names, _)) = inner.split_once('|').filter(|(names, _)| !names.contains(['{', '}'])) else {
            return Err(Issue::new(start..start + 2, "the names after `as` are not closed").help("write `as |name|`"));
        };
        self.at = self.source.len() - inner.len() + names.len() + 1;
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        if names.is_empty() || names.len() > 2 || !names.iter().all(|name| name.chars().all(is_name)) {
            return Err(Issue::new(start..self.at, "`as |…|` takes one or two plain names"));
        }
        Ok(names)
    }

    fn operand(&mut self) -> Result<Operand, Issue> {
        let start = self.at;
        let what = match self.peek() {
            Some(quote @ ('"' | '\'')) => Syntax::Text(self.quoted(quote)?),
            Some('(') => {
                if self.nesting >= MAX_NESTING {
                    return Err(Issue::new(
                        start..start + 1,
                        format!("brackets nest deeper than {MAX_NESTING} levels"),
                    ));
                }
                self.nesting += 1;
                self.at += 1;
                let head = self.head()?;
                self.nesting -= 1;
                if !self.eat(")") {
                    return Err(Issue::new(start..start + 1, "this bracket is not closed").help("add `)`"));
                }
                if head.operands.is_empty() {
                    return Err(Issue::new(start..self.at, "expected a helper name in the brackets"));
                }
                Syntax::Call(head)
            }
            _ => match self.literal() {
                Some(literal) => literal,
                None => Syntax::Path(self.path()?),
            },
        };
        Ok(Operand { what, at: start..self.at })
    }

    /// Text keeps its backslashes as typed; only `\"` (or `\'`) stands for the quote itself.
    fn quoted(&mut self, quote: char) -> Result<String, Issue> {
        let mut out = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            match (c, escaped) {
                (c, true) if c == quote => {
                    out.push(c);
                    escaped = false;
                }
                (c, true) => {
                    out.push('\\');
                    escaped = c == '\\';
                    if !escaped {
                        out.push(c);
                    }
                }
                ('\\', false) => escaped = true,
                (c, false) if c == quote => {
                    self.at += offset + 1;
                    return Ok(out);
                }
                (c, false) => out.push(c),
            }
        }
        Err(Issue::new(self.at..self.at + 1, "this text is not closed").help(format!("add the closing {quote}")))
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self) -> Option<Syntax> {
        let rest = self.rest();
        let word = &rest[..rest.find(|c: char| !(is_name(c) || c == '.')).unwrap_or(rest.len())];
        let literal = match word {
            "true" => Syntax::Bool(true),
            "false" => Syntax::Bool(false),
            "null" | "undefined" => Syntax::Null,
            _ if is_number(word) => Syntax::Number(word.to_owned()),
            _ => return None,
        };
        self.at += word.len();
        Some(literal)
    }

    fn path(&mut self) -> Result<PathSyntax, Issue> {
        let start = self.at;
        let mut path = PathSyntax { data: self.eat("@"), ..PathSyntax::default() };
        loop {
            if self.eat("../") {
                path.up += 1;
            } else if self.rest().starts_with("..") && !path.data {
                self.at += 2;
                path.up += 1;
                path.this = true;
                return Ok(path);
            } else {
                break;
            }
        }
        if self.eat("./") || self.is_this() {
            path.this = true;
        }
        // `this` alone, or `.` alone.
        let mut wants_segment = !path.this || self.source[..self.at].ends_with(['/', '.']) && self.at - start > 1;
        loop {
            if self.rest().starts_with('[') {
                path.segments.push((self.bracketed()?, true));
            } else if wants_segment || path.segments.is_empty() && !path.this {
                let name: &str = self.rest().split(|c| !is_name(c)).next().unwrap_or_default();
                if name.is_empty() {
                    return Err(self.unexpected());
                }
                self.at += name.len();
                path.segments.push((name.to_owned(), false));
            }
            wants_segment = (self.rest().starts_with('.') || self.rest().starts_with('/')) && !path.segments.is_empty();
            if wants_segment {
                self.at += 1;
            } else if !self.rest().starts_with('[') || path.segments.is_empty() {
                return Ok(path);
            }
        }
    }

    /// Takes `this`, `this.`, `this/` or a lone `.`.
    fn is_this(&mut self) -> bool {
        let rest = self.rest();
        for word in ["this", "."] {
            let Some(after) = rest.strip_prefix(word) else { continue };
            match after.chars().next() {
                Some('.' | '/') if word == "this" => {
                    self.at += word.len() + 1;
                    return true;
                }
                Some(c) if is_name(c) || c == '[' => {}
                _ => {
                    self.at += word.len();
                    return true;
                }
            }
        }
        false
    }

    fn bracketed(&mut self) -> Result<String, Issue> {
        let start = self.at;
        match self.rest()[1..].split_once(']') {
            Some((name, _)) => {
                self.at += name.len() + 2;
                Ok(name.to_owned())
            }
            None => Err(Issue::new(start..start + 1, "this bracket is not closed").help("add `]`")),
        }
    }

    fn unexpected(&self) -> Issue {
        match self.peek() {
            None => Issue::new(self.at..self.at, "the tag is not closed").help("add `}}`"),
            Some(c) => {
                let at = self.at..self.at + c.len_utf8();
                let issue = Issue::new(at, format!("`{}` has no meaning here", c.escape_debug()));
                match c {
                    '|' | '=' | '<' | '>' | '+' | '*' | '&' => {
                        issue.help("templates do not compute; use an expression, `= …`, instead")
                    }
                    '$' => issue.help("write the path with dots, such as `record.id`"),
                    _ => issue,
                }
            }
        }
    }
}

/// Characters of plain names: all but white space and those that mean something in a tag.
fn is_name(c: char) -> bool {
    !c.is_whitespace() && !"!\"#%&'()*+,./;<=>@[\\]^`{|}~$".contains(c)
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let mut parts = digits.splitn(2, '.');
    let all = |part: Option<&str>| part.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    parts.clone().next().is_some_and(|p| !p.is_empty()) && all(parts.next()) && all(parts.next())
}
