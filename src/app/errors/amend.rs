//! Changes one place of a record and leaves every other byte as it was received: numbers, order, repeated keys.

use crate::value::json::{Json, JsonRef, Kind, MAX_DEPTH, write_string};

/// One step into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// Puts a value at a place given as `path=json`, as in `customer.name="Ada"` or `lines[0].qty=2`. Objects that are not
/// there yet are created; a list grows by its next item only.
pub fn set(record: &Json, assignment: &str) -> Result<Json, String> {
    let (path, value) = split(assignment)?;
    let value = Json::parse(value).map_err(|error| {
        format!("`{value}` is no JSON: {error}; text is written with its quotes, as in --set '{path}=\"text\"'")
    })?;
    let steps = steps(path)?;
    let mut out = Vec::with_capacity(record.text().len() + value.text().len() + 16);
    write(record.as_ref(), &steps, value.text(), &mut out).map_err(|what| format!("`{path}`: {what}"))?;
    Json::parse(out).map_err(|error| format!("`{path}`: {error}"))
}

fn split(assignment: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let at = assignment.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '=' && !quoted).then_some(at)
    });
    match at.filter(|at| *at > 0) {
        Some(at) => Ok((assignment[..at].trim(), &assignment[at + 1..])),
        None => Err(format!("`{assignment}` is no assignment: write --set 'path=json', as in --set 'customer.id=7'")),
    }
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let bad = |why: &str| format!("`{path}` is no place in a record: {why}");
    let mut rest = path.strip_prefix("$.").or_else(|| path.strip_prefix('$')).unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("[\"") {
            let (name, after) = inside.split_once("\"]").ok_or_else(|| bad("`[\"` is not closed"))?;
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').ok_or_else(|| bad("`[` is not closed"))?;
            let index = index.parse().map_err(|_| bad("between `[` and `]` stands a number or a quoted name"))?;
            steps.push(Step::Index(index));
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(bad("a name is missing"));
            }
            steps.push(Step::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                return Err(bad("a name is missing"));
            }
            rest = after;
        }
    }
    match steps.len() {
        0 => Err(bad("it names nothing")),
        deep if deep > MAX_DEPTH => Err(bad("it is too deep")),
        _ => Ok(steps),
    }
}

fn write(old: JsonRef<'_>, steps: &[Step], value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    match steps.split_first() {
        None => out.extend_from_slice(value.as_bytes()),
        Some((Step::Name(name), below)) => object(old, name, below, value, out)?,
        Some((Step::Index(index), below)) => list(old, *index, below, value, out)?,
    }
    Ok(())
}

fn object(old: JsonRef<'_>, name: &str, below: &[Step], value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if !matches!(old.kind(), Kind::Object | Kind::Null) {
        return Err(format!("`{name}` would stand in {}, and only an object has names", old.kind().name()));
    }
    // Of repeated keys the last one counts: it is the one that changes.
    let last = old.members().enumerate().filter(|(_, (key, _))| key == name).map(|(at, _)| at).last();
    out.push(b'{');
    let mut count = 0;
    for (at, (key, member)) in old.members().enumerate() {
        comma(&mut count, out);
        write_string(out, &key);
        out.push(b':');
        if Some(at) == last {
            write(member, below, value, out)?;
        } else {
            out.extend_from_slice(member.text().as_bytes());
        }
    }
    if last.is_none() {
        comma(&mut count, out);
        write_string(out, name);
        out.push(b':');
        write(JsonRef::NULL, below, value, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn list(old: JsonRef<'_>, index: usize, below: &[Step], value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let items: Vec<JsonRef<'_>> = old.items().collect();
    if !matches!(old.kind(), Kind::Array | Kind::Null) || index > items.len() {
        return Err(format!("`[{index}]` is not there: it is {} of {} items", old.kind().name(), items.len()));
    }
    out.push(b'[');
    let mut count = 0;
    for (at, item) in items.iter().enumerate() {
        comma(&mut count, out);
        if at == index {
            write(*item, below, value, out)?;
        } else {
            out.extend_from_slice(item.text().as_bytes());
        }
    }
    if index == items.len() {
        comma(&mut count, out);
        write(JsonRef::NULL, below, value, out)?;
    }
    out.push(b']');
    Ok(())
}

fn comma(count: &mut usize, out: &mut Vec<u8>) {
    if *count > 0 {
        out.push(b',');
    }
    *count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amended(record: &str, assignment: &str) -> Result<String, String> {
        set(&Json::parse(record).unwrap(), assignment).map(|json| json.text().to_owned())
    }

    #[test]
    fn one_place_changes_and_the_rest_stays_as_it_was_written() {
        let record = r#"{ "id": 12345678901234567890123, "rate": 1.50, "c": {"n":"x"}, "l": [1, {"q":2}] }"#;
        for (assignment, expected) in [
            (r#"c.n="Ada""#, r#"{"id":12345678901234567890123,"rate":1.50,"c":{"n":"Ada"},"l":[1, {"q":2}]}"#),
            ("l[1].q=3", r#"{"id":12345678901234567890123,"rate":1.50,"c":{"n":"x"},"l":[1,{"q":3}]}"#),
            ("l[2]=null", r#"{"id":12345678901234567890123,"rate":1.50,"c":{"n":"x"},"l":[1,{"q":2},null]}"#),
            ("$.rate=2", r#"{"id":12345678901234567890123,"rate":2,"c":{"n":"x"},"l":[1, {"q":2}]}"#),
        ] {
            assert_eq!(amended(record, assignment).as_deref(), Ok(expected), "{assignment}");
        }
        assert_eq!(amended("{}", "a.b[0].c=true").as_deref(), Ok(r#"{"a":{"b":[{"c":true}]}}"#));
        assert_eq!(amended(r#"{"a=b":1}"#, r#"["a=b"]=2"#).as_deref(), Ok(r#"{"a=b":2}"#));
        assert_eq!(amended(r#"{"a":1,"a":2}"#, "a=3").as_deref(), Ok(r#"{"a":1,"a":3}"#));
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_a_remedy() {
        for (record, assignment, words) in [
            ("{}", "name", "write --set 'path=json'"),
            ("{}", "=1", "write --set 'path=json'"),
            ("{}", "name=Ada", "text is written with its quotes"),
            ("{}", "a..b=1", "a name is missing"),
            ("{}", "a.=1", "a name is missing"),
            ("{}", "a[x]=1", "a number or a quoted name"),
            ("{}", "a[1=1", "not closed"),
            ("{}", "$=1", "names nothing"),
            (r#"{"a":7}"#, "a.b=1", "only an object has names"),
            (r#"{"a":[1]}"#, "a[3]=1", "is not there"),
        ] {
            let error = amended(record, assignment).unwrap_err();
            assert!(error.contains(words), "{assignment}: {error}");
        }
        assert!(amended("{}", &format!("{}x=1", "a.".repeat(200))).unwrap_err().contains("too deep"));
    }
}
