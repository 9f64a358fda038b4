//! `merge`: members of the record from an answer. A table of the tree is merged into the object that stands in its
//! place; every other value takes the place whole. What is optional and absent leaves the record as it is.

use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind, RawMembers, write_string};
use crate::value::record::Record;
use crate::value::tree::{Tree, Written};

/// Largest record a merge may make.
const MOST: usize = 16 << 20;

/// Sets what the tree names on the record. `$` in it is the answer; `ctx` offers everything else.
pub fn merge(record: &Record, answer: JsonRef<'_>, tree: &Tree, ctx: &Context<'_>) -> Result<Record, EvalError> {
    let base = record.json().as_ref();
    if base.kind() != Kind::Object {
        let message = format!("merge: members can be set on an object only, and the record is {}", base.kind().name());
        return Err(EvalError::Type(message));
    }
    let ctx = ctx.with(Root::Item, Slot::Json(answer));
    let mut out = Vec::with_capacity(base.text().len() + 64);
    // A table of constants is kept as one constant.
    match tree {
        Tree::Object(fields) => object(base, fields, &ctx, &mut out).map_err(|error| error.at("merge"))?,
        Tree::Constant(json) => constant(base, json.as_ref(), &mut out),
        _ => return Err(EvalError::Type("merge: the tree is no table".to_owned())),
    }
    if out.len() > MOST {
        return Err(EvalError::Limit(format!("merge: the record would be larger than {} MiB", MOST >> 20)));
    }
    Ok(Record::new(Json::trusted(out)))
}

fn object(base: JsonRef<'_>, fields: &[(String, Tree)], ctx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut set: Vec<(&str, Option<Vec<u8>>)> = Vec::with_capacity(fields.len());
    for (name, tree) in fields {
        let before = base.get(name).filter(|value| value.kind() == Kind::Object);
        let mut value = Vec::new();
        let written = match (tree, before) {
            (Tree::Object(inner), before) => {
                let before = before.unwrap_or_else(|| JsonRef::trusted("{}"));
                object(before, inner, ctx, &mut value).map(|()| Written::Value)
            }
            (Tree::Constant(json), Some(before)) if json.as_ref().kind() == Kind::Object => {
                constant(before, json.as_ref(), &mut value);
                Ok(Written::Value)
            }
            (tree, _) => tree.write(ctx, &mut value),
        };
        let written = written.map_err(|error| error.at(name))?;
        set.push((name, (written == Written::Value).then_some(value)));
    }
    write(base, &set, out);
    Ok(())
}

fn constant(base: JsonRef<'_>, over: JsonRef<'_>, out: &mut Vec<u8>) {
    let members: Vec<_> = over.members().collect();
    let set: Vec<(&str, Option<Vec<u8>>)> = members
        .iter()
        .map(|(name, value)| {
            let mut written = Vec::new();
            match base.get(name).filter(|before| before.kind() == Kind::Object && value.kind() == Kind::Object) {
                Some(before) => constant(before, *value, &mut written),
                None => written.extend_from_slice(value.text().as_bytes()),
            }
            (name.as_ref(), Some(written))
        })
        .collect();
    write(base, &set, out);
}

/// The members of the base that are not set, in their order, then the set ones.
fn write(base: JsonRef<'_>, set: &[(&str, Option<Vec<u8>>)], out: &mut Vec<u8>) {
    out.push(b'{');
    let first = out.len();
    for member in RawMembers::of(base.text()) {
        if set.iter().any(|(name, value)| value.is_some() && member.is(name)) {
            continue;
        }
        if out.len() > first {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(member.raw_key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(member.value.text().as_bytes());
    }
    for (name, value) in set {
        let Some(value) = value else { continue };
        if out.len() > first {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tree::Pick;

    fn tree(fields: &[(&str, &str)]) -> Tree {
        Tree::Object(fields.iter().map(|(name, leaf)| ((*name).to_owned(), Tree::leaf(leaf).unwrap())).collect())
    }

    fn merged(record: &str, answer: &str, tree: &Tree) -> Result<String, EvalError> {
        let record = Record::new(Json::parse(record).unwrap());
        let answer = Json::parse(answer).unwrap();
        let ctx = Context::new();
        let ctx = ctx.with(Root::Record, Slot::Record(&record));
        merge(&record, answer.as_ref(), tree, &ctx).map(|record| record.json().text().to_owned())
    }

    #[test]
    fn members_are_set_from_the_answer_and_the_rest_stays_byte_for_byte() {
        let tree = tree(&[("cid", "$.data[0].id"), ("n", "= record.n + 1")]);
        let record = r#"{"a": 1.50, "n":1, "b\u0041":"\ud800", "n":2}"#;
        let got = merged(record, r#"{"data":[{"id":9007199254740993}]}"#, &tree);
        assert_eq!(got.unwrap(), r#"{"a":1.50,"b\u0041":"\ud800","cid":9007199254740993,"n":3}"#);
    }

    #[test]
    fn tables_merge_deep_and_picked_objects_take_the_place_whole() {
        let deep = Tree::Object(vec![
            ("address".into(), tree(&[("city", "$.city")])),
            ("whole".into(), Tree::leaf("$.o").unwrap()),
            ("new".into(), tree(&[("x", "$.city")])),
        ]);
        let got = merged(r#"{"address":{"city":"A","zip":1},"whole":{"x":1}}"#, r#"{"city":"B","o":{"y":2}}"#, &deep);
        assert_eq!(got.unwrap(), r#"{"address":{"zip":1,"city":"B"},"whole":{"y":2},"new":{"x":"B"}}"#);
        let constant = Tree::Constant(Json::parse(r#"{"a":{"b":1}}"#).unwrap());
        assert_eq!(merged(r#"{"a":{"c":2}}"#, "{}", &constant).unwrap(), r#"{"a":{"c":2,"b":1}}"#);
    }

    #[test]
    fn what_is_missing_is_an_error_that_names_it_and_what_is_optional_changes_nothing() {
        let error = merged(r#"{"id":1}"#, r#"{"data":[]}"#, &tree(&[("cid", "$.data[0].id")])).unwrap_err();
        assert!(error.is_missing());
        assert_eq!(error.to_string(), "merge: cid: `$.data[0].id` is missing");
        let pick = Pick {
            pick: Tree::leaf("$.data[0].id").unwrap(),
            default: None,
            optional: true,
            table: None,
            convert: None,
            date: None,
            when: None,
        };
        let optional = Tree::Object(vec![("id".into(), Tree::Pick(Box::new(pick)))]);
        assert_eq!(merged(r#"{"id":1}"#, r#"{"data":[]}"#, &optional).unwrap(), r#"{"id":1}"#);
    }

    #[test]
    fn a_record_that_is_no_object_takes_no_members() {
        assert!(matches!(merged("[1]", "{}", &tree(&[("a", "= 1")])), Err(EvalError::Type(_))));
    }
}
