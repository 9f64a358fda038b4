//! Bad input over every kind of leaf: what is written is right, or the error says which field of the record it was, and
//! shows nothing of what stands in it.

use super::date::{Date, Form};
use super::*;
use crate::value::context::Purse;
use crate::value::context::{Root, Slot, TABLES};
use crate::value::record::Record;

/// What may stand in a field; none where it is missing.
const VALUES: &[Option<&str>] = &[
    None,
    Some("null"),
    Some("\"\""),
    Some("0"),
    Some("-0"),
    Some("true"),
    Some("[1,\"x\"]"),
    Some("{\"a\":1}"),
    Some("\"../../etc/passwd\""),
    Some("\"{{record.other}}\""),
    Some("\"say \\\"hi\\\"\""),
    Some("\"a\\r\\nX-Evil: 1\""),
    Some("\"\\ud800\""),
    Some("\"\\u0000\""),
    Some("9007199254740993"),
    Some("1e400"),
    Some("12.50"),
];

fn leaves() -> Vec<(&'static str, Tree)> {
    let pick = |pick: &str| Pick {
        pick: Tree::leaf(pick).unwrap(),
        default: None,
        optional: false,
        table: None,
        convert: None,
        date: None,
        when: None,
    };
    let read = Reference { root: TABLES.to_owned(), members: vec!["t".to_owned()], at: 0..1, tolerant: false };
    let table = Some(LookUp { table: Table::new([("0".to_owned(), Json::trusted("\"none\""))], None), read });
    let utc = chrono_tz::Tz::UTC;
    let date = Some(Date { parse: None, zone_in: utc, format: Form::Rfc3339, zone: utc });
    vec![
        ("path", Tree::leaf("$.field").unwrap()),
        ("expression", Tree::leaf("= record.field").unwrap()),
        ("filter", Tree::leaf("= record.field | upper").unwrap()),
        ("arithmetic", Tree::leaf("= record.field + 1").unwrap()),
        ("template", Tree::leaf("{{record.field}}").unwrap()),
        ("helper", Tree::leaf("{{uppercase record.field}}").unwrap()),
        ("integer", Tree::Pick(Box::new(Pick { convert: Some(Convert::Integer), ..pick("$.field") }))),
        ("json", Tree::Pick(Box::new(Pick { convert: Some(Convert::Json), ..pick("$.field") }))),
        ("table", Tree::Pick(Box::new(Pick { table, ..pick("$.field") }))),
        ("date", Tree::Pick(Box::new(Pick { date, ..pick("$.field") }))),
        (
            "each",
            Tree::Each(Box::new(Each {
                path: Path::compile("$.field").unwrap(),
                body: Tree::leaf("= item.deep").unwrap(),
            })),
        ),
    ]
}

#[test]
fn each_leaf_writes_what_is_there_or_names_the_field() {
    let (mut written, mut refused) = (0, 0);
    for value in VALUES {
        let field = value.map(|value| format!("\"field\":{value},")).unwrap_or_default();
        let record = Record::new(Json::parse(format!("{{{field}\"other\":\"s3cr3t\"}}")).unwrap());
        let ctx = Context::new().with(Root::Record, Slot::Record(&record));
        for (kind, leaf) in leaves() {
            let tree = Tree::Object(vec![("out".to_owned(), leaf)]);
            let case = format!("{kind} of {value:?}");
            match tree.json(&ctx) {
                Ok(Some(json)) => {
                    let out = json.as_ref().get("out").unwrap_or_else(|| panic!("{case}"));
                    assert!(Json::check(json.text()).is_ok() && !json.text().contains("s3cr3t"), "{case}");
                    if matches!(kind, "path" | "expression") {
                        assert_eq!(Some(out.text()), *value, "{case}");
                    }
                    if let ("template", Some(text)) = (kind, value.filter(|value| value.starts_with('"'))) {
                        assert_eq!(out.as_str(), JsonRef::trusted(text).as_str(), "{case}");
                    }
                    written += 1;
                }
                Ok(None) => panic!("{case}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.starts_with("out"), "{case}: {text}");
                    for data in ["passwd", "Evil", "s3cr3t", "hi\\", "9007199254740993"] {
                        assert!(!text.contains(data), "{case}: {text}");
                    }
                    refused += 1;
                }
            }
        }
    }
    assert!(written > 70 && refused > 50, "{written} {refused}");
}

/// What grows, nests or repeats without end is an error of its record, soon.
#[test]
fn bombs_are_errors() {
    let wide = format!("{{\"l\":[{}1],\"s\":\"{}\"}}", "1,".repeat(50_000), "a".repeat(100_000));
    let record = Record::new(Json::parse(wide).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let each = |path: &str, body| Tree::Each(Box::new(Each { path: Path::compile(path).unwrap(), body }));
    for tree in [
        Tree::leaf("{{#each record.l}}{{#each @root.record.l}}x{{/each}}{{/each}}").unwrap(),
        Tree::leaf("= record.s | replace('a', record.s)").unwrap(),
        Tree::leaf("= record.l | map('string') | join(record.s)").unwrap(),
        Tree::leaf("= record.l | batch(1) | map('batch', 1) | map('length') | sum").unwrap(),
        each("$.l", Tree::leaf("{{record.s}}").unwrap()),
    ] {
        assert!(matches!(tree.json(&ctx), Err(EvalError::Limit(_))));
    }
}

/// Each leaf is small, and there are as many of them as the record has items.
#[test]
fn many_small_leaves_have_one_bound_together() {
    let wide = Record::new(Json::parse(format!("{{\"l\":[{}1]}}", "1,".repeat(200))).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&wide));
    let each =
        |leaf| Tree::Each(Box::new(Each { path: Path::compile("$.l").unwrap(), body: Tree::leaf(leaf).unwrap() }));
    for leaf in ["= record.l | sum", "{{#each record.l}}{{/each}}"] {
        assert!(each(leaf).json(&ctx).is_ok(), "{leaf}");
        let purse = Purse::of(20_000);
        let error = each(leaf).json(&ctx.with_purse(&purse)).unwrap_err();
        assert!(matches!(error, EvalError::Limit(_)) && error.to_string().contains("together"), "{leaf}: {error}");
    }
    let plenty = Purse::of(20_000);
    assert!(each("= item").json(&ctx.with_purse(&plenty)).is_ok());
}
