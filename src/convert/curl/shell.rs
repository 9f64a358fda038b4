//! The words of a command line as a POSIX shell reads them: quotes, `$'…'`, continued lines, variables. Nothing is run.

use super::MAX_LINE;

/// Begins the name of a variable inside a word, and ends it. No command line holds these.
pub(super) const OPEN: char = '\u{1}';
pub(super) const CLOSE: char = '\u{2}';

/// The words of the first command. Variables stand in them as marked names.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    if line.len() > MAX_LINE {
        return Err(format!("the command line is longer than {} KiB", MAX_LINE / 1024));
    }
    if line.contains([OPEN, CLOSE, '\0']) {
        return Err("the command line holds control characters".to_owned());
    }
    let mut reader = Reader { rest: line, word: None, words: Vec::new() };
    while reader.step()? {}
    let last = reader.word.take();
    reader.words.extend(last);
    Ok(reader.words)
}

struct Reader<'l> {
    rest: &'l str,
    word: Option<String>,
    words: Vec<String>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// One character or quoted part; false at the end of the command.
    fn step(&mut self) -> Result<bool, String> {
        if self.take("\\\r\n") || self.take("\\\n") {
            return Ok(true);
        }
        if self.take("$'") {
            self.word.get_or_insert_default();
            return self.ansi().map(|()| true);
        }
        if self.take("$\"") {
            return self.double().map(|()| true);
        }
        let Some(c) = self.next() else { return Ok(false) };
        match c {
            ' ' | '\t' | '\r' => {
                let word = self.word.take();
                self.words.extend(word);
            }
            // A new line ends a command, but people paste lines without their backslashes too.
            '\n' if self.rest.trim_start().starts_with('-') || self.words.is_empty() => {
                let word = self.word.take();
                self.words.extend(word);
            }
            '\n' | ';' | '|' | '&' | '>' | '<' => return Ok(false),
            '#' if self.word.is_none() => {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            }
            '\'' => {
                let Some((inner, rest)) = self.rest.split_once('\'') else {
                    return Err("a single quote is not closed".to_owned());
                };
                self.word.get_or_insert_default().push_str(inner);
                self.rest = rest;
            }
            '"' => self.double()?,
            '\\' => {
                if let Some(c) = self.next() {
                    self.push(c);
                }
            }
            '$' => self.variable()?,
            '`' => return Err(commands()),
            c => self.push(c),
        }
        Ok(true)
    }

    fn double(&mut self) -> Result<(), String> {
        self.word.get_or_insert_default();
        loop {
            match self.next() {
                None => return Err("a double quote is not closed".to_owned()),
                Some('"') => return Ok(()),
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => self.push(c),
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                    None => return Err("a double quote is not closed".to_owned()),
                },
                Some('$') => self.variable()?,
                Some('`') => return Err(commands()),
                Some(c) => self.push(c),
            }
        }
    }

    /// `$NAME`, `${NAME}`, after the dollar sign.
    fn variable(&mut self) -> Result<(), String> {
        if self.rest.starts_with('(') {
            return Err(commands());
        }
        let braced = self.take("{");
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            if braced {
                return Err("`${…}` names no variable".to_owned());
            }
            self.push('$');
            return Ok(());
        }
        let marked = format!("{OPEN}{name}{CLOSE}");
        self.rest = &self.rest[end..];
        if braced && !self.take("}") {
            // `${NAME:-default}`: the variable is what counts.
            let Some((_, rest)) = self.rest.split_once('}') else {
                return Err("`${` is not closed".to_owned());
            };
            self.rest = rest;
        }
        self.word.get_or_insert_default().push_str(&marked);
        Ok(())
    }

    /// `$'…'`, after the quote.
    fn ansi(&mut self) -> Result<(), String> {
        loop {
            match self.next() {
                None => return Err("`$'` is not closed".to_owned()),
                Some('\'') => return Ok(()),
                Some('\\') => self.escape()?,
                Some(c) => self.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.next().ok_or("`$'` is not closed")?;
        let plain = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'e' | 'E' => '\u{1b}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'x' => return self.code(16, 2),
            'u' => return self.code(16, 4),
            'U' => return self.code(16, 8),
            '0'..='7' => return self.octal(c),
            '\\' | '\'' | '"' | '?' => c,
            other => {
                self.push('\\');
                other
            }
        };
        self.push(plain);
        Ok(())
    }

    /// `\101`, of which the first digit is read.
    fn octal(&mut self, first: char) -> Result<(), String> {
        let more = self.rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
        let digits = format!("{first}{}", &self.rest[..more]);
        self.rest = &self.rest[more..];
        self.coded(u32::from_str_radix(&digits, 8).unwrap_or(0))
    }

    fn code(&mut self, base: u32, most: usize) -> Result<(), String> {
        let end = self.rest.chars().take(most).take_while(|c| c.is_digit(base)).count();
        let code = u32::from_str_radix(&self.rest[..end], base).map_err(|_| "an escape in `$'…'` has no digits")?;
        self.rest = &self.rest[end..];
        self.coded(code)
    }

    fn coded(&mut self, code: u32) -> Result<(), String> {
        match char::from_u32(code) {
            Some(OPEN | CLOSE | '\0') | None => Err("an escape in `$'…'` is no character".to_owned()),
            Some(c) => {
                self.push(c);
                Ok(())
            }
        }
    }
}

fn commands() -> String {
    "the command line runs another command (`$(…)`): put its result in a variable first".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, wanted) in [
            ("curl a  'b c' \"d e\"", vec!["curl", "a", "b c", "d e"]),
            ("curl \\\n  -H 'X: 1' \\\r\n  u", vec!["curl", "-H", "X: 1", "u"]),
            ("curl u -d '{\"a\":\"it'\\''s\"}'", vec!["curl", "u", "-d", "{\"a\":\"it's\"}"]),
            ("curl \"a\\\"b\\\\c\\n\" ''", vec!["curl", "a\"b\\c\\n", ""]),
            ("curl $'a\\nb\\'c\\x41\\u00e9\\101\\q'", vec!["curl", "a\nb'cAéA\\q"]),
            (
                "curl -H \"T: $TOKEN\" ${HOST}/x '$no' \\$no",
                vec!["curl", "-H", "T: \u{1}TOKEN\u{2}", "\u{1}HOST\u{2}/x", "$no", "$no"],
            ),
            ("curl u | jq .", vec!["curl", "u"]),
            ("curl u > out; rm x", vec!["curl", "u"]),
            ("curl u # comment", vec!["curl", "u"]),
            ("curl u\n  -X POST\n  -d 'a\nb'", vec!["curl", "u", "-X", "POST", "-d", "a\nb"]),
            ("curl 'u?a=1&b=2' -d 'x'&", vec!["curl", "u?a=1&b=2", "-d", "x"]),
            ("curl a$ ${V:-x}b", vec!["curl", "a$", "\u{1}V\u{2}b"]),
        ] {
            assert_eq!(
                words(line).as_deref(),
                Ok(&wanted.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{line}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for line in ["'a", "\"a", "$'a", "$(x)", "\"`x`\"", "${", "${}", "$'\\xz'", "$'\\uD800'", "a\u{1}b"] {
            assert!(words(line).is_err(), "{line}");
        }
        assert!(words(&"x".repeat(300_000)).is_err());
    }
}
