//! Truth tables of every change, and a model over decoded values that they must agree with byte for byte.

use super::*;
use crate::value::issue::Issue;
use proptest::prelude::*;
use serde_json::Value as Plain;

fn routes(texts: &[&str]) -> Vec<Route> {
    texts.iter().map(|text| Route::compile(text).unwrap()).collect()
}

fn renames(lines: &[(&str, &str)]) -> Vec<Rename> {
    lines.iter().map(|(old, new)| Rename::compile(old, new).unwrap()).collect()
}

fn sets(lines: &[(&[&str], &str)]) -> Vec<(Vec<String>, Tree)> {
    let place = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    lines.iter().map(|(names, leaf)| (place(names), Tree::leaf(leaf).unwrap())).collect()
}

fn apply(modify: &Modify, record: &str) -> Result<String, EvalError> {
    let record = Record::new(Json::parse(record).unwrap());
    modify.apply(&record, &Context::new()).map(|json| json.text().to_owned())
}

#[test]
fn what_is_not_named_keeps_every_byte() {
    let text = r#"{"id":1.50,"big":9007199254740993,"e":1E+2,"\u0061b" :"\u00e9\ud800","n":null,"l":[ 1, {"x" : 2} ]}"#;
    let modify = Modify { drop: routes(&["absent", "also.absent[0]", "n"]), ..Modify::default() };
    let wanted = r#"{"id":1.50,"big":9007199254740993,"e":1E+2,"\u0061b":"\u00e9\ud800","l":[ 1, {"x" : 2} ]}"#;
    assert_eq!(apply(&modify, text).as_deref(), Ok(wanted));
}

#[test]
fn drop_takes_members_items_and_forms_of_names() {
    for (drop, record, wanted) in [
        (&["a"][..], r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (&["a"], r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2}"#),
        (&["links.*"], r#"{"links":{"self":1,"next":2},"id":3}"#, r#"{"links":{},"id":3}"#),
        (&["lines[*].note", "lines.*.x"], r#"{"lines":[{"note":1,"k":2},{"x":0},7]}"#, r#"{"lines":[{"k":2},{},7]}"#),
        (&["lines[-1]"], r#"{"lines":[1,2,3]}"#, r#"{"lines":[1,2]}"#),
        (&["_*"], r#"{"_id":1,"_rev":2,"id":3}"#, r#"{"id":3}"#),
        (&["[\"a.b\"]"], r#"{"a.b":1,"a":{"b":2}}"#, r#"{"a":{"b":2}}"#),
        (&["lines.note"], r#"{"lines":[{"note":1}]}"#, r#"{"lines":[{"note":1}]}"#),
        (&["*"], r#"{"a":1}"#, "{}"),
    ] {
        let modify = Modify { drop: routes(drop), ..Modify::default() };
        assert_eq!(apply(&modify, record).as_deref(), Ok(wanted), "{drop:?}");
    }
}

#[test]
fn rename_keeps_the_place_of_a_member_or_moves_it() {
    for (lines, record, wanted) in [
        (&[("_id", "id")][..], r#"{"x":1,"_id":2,"y":3}"#, r#"{"x":1,"id":2,"y":3}"#),
        (&[("a", "b"), ("b", "a")], r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#),
        (&[("a", "b")], r#"{"c":1}"#, r#"{"c":1}"#),
        (&[("c.id", "c.key")], r#"{"c":{"id":1,"k":2}}"#, r#"{"c":{"key":1,"k":2}}"#),
        (&[("c.id", "customer_id")], r#"{"c":{"id":1,"k":2}}"#, r#"{"c":{"k":2},"customer_id":1}"#),
        (&[("id", "ids.ours")], r#"{"id":1}"#, r#"{"ids":{"ours":1}}"#),
        (&[("c", "client"), ("c.id", "c.key")], r#"{"c":{"id":1}}"#, r#"{"client":{"key":1}}"#),
        (&[("a", "a.b")], r#"{"a":1}"#, r#"{"a":{"b":1}}"#),
        (
            &[("l[*].sku", "l[*].code")],
            r#"{"l":[{"sku":1},{"sku":2,"n":3},4]}"#,
            r#"{"l":[{"code":1},{"code":2,"n":3},4]}"#,
        ),
        (&[("\u{e9}", "e")], r#"{"\u00e9":1}"#, r#"{"e":1}"#),
    ] {
        let modify = Modify { rename: renames(lines), ..Modify::default() };
        assert_eq!(apply(&modify, record).as_deref(), Ok(wanted), "{lines:?}");
    }
}

#[test]
fn a_name_that_is_taken_is_an_error_of_the_record() {
    let cases: &[(Modify, &str, &str)] = &[
        (
            Modify { rename: renames(&[("_id", "id")]), ..Modify::default() },
            r#"{"_id":1,"id":2}"#,
            "rename: `_id` cannot become `id`: the record has that too; drop or rename it in a step before",
        ),
        (
            Modify { rename: renames(&[("c.id", "id")]), ..Modify::default() },
            r#"{"c":{"id":1},"id":2}"#,
            "rename: `c.id` cannot become `id`: the record has that too; drop or rename it in a step before",
        ),
        (
            Modify { case: Some(Case::Snake), ..Modify::default() },
            r#"{"userId":1,"l":[{"aB":1,"a_b":2}]}"#,
            "rename_case: `aB` and `a_b` would both be named `a_b`",
        ),
        (
            Modify { flatten: Some("_".to_owned()), ..Modify::default() },
            r#"{"a":{"b":1},"a_b":2}"#,
            "flatten: two members would be named `a_b`",
        ),
        (
            Modify { lift: routes(&["attributes"]), ..Modify::default() },
            r#"{"id":1,"attributes":{"id":2}}"#,
            "two members would be named `id`",
        ),
        (Modify { lift: routes(&["a.b"]), ..Modify::default() }, r#"{"a":{}}"#, "lift: `a.b` is missing"),
        (
            Modify { lift: routes(&["a"]), ..Modify::default() },
            r#"{"a":[1]}"#,
            "lift: `a` is a list; the members of objects are lifted",
        ),
        (Modify::default(), "[1]", "`modify` changes an object; this record is a list"),
        (
            Modify { set: sets(&[(&["a", "b"], "= record.x")]), ..Modify::default() },
            "{}",
            "set.a.b: `record.x` is missing",
        ),
    ];
    for (modify, record, wanted) in cases {
        let error = apply(modify, record).unwrap_err().to_string();
        assert!(error.ends_with(wanted), "{error}");
    }
}

#[test]
fn lift_moves_members_to_where_their_object_stood() {
    for (lift, record, wanted) in [
        (&["attributes"][..], r#"{"id":1,"attributes":{"a":2,"b":3},"z":4}"#, r#"{"id":1,"a":2,"b":3,"z":4}"#),
        (&["a.b"], r#"{"a":{"b":{"c":1},"d":2}}"#, r#"{"a":{"d":2},"c":1}"#),
        (&["a", "b"], r#"{"a":{"x":1},"b":{"y":2}}"#, r#"{"x":1,"y":2}"#),
        (&["a"], r#"{"a":{"a":1}}"#, r#"{"a":1}"#),
        (&["a"], r#"{"a":null,"b":1}"#, r#"{"b":1}"#),
    ] {
        let modify = Modify { lift: routes(lift), ..Modify::default() };
        assert_eq!(apply(&modify, record).as_deref(), Ok(wanted), "{lift:?}");
    }
    let record = Record::new(Json::parse("{\"x\":1}").unwrap());
    let modify = Modify { lift: routes(&["a"]), ..Modify::default() };
    let json = modify.apply(&record, &Context::new().with_missing_as_empty(true)).unwrap();
    assert_eq!(json.text(), "{\"x\":1}");
}

#[test]
fn flatten_joins_names_and_leaves_lists() {
    let record = r#"{"id":1,"a":{"b":{"c":2.0},"e":{}},"l":[{"x":{"y":1}}]}"#;
    for (between, wanted) in [
        ("_", r#"{"id":1,"a_b_c":2.0,"a_e":{},"l":[{"x":{"y":1}}]}"#),
        (".", r#"{"id":1,"a.b.c":2.0,"a.e":{},"l":[{"x":{"y":1}}]}"#),
    ] {
        let modify = Modify { flatten: Some(between.to_owned()), ..Modify::default() };
        assert_eq!(apply(&modify, record).as_deref(), Ok(wanted));
    }
}

#[test]
fn names_are_spelled_as_people_expect() {
    for (name, snake, camel, pascal, kebab, upper) in [
        ("orderId", "order_id", "orderId", "OrderId", "order-id", "ORDER_ID"),
        ("Order ID", "order_id", "orderId", "OrderId", "order-id", "ORDER_ID"),
        ("HTTPServerURL", "http_server_url", "httpServerUrl", "HttpServerUrl", "http-server-url", "HTTP_SERVER_URL"),
        ("address2Line", "address2_line", "address2Line", "Address2Line", "address2-line", "ADDRESS2_LINE"),
        ("_id", "_id", "_id", "_Id", "_id", "_ID"),
        ("@odata.type", "@odata_type", "@odataType", "@OdataType", "@odata-type", "@ODATA_TYPE"),
        ("größeÄndern", "größe_ändern", "größeÄndern", "GrößeÄndern", "größe-ändern", "GRÖSSE_ÄNDERN"),
        ("---", "---", "---", "---", "---", "---"),
        ("", "", "", "", "", ""),
        ("SKU", "sku", "sku", "Sku", "sku", "SKU"),
        ("a__b", "a_b", "aB", "AB", "a-b", "A_B"),
    ] {
        let cases = [Case::Snake, Case::Camel, Case::Pascal, Case::Kebab, Case::UpperSnake];
        assert_eq!(cases.map(|case| case.of(name)), [snake, camel, pascal, kebab, upper], "{name}");
    }
    assert_eq!(
        (Case::Lower.of("Order_ID"), Case::Upper.of("order-id")),
        ("order_id".to_owned(), "ORDER-ID".to_owned())
    );
    let modify = Modify { case: Some(Case::Snake), ..Modify::default() };
    let record = r#"{"orderId":1,"lineItems":[{"unitPrice":1.50},[{"aB":null}]]}"#;
    let wanted = r#"{"order_id":1,"line_items":[{"unit_price":1.50},[{"a_b":null}]]}"#;
    assert_eq!(apply(&modify, record).as_deref(), Ok(wanted));
}

#[test]
fn set_replaces_members_and_makes_objects_on_the_way() {
    for (set, record, wanted) in [
        (&[(&["a"][..], "= 1 + 1")][..], r#"{"a":1,"b":2}"#, r#"{"a":2,"b":2}"#),
        (&[(&["c", "city"], "x")], r#"{"c":{"city":"y","zip":1}}"#, r#"{"c":{"city":"x","zip":1}}"#),
        (&[(&["c", "city"], "x")], r#"{"c":null}"#, r#"{"c":{"city":"x"}}"#),
        (&[(&["c", "d", "e"], "$.a")], r#"{"a":1.0}"#, r#"{"a":1.0,"c":{"d":{"e":1.0}}}"#),
        (&[(&["a"], "$.b"), (&["b"], "$.a")], r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
        (&[(&["a"], "{{record.a}}!")], r#"{"a":"x\"","a":"y\""}"#, r#"{"a":"y\"!"}"#),
    ] {
        let modify = Modify { set: sets(set), ..Modify::default() };
        assert_eq!(apply(&modify, record).as_deref(), Ok(wanted), "{set:?}");
    }
}

#[test]
fn the_order_is_fixed_and_set_reads_what_drop_takes() {
    let modify = Modify {
        lift: routes(&["data"]),
        flatten: Some("_".to_owned()),
        case: Some(Case::Snake),
        rename: renames(&[("unit_price", "price")]),
        drop: routes(&["qty", "price"]),
        set: sets(&[(&["total"], "= record.price * record.qty"), (&["qty"], "= 0")]),
    };
    let record = r#"{"data":{"unitPrice":2,"qty":3,"shipTo":{"zipCode":"1"}}}"#;
    assert_eq!(apply(&modify, record).as_deref(), Ok(r#"{"ship_to_zip_code":"1","total":6,"qty":0}"#));
}

#[test]
fn hostile_records_end_in_limits() {
    let name = "n".repeat(200_000);
    let nested = format!("{}1{}", format!("{{\"{name}\":").repeat(100), "}".repeat(100));
    let flatten = Modify { flatten: Some("_".to_owned()), ..Modify::default() };
    assert!(matches!(apply(&flatten, &nested), Err(EvalError::Limit(_))));
    let deep = format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128));
    assert!(apply(&flatten, &deep).is_ok());
    let modify = Modify { case: Some(Case::Pascal), ..Modify::default() };
    assert!(apply(&modify, &deep).is_ok());
    let modify = Modify { set: sets(&[(&["x", "y"], "$.a")]), ..Modify::default() };
    assert!(matches!(apply(&modify, &deep), Err(EvalError::Limit(_))));
    let wide: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":{{\"v\":{n}}}")).collect();
    assert!(apply(&flatten, &format!("{{{}}}", wide.join(","))).is_ok());
}

#[test]
fn lines_that_say_nothing_are_refused_at_load() {
    let message = |issues: Vec<Issue>| issues[0].message.clone();
    let left = |old: &str, new: &str| Rename::compile(old, new).unwrap_err().map(message).map_err(message);
    assert!(left("a.*", "b").is_ok_and(|text| text.contains("ends with its name")));
    assert!(left("l[*].a", "b").is_err_and(|text| text.contains("keep their places")));
    assert!(left("a", "b.*").is_err_and(|text| text.contains("no member")));
    let (one, other) = (Rename::compile("a", "c").unwrap(), Rename::compile("b", "c").unwrap());
    assert!(one.collides(&other) && !one.collides(&Rename::compile("x.a", "x.c").unwrap()));
}

// A model over decoded values. Scalars are strings that stand for raw JSON, so that digits count.

const SCALARS: &[&str] = &["1", "1.50", "-0", "9007199254740993", "1e400", "\"\\ud800\"", "\"a\\nb\"", "null", "true"];
const NAMES: &[&str] = &["a", "b", "aB", "a_b", "_c", "é", "x y"];

fn values() -> impl Strategy<Value = Plain> {
    let scalar = prop::sample::select(SCALARS).prop_map(Plain::from);
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Plain::from), objects_of(inner),]
    })
}

fn objects_of(inner: impl Strategy<Value = Plain> + 'static) -> impl Strategy<Value = Plain> {
    prop::collection::vec((prop::sample::select(NAMES), inner), 0..5)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Plain>())
}

fn text(value: &Plain) -> String {
    match value {
        Plain::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        Plain::Object(members) => {
            let member = |(name, value): (&String, &Plain)| format!("{}:{}", Plain::from(name.as_str()), text(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.as_str().unwrap().to_owned(),
    }
}

fn flat(value: &Plain) -> Option<Plain> {
    fn spread(prefix: &str, value: &Plain, out: &mut Vec<(String, Plain)>) {
        match value {
            Plain::Object(members) if !members.is_empty() => {
                members.iter().for_each(|(name, value)| spread(&format!("{prefix}_{name}"), value, out));
            }
            other => out.push((prefix.to_owned(), other.clone())),
        }
    }
    let mut out = Vec::new();
    value.as_object()?.iter().for_each(|(name, value)| spread(name, value, &mut out));
    let whole: Plain = out.iter().cloned().collect();
    (whole.as_object()?.len() == out.len()).then_some(whole)
}

fn cased(value: &Plain) -> Option<Plain> {
    Some(match value {
        Plain::Array(items) => Plain::Array(items.iter().map(cased).collect::<Option<_>>()?),
        Plain::Object(members) => {
            let renamed: Vec<_> = members
                .iter()
                .map(|(name, value)| Some((Case::Snake.of(name), cased(value)?)))
                .collect::<Option<_>>()?;
            let whole: Plain = renamed.iter().cloned().collect();
            (whole.as_object()?.len() == renamed.len()).then_some(whole)?
        }
        other => other.clone(),
    })
}

fn without(value: &mut Plain, names: &[&str]) {
    match (value, names) {
        (Plain::Object(members), [last]) => drop(members.shift_remove(*last)),
        (Plain::Object(members), [first, rest @ ..]) => {
            members.get_mut(*first).into_iter().for_each(|value| without(value, rest));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn changes_are_those_of_the_model_byte_for_byte(record in objects_of(values()), first in 0..NAMES.len(), second in 0..NAMES.len()) {
        let written = text(&record);
        let case = Modify { case: Some(Case::Snake), ..Modify::default() };
        prop_assert_eq!(apply(&case, &written).ok(), cased(&record).map(|value| text(&value)));
        let flatten = Modify { flatten: Some("_".to_owned()), ..Modify::default() };
        prop_assert_eq!(apply(&flatten, &written).ok(), flat(&record).map(|value| text(&value)));
        let names = [NAMES[first], NAMES[second]];
        let mut wanted = record.clone();
        without(&mut wanted, &names);
        let drop = Modify { drop: routes(&[&names.join(".")]), ..Modify::default() };
        prop_assert_eq!(apply(&drop, &written), Ok(text(&wanted)));
        let (there, back) = ([("a", "zz"), ("b", "a")], [("zz", "a"), ("a", "b")]);
        let (there, back) = (renames(&there), renames(&back));
        let once = apply(&Modify { rename: there, ..Modify::default() }, &written).unwrap();
        prop_assert_eq!(apply(&Modify { rename: back, ..Modify::default() }, &once), Ok(written));
    }
}
