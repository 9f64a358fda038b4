//! Tests of `path`: examples, properties and an independent judge where there is one.

use super::*;
use crate::value::json::Json;
use jsonpath_rust::JsonPath;
use proptest::prelude::*;

fn path(text: &str) -> Path {
    Path::compile(text).unwrap_or_else(|issues| panic!("{text}: {issues:?}"))
}

fn issue(text: &str) -> Issue {
    Path::compile(text).expect_err(text).remove(0)
}

/// `Missing`, one value as text, or `[a, b]` as a list of texts.
fn select(text: &str, json: &str) -> Result<Vec<String>, &'static str> {
    let json = Json::parse(json).unwrap();
    let path = path(text);
    let record = Record::new(json.clone());
    let found = path.select(json.as_ref()).unwrap();
    assert_eq!(path.select_record(&record).unwrap(), found, "{text}");
    match found {
        Selection::Missing => Err("missing"),
        Selection::One(value) => Ok(vec![value.text().to_owned()]),
        Selection::Many(values) => Ok(values.iter().map(|value| value.text().to_owned()).collect()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside errors in comparisons")]
fn found(texts: &[&str]) -> Result<Vec<String>, &'static str> {
    Ok(texts.iter().map(ToString::to_string).collect())
}

const DOC: &str = r#"{"a":{"b":[{"id":1, "t":"x"},{"id":2,"t":"y"},{"t":"x"}]},"a.b":{"c":"dotted"},"n":null,"e":[],
    "$ref":7,"0":"zero","first name":"Ada","x-y":1.50,"quote\"d":1}"#;

#[test]
fn singular_paths_give_their_value_as_written() {
    let cases = [
        ("a.b[0].id", "1"),
        ("$.a.b[0].id", "1"),
        ("$['a']['b'][0]['id']", "1"),
        ("$.a.b[-1]", r#"{"t":"x"}"#),
        ("a.b[-3].id", "1"),
        ("[\"a.b\"].c", "\"dotted\""),
        ("['a.b'].c", "\"dotted\""),
        ("[\"quote\\\"d\"]", "1"),
        ("n", "null"),
        ("$ref", "7"),
        ("0", "\"zero\""),
        ("first name", "\"Ada\""),
        ("x-y", "1.50"),
        ("$['x-y']", "1.50"),
        ("e", "[]"),
    ];
    for (text, expected) in cases {
        assert!(path(text).is_singular(), "{text}");
        assert_eq!(select(text, DOC), found(&[expected]), "{text}");
    }
    assert_eq!(select("$", "[1, 2]"), found(&["[1, 2]"]));
    assert_eq!(select("[1]", "[1, 2]"), found(&["2"]));
}

#[test]
fn missing_means_that_the_longest_singular_prefix_is_absent() {
    for text in
        ["z", "a.z", "a.b[3]", "a.b[-4]", "a.b.id", "n.x", "$.z[*]", "$.a.z[?@.id == 1]", "$.z..id", "e[0]", "$.a[0]"]
    {
        assert_eq!(select(text, DOC), Err("missing"), "{text}");
    }
    for text in ["$.e[*]", "$.n[*]", "$.a.b[?@.id == 9]", "$.n..id", "$.a.b[7:9]", "$.a.b[*].z"] {
        assert_eq!(select(text, DOC), found(&[]), "{text}");
    }
}

#[test]
fn other_paths_give_lists() {
    let cases: &[(&str, &[&str])] = &[
        ("$.a.b[*].id", &["1", "2"]),
        ("$.a.*[0].id", &["1"]),
        ("$.a.b[?@.t == 'x'].id", &["1"]),
        ("$.a.b[?@.id >= 2].t", &["\"y\""]),
        ("$.a.b[?!@.id]", &[r#"{"t":"x"}"#]),
        ("$.a.b[0:2].id", &["1", "2"]),
        ("$.a.b[0,2].t", &["\"x\"", "\"x\""]),
        ("$..id", &["1", "2"]),
        ("$.a.b[?@.id == $.a.b[1].id].t", &["\"y\""]),
        ("$.a.b[?length(@.t) == 1 && @.id == 1].t", &["\"x\""]),
        ("$.a.b[?count(@.*) == 1].t", &["\"x\""]),
        ("$.a['b'][?@ == $.a.b[2]]", &[r#"{"t":"x"}"#]),
    ];
    for (text, expected) in cases {
        assert!(!path(text).is_singular(), "{text}");
        assert_eq!(select(text, DOC), found(expected), "{text}");
    }
}

#[test]
fn results_of_the_engine_are_slices_of_the_original_text() {
    let json = Json::parse(r#"{"items":[{"n":1.0, "s":"\u0041"}]}"#).unwrap();
    let Selection::Many(values) = path("$.items[?@.s == 'A']").select(json.as_ref()).unwrap() else { panic!() };
    assert_eq!(values[0].text(), r#"{"n":1.0, "s":"\u0041"}"#);
    assert!(json.text().as_bytes().as_ptr_range().contains(&values[0].text().as_ptr()));
}

#[test]
fn a_selection_spreads_into_items() {
    let json = Json::parse(r#"{"list":[1,2],"one":{"a":1},"none":null,"rows":[[1],[2]]}"#).unwrap();
    let spread = |text: &str| {
        let items = path(text).select(json.as_ref()).unwrap().spread();
        items.iter().map(|item| item.text().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(spread("list"), "1 2");
    assert_eq!(spread("$.list[*]"), "1 2");
    assert_eq!(spread("one"), r#"{"a":1}"#);
    assert_eq!(spread("none"), "");
    assert_eq!(spread("absent"), "");
    assert_eq!(spread("$.rows[*]"), "[1] [2]");
    assert_eq!(spread("$.rows[0:1]"), "[1]");
}

#[test]
fn a_dotted_path_with_json_path_syntax_says_how_to_write_it() {
    for (text, at, what) in [
        ("data.items[*]", 11..12, "*"),
        ("data.*", 5..6, "*"),
        ("data..id", 4..6, ".."),
        ("items[?@.a]", 6..7, "?"),
        ("items[0:2]", 7..8, ":"),
        ("items[0,1]", 7..8, ","),
    ] {
        let issue = issue(text);
        assert_eq!(issue.at, at, "{text}");
        assert!(issue.message.contains(&format!("`{what}`")), "{issue:?}");
        assert!(issue.help.unwrap().contains(&format!("begin with `$.` to write JSONPath: `$.{text}`")));
    }
}

#[test]
fn malformed_paths_are_placed() {
    for (text, at) in [
        ("", 0..0),
        (".a", 0..1),
        ("a.", 1..2),
        ("a[", 1..2),
        ("a[]", 2..2),
        ("a[x]", 2..3),
        ("a[\"b]", 2..5),
        ("a[\"b\"c", 5..6),
        ("a[0]b", 4..5),
        ("a.[0]", 1..2),
        ("a[99999999999999999999]", 2..22),
        (" a", 0..2),
        ("$.", 2..2),
        ("$.a[", 4..4),
        ("$.first-name", 7..8),
        ("$.a[?@.b = 1]", 9..10),
        ("$.é[", 5..5),
        ("/a/b", 0..4),
        ("a(b", 1..2),
        ("$.a[?match(@.b, 'x.*')]", 5..10),
        ("$..a..b", 4..6),
    ] {
        assert_eq!(issue(text).at, at, "{text}: {:?}", issue(text));
    }
    assert!(issue("/a/b").message.contains("XPath"));
    assert!(issue("$.first-name").help.unwrap().contains("brackets"));
}

#[test]
fn bombs_are_refused_at_load() {
    assert!(issue(&"a.".repeat(600)).message.contains("1024"));
    assert!(issue("$..*..*").message.contains("`..`"));
    assert!(issue("$.a[?@..b == 1]..c").message.len() > 1);
    assert!(issue("$.a[?$..b]..c").message.contains("`..`"));
    for function in ["match(@.a, 'b')", "search(@.a, 'b')", "in(@.a, $.b)"] {
        assert!(issue(&format!("$.a[?@.x == 1 || {function}]")).message.contains("not supported"), "{function}");
    }
    assert!(issue(&format!("$[{}]", ["*"; 33].join(","))).message.contains("32 parts"));
    for text in [format!("$[?{}@.a{}]", "(".repeat(400), ")".repeat(400)), "$".to_owned() + &"[?@".repeat(300)] {
        assert!(Path::compile(&text).is_err());
    }
    assert!(Path::compile(&format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100))).is_ok());
}

#[test]
fn a_query_that_visits_too_much_ends_with_a_limit() {
    let numbers = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let json = Json::parse(format!("[{}]", numbers(3000))).unwrap();
    let error = path("$[?count($[*]) == 1]").select(json.as_ref()).unwrap_err();
    assert!(matches!(error, EvalError::Limit(_)), "{error}");
}

#[test]
fn unions_of_unions_end_with_a_limit() {
    let numbers = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let unions = format!("${0}{0}", format!("[{}]", ["*"; 16].join(",")));
    let nested = Json::parse(format!("[[{}]]", numbers(5000))).unwrap();
    assert!(matches!(path(&unions).select(nested.as_ref()), Err(EvalError::Limit(_))));
}

#[test]
fn a_linear_query_over_a_large_page_is_within_the_budget() {
    let rows: Vec<String> = (0..40_000).map(|i| format!(r#"{{"id":{i},"s":"open","n":[1,2,3]}}"#)).collect();
    let json = Json::parse(format!(r#"{{"rows":[{}]}}"#, rows.join(","))).unwrap();
    let Selection::Many(found) = path("$.rows[?@.s == 'open' && @.id < 10]").select(json.as_ref()).unwrap() else {
        panic!()
    };
    assert_eq!(found.len(), 10);
}

#[test]
fn a_deep_document_does_not_overflow() {
    let json = Json::parse(format!("{}1{}", "[".repeat(128), "]".repeat(128))).unwrap();
    let Selection::Many(found) = path("$..*").select(json.as_ref()).unwrap() else { panic!() };
    assert_eq!(found.len(), 128);
}

#[test]
fn only_names_are_plain_members() {
    assert_eq!(path("a.b").plain_members(), Some(vec!["a", "b"]));
    assert_eq!(path("$.a['x.y']").plain_members(), Some(vec!["a", "x.y"]));
    assert_eq!(path("$").plain_members(), Some(vec![]));
    for text in ["a[0]", "$.a[*]", "$..a", "$[?@.a]"] {
        assert_eq!(path(text).plain_members(), None, "{text}");
    }
}

#[test]
fn the_current_value_is_the_item_else_the_record_else_a_part_of_a_map() {
    use crate::value::context::Root;
    let (record, item) = (Record::new(Json::parse(r#"{"a":1}"#).unwrap()), Json::parse(r#"{"a":2}"#).unwrap());
    let ctx = Context::new();
    assert!(path("$.a").select_current(&ctx).unwrap_err().is_missing());
    let ctx = ctx.with(Root::Record, Slot::Record(&record));
    assert_eq!(path("$.a").select_current(&ctx).unwrap().first().unwrap().text(), "1");
    let ctx = ctx.with(Root::Item, Slot::Json(item.as_ref()));
    assert_eq!(path("$.a").select_current(&ctx).unwrap().first().unwrap().text(), "2");
    let parts = [("data", Slot::Json(item.as_ref())), ("status", Slot::Number(200))];
    let ctx = ctx.with(Root::Item, Slot::Map(&parts));
    assert_eq!(path("$.data.a").select_current(&ctx).unwrap().first().unwrap().text(), "2");
    assert_eq!(path("$.none.a").select_current(&ctx).unwrap(), Selection::Missing);
    assert!(matches!(path("$.status").select_current(&ctx), Err(EvalError::Type(_))));
    assert!(matches!(path("$").select_current(&ctx), Err(EvalError::Type(_))));
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-3..4_i64).prop_map(Into::into),
        "[a-c]{0,2}".prop_map(Into::into)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map("[a-d]", inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        3 => "[a-d]".prop_map(|name| format!(".{name}")),
        2 => (-3..3_i64).prop_map(|index| format!("[{index}]")),
        2 => Just("[*]".to_owned()),
        1 => Just(".*".to_owned()),
        1 => "[a-d]".prop_map(|name| format!("['{name}']")),
    ];
    let other = prop_oneof![
        (-2..3_i64, -2..3_i64).prop_map(|(a, b)| format!("[{a}:{b}]")),
        Just("[0,'a']".to_owned()),
        "[a-d]".prop_map(|name| format!("[?@.{name}]")),
        "[a-d]".prop_map(|name| format!("[?@.{name} == 1]")),
        "[a-d]".prop_map(|name| format!("[?@ == $.{name}]")),
        Just("[?@ > 0]".to_owned()),
        Just("[?@ == 'a']".to_owned()),
    ];
    let segment = prop_oneof![4 => plain, 1 => other];
    (prop::collection::vec(segment, 0..5), any::<prop::sample::Index>(), prop::bool::weighted(0.2)).prop_map(
        |(mut segments, at, deep)| {
            if deep {
                segments.insert(at.index(segments.len() + 1), "..a".to_owned());
            }
            format!("${}", segments.concat())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_walk_and_the_raw_text_agree_with_the_engine_on_decoded_values(doc in document(), query in query()) {
        let json = Json::from_value(&doc);
        let theirs: Vec<serde_json::Value> = doc.query(&query).unwrap().into_iter().cloned().collect();
        let mine: Vec<serde_json::Value> = match path(&query).select(json.as_ref()).unwrap() {
            Selection::Missing => vec![],
            Selection::One(value) => vec![value.to_value()],
            Selection::Many(values) => values.into_iter().map(JsonRef::to_value).collect(),
        };
        prop_assert_eq!(mine, theirs, "{} over {}", query, doc);
    }

    #[test]
    fn no_text_makes_compiling_panic(text in "[$.\\[\\]a-c0-9'\"*?@:,()=! é-]{0,24}") {
        if let Err(issues) = Path::compile(&text) {
            for issue in issues {
                prop_assert!(text.get(issue.at.clone()).is_some(), "{:?} {:?}", text, issue);
            }
        }
    }
}
