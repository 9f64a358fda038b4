//! Text: cutting, joining, padding, replacing. Lengths and places count characters.

use super::{Call, Function, Outcome};
use crate::value::expression::Value;
use crate::value::issue::EvalError;
use std::borrow::Cow;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("uppercase", "s: text", |call| map(call, str::to_uppercase))
        .says("in capitals")
        .example(r#"["il"]"#, "IL"),
    Function::new("lowercase", "s: text", |call| map(call, str::to_lowercase))
        .says("in small letters")
        .example(r#"["IL"]"#, "il"),
    Function::new("capitalize", "s: text", |call| map(call, first_up))
        .says("the first letter as a capital")
        .example(r#"["doe smith"]"#, "Doe smith"),
    Function::new("capitalizeAll", "s: text", |call| map(call, words_up))
        .says("the first letter of each word as a capital")
        .example(r#"["doe smith"]"#, "Doe Smith"),
    Function::new("trim", "s: text", |call| map(call, |s| s.trim().to_owned()))
        .says("without white space at both ends")
        .example(r#"["  a b "]"#, "a b"),
    Function::new("trimLeft", "s: text", |call| map(call, |s| s.trim_start().to_owned()))
        .says("without white space in front")
        .example(r#"["  ab"]"#, "ab"),
    Function::new("trimRight", "s: text", |call| map(call, |s| s.trim_end().to_owned()))
        .says("without white space behind")
        .example(r#"["ab  "]"#, "ab"),
    Function::new("padLeft", "v: text, length: whole, char?: text", |call| pad(call, true))
        .says("filled up in front to this length (at most 65,536), with blanks or `char`")
        .example(r#"["CUST123",10,"0"]"#, "000CUST123"),
    Function::new("padRight", "v: text, length: whole, char?: text", |call| pad(call, false))
        .says("filled up behind")
        .example(r#"["CUST123",10,"0"]"#, "CUST123000"),
    Function::new("chop", "s: text", |call| {
        let text = call.text(0)?;
        call.made(text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
    })
    .says("without what is no letter or digit at both ends")
    .example(r#"["_ABC_"]"#, "ABC"),
    Function::new("replace", "s: text, old: text, new: text", |call| replace(call, usize::MAX, true))
        .says("every `old` replaced, as it is written")
        .example(r#"["a-b-c","-","+"]"#, "a+b+c"),
    Function::new("replacefirst", "s: text, old: text, new: text", |call| replace(call, 1, true))
        .says("the first `old` replaced")
        .example(r#"["a-b-c","-","+"]"#, "a+b-c"),
    Function::new("removefirst", "s: text, part: text", |call| replace(call, 1, false))
        .says("without the first `part`")
        .example(r#"["a-b-c","-"]"#, "ab-c"),
    Function::new("split", "s: text, delimiter: text, index?: whole", split)
        .says("the part with this number, counted from 0; the first one without it; *missing* beyond the last")
        .example(r#"["Hillary-Ann-Swank","-",1]"#, "Ann"),
    Function::new("join", "delimiter: text, v: any…", join)
        .says("all values with the delimiter between; lists are spread")
        .example(r#"["-","unicorn","ponies"]"#, "unicorn-ponies"),
    Function::new("substring", "s: text, start: whole, end?: whole", substring)
        .says("from `start` up to, not including, `end`, counted from 0")
        .example(r#"["Celigo",1,4]"#, "eli"),
    Function::new("occurrences", "s: text, part: text", |call| {
        let (s, part) = (call.text(0)?, call.text(1)?);
        let count = if part.is_empty() { 0 } else { s.matches(&*part).count() };
        Ok(Value::Int(i128::try_from(count).unwrap_or(0)))
    })
    .says("how often `part` is in it")
    .example(r#"["foo bar foo","foo"]"#, "2"),
    Function::new("truncateWords", "s: text, words: whole, suffix?: text", truncate_words)
        .says("so many words, then `…` or the suffix when there are more")
        .example(r#"["foo bar baz",2]"#, "foo bar…"),
    Function::new("sentence", "s: text", |call| map(call, sentences))
        .says("small letters, but for the first of each sentence")
        .example(r#"["HELLO world. it IS late!  good"]"#, "Hello world. It is late!  Good"),
    Function::new("sanitize", "s: text", |call| map(call, without_tags))
        .says("without what stands in `<…>`; this makes no text safe to be shown as HTML")
        .example(r#"["<b>bold</b> move"]"#, "bold move"),
    Function::new("addCommas", "n: number", add_commas)
        .says("with a comma between thousands")
        .example("[1234567]", "1,234,567"),
    Function::new("ordinalize", "n: whole", |call| {
        let n = call.whole(0)?;
        call.made(ordinal(n))
    })
    .says("with its English ending")
    .example("[11]", "11th"),
];

fn map<'a>(call: &Call<'_, 'a>, change: fn(&str) -> String) -> Outcome<'a> {
    let text = call.text(0)?;
    call.budget.produce(text.len())?;
    Ok(Value::Text(Cow::Owned(change(&text))))
}

fn first_up(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars.flat_map(|c| [c])).collect()).unwrap_or_default()
}

fn words_up(s: &str) -> String {
    let mut before = ' ';
    s.chars()
        .flat_map(|c| {
            let begins = before.is_whitespace();
            before = c;
            let upper: Vec<char> = if begins { c.to_uppercase().collect() } else { vec![c] };
            upper
        })
        .collect()
}

/// What ends with full stops and the like begins with a capital and goes on in small letters.
fn sentences(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let (mut begins, mut ended) = (true, false);
    for c in s.chars() {
        let ends = matches!(c, '.' | '?' | '!');
        begins |= ended && !ends;
        if begins && c.is_whitespace() {
            out.push(c);
        } else if std::mem::take(&mut begins) {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        ended = ends;
    }
    out
}

/// A `<` that is never closed is kept.
fn without_tags(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    while let Some(at) = rest.find('<') {
        let Some(length) = rest[at..].find('>') else { break };
        let kept = if length == 1 { at + 2 } else { at };
        out.push_str(&rest[..kept]);
        rest = &rest[at + length + 1..];
    }
    out + rest
}

fn pad<'a>(call: &Call<'_, 'a>, left: bool) -> Outcome<'a> {
    let (text, length) = (call.text(0)?, call.count(1)?);
    let fill = call.text_or(2, " ")?;
    if length > 65_536 {
        return Err(EvalError::Limit(format!("helper `{}` fills up to 65536 characters at most", call.function.name)));
    }
    let Some(lacks) = length.checked_sub(text.chars().count()).filter(|lacks| *lacks > 0 && !fill.is_empty()) else {
        return Ok(Value::Text(text));
    };
    call.budget.produce(text.len() + lacks * 4)?;
    let filled: String = fill.chars().cycle().take(lacks).collect();
    call.made(if left { filled + &text } else { text.into_owned() + &filled })
}

fn replace<'a>(call: &Call<'_, 'a>, most: usize, with: bool) -> Outcome<'a> {
    let (text, old) = (call.text(0)?, call.text(1)?);
    let new = if with { call.text(2)? } else { Cow::Borrowed("") };
    if old.is_empty() {
        return Ok(Value::Text(text));
    }
    let times = text.matches(&*old).count().min(most);
    if times == 0 {
        return Ok(Value::Text(text));
    }
    call.budget.produce(text.len().saturating_add(times.saturating_mul(new.len())))?;
    Ok(Value::Text(Cow::Owned(text.replacen(&*old, &new, most))))
}

fn split<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (text, delimiter) = (call.text(0)?, call.text(1)?);
    let index = if call.given(2) { call.count(2)? } else { 0 };
    call.budget.spend(text.len() / 256)?;
    let part = if delimiter.is_empty() {
        text.chars().nth(index).map(|c| c.to_string())
    } else {
        text.split(&*delimiter).nth(index).map(str::to_owned)
    };
    match part {
        Some(part) => call.made(part),
        None => call.nothing(&format!("finds no part {index}")),
    }
}

fn join<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let delimiter = call.text(0)?;
    let mut out = String::new();
    let mut first = true;
    for value in &call.values[1..] {
        let spread = value.items();
        let items = spread.as_deref().unwrap_or(std::slice::from_ref(value));
        call.budget.spend(items.len())?;
        for item in items {
            let text = super::printed(item, call.budget)?;
            call.budget.produce(text.len() + delimiter.len())?;
            if !first {
                out.push_str(&delimiter);
            }
            first = false;
            out.push_str(&text);
        }
    }
    Ok(Value::Text(Cow::Owned(out)))
}

fn substring<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (text, length) = (call.text(0)?, call.text(0)?.chars().count());
    let place = |n| call.whole(n).map(|at| usize::try_from(at).unwrap_or(0).min(length));
    let (start, end) = (place(1)?, if call.given(2) { place(2)? } else { length });
    let (start, end) = (start.min(end), start.max(end));
    call.made(text.chars().skip(start).take(end - start).collect())
}

fn truncate_words<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (text, most) = (call.text(0)?, call.count(1)?);
    let suffix = call.text_or(2, "…")?;
    let mut words = text.split_whitespace();
    let mut out = String::new();
    for word in words.by_ref().take(most) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if words.next().is_some() {
        out.push_str(&suffix);
    }
    call.made(out)
}

fn add_commas<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let number = super::plain(&call.number(0)?);
    let (whole, rest) = number.find(['.', 'e']).map_or((&*number, ""), |at| number.split_at(at));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    call.made(out + rest)
}

/// `11th`, `22nd`
pub(super) fn ordinal(n: i64) -> String {
    let ending = match (n.unsigned_abs() % 10, n.unsigned_abs() % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}
