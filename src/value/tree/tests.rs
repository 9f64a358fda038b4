//! Tests of `tree`: examples, properties and an independent judge where there is one.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::record::Record;
use proptest::prelude::*;
use serde_json::json;

const RECORD: &str = r#"{"id":7,"total":"12.50","name":"A\"b\u0041","n":null,"tags":["x", "y"],"empty":[],"flag":true,
    "one":{"sku":"s"},"lines":[{"sku":"a","qty":2,"parts":[{"p":1},{"p":2}]},{"sku":"b","parts":[]}],"price":1.10}"#;

fn record() -> Record {
    Record::new(Json::parse(RECORD).unwrap())
}

fn leaf(text: &str) -> Tree {
    Tree::leaf(text).unwrap_or_else(|issues| panic!("{text}: {issues:?}"))
}

fn object(fields: impl IntoIterator<Item = (&'static str, Tree)>) -> Tree {
    Tree::Object(fields.into_iter().map(|(name, tree)| (name.to_owned(), tree)).collect())
}

fn pick(text: &str) -> Pick {
    Pick { pick: leaf(text), default: None, optional: false, table: None, convert: None, date: None, when: None }
}

fn picked(pick: Pick) -> Tree {
    Tree::Pick(Box::new(pick))
}

fn each(path: &str, body: Tree) -> Tree {
    Tree::Each(Box::new(Each { path: Path::compile(path).unwrap(), body }))
}

fn written(tree: &Tree) -> Result<String, EvalError> {
    let record = record();
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let mut out = b"before".to_vec();
    let result = tree.write(&ctx, &mut out);
    let text = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
    match result {
        Ok(Written::Value) => {
            serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            Ok(text)
        }
        Ok(Written::Absent) => Ok(format!("absent{text}")),
        Err(error) => {
            assert_eq!(text, "", "nothing is left behind by an error");
            Err(error)
        }
    }
}

fn ok(tree: &Tree) -> String {
    written(tree).unwrap_or_else(|error| panic!("{error}"))
}

fn error(tree: &Tree) -> String {
    written(tree).expect_err("must fail").to_string()
}

#[test]
fn a_leaf_is_told_by_its_look() {
    assert!(matches!(leaf("= record.id"), Tree::Expression(_)));
    assert!(matches!(leaf("=1"), Tree::Expression(_)));
    assert!(matches!(leaf("$"), Tree::Path(_)));
    assert!(matches!(leaf("$.id"), Tree::Path(_)));
    assert!(matches!(leaf("$['id']"), Tree::Path(_)));
    for constant in ["", "shop", "$5", "$id", " = 1", " $.id", "a = b", "{x}", "€ $.id"] {
        assert_eq!(ok(&leaf(constant)), json!(constant).to_string(), "{constant}");
    }
}

#[test]
fn a_leaf_with_placeholders_is_a_template_unless_it_begins_as_another() {
    assert!(matches!(leaf("Order {{record.id}}"), Tree::Template(_)));
    assert!(matches!(leaf("= '{{' ~ record.id"), Tree::Expression(_)));
    assert!(matches!(leaf("$.a['{{']"), Tree::Path(_)));
    assert_eq!(
        ok(&leaf("Order {{record.id}} \"{{record.name}}\"")),
        r#""Order 7 \"A\"bA\"""#.replace("A\"bA", "A\\\"bA")
    );
}

#[test]
fn issues_of_an_expression_count_from_the_start_of_the_leaf() {
    let issues = Tree::leaf("=record.").unwrap_err();
    assert!(issues[0].at.start >= 1 && issues[0].at.end <= 8, "{issues:?}");
}

#[test]
fn paths_copy_values_byte_for_byte() {
    for (text, expected) in [
        ("$.id", "7"),
        ("$.price", "1.10"),
        ("$.name", r#""A\"b\u0041""#),
        ("$.n", "null"),
        ("$.tags", r#"["x", "y"]"#),
        ("$.lines[*].sku", r#"["a","b"]"#),
        ("$.lines[?@.qty == 2].sku", r#"["a"]"#),
        ("$.empty[*]", "[]"),
        ("$", RECORD),
    ] {
        assert_eq!(ok(&leaf(text)), expected, "{text}");
    }
}

#[test]
fn expressions_keep_their_type() {
    assert_eq!(ok(&leaf("= record.total | float")), "12.5");
    assert_eq!(ok(&leaf("= record.tags")), r#"["x", "y"]"#);
}

#[test]
fn objects_lists_and_constants_nest() {
    let tree = object([
        ("a\"b", leaf("$.id")),
        ("list", Tree::List(vec![leaf("imported"), leaf("$.flag"), Tree::Constant(Json::parse("[1]").unwrap())])),
        ("inner", object([("source", leaf("shop"))])),
        ("none", object([])),
        ("empty", Tree::List(vec![])),
    ]);
    let expected = r#"{"a\"b":7,"list":["imported",true,[1]],"inner":{"source":"shop"},"none":{},"empty":[]}"#;
    assert_eq!(ok(&tree), expected);
}

#[test]
fn a_missing_path_is_an_error_that_names_path_and_place() {
    let body = object([("qty", leaf("$.qty"))]);
    let tree = object([("a", Tree::List(vec![leaf("x"), each("$.lines[*]", object([("deep", body)]))]))]);
    let failure = written(&tree).unwrap_err();
    assert!(failure.is_missing());
    assert_eq!(failure.to_string(), "a[1][1].deep.qty: `$.qty` is missing");
    assert_eq!(error(&leaf("$.gone")), "`$.gone` is missing");
    assert!(written(&leaf("$.gone[*].x")).unwrap_err().is_missing());
}

#[test]
fn default_replaces_missing_and_null() {
    let with = |text: &str| picked(Pick { default: Some(leaf("$.id")), ..pick(text) });
    assert_eq!(ok(&with("$.gone")), "7");
    assert_eq!(ok(&with("$.n")), "7");
    assert_eq!(ok(&with("$.flag")), "true");
    assert_eq!(ok(&with("$.empty[*]")), "[]");
    assert_eq!(ok(&with("= record.gone")), "7");
    assert_eq!(ok(&with("= none")), "7");
    assert_eq!(ok(&picked(pick("$.n"))), "null");
}

#[test]
fn optional_leaves_the_field_or_the_item_out() {
    let gone = || picked(Pick { optional: true, ..pick("$.gone") });
    assert_eq!(ok(&object([("a", gone()), ("b", leaf("x")), ("c", gone()), ("d", leaf("y"))])), r#"{"b":"x","d":"y"}"#);
    assert_eq!(ok(&object([("a", gone())])), "{}");
    assert_eq!(ok(&Tree::List(vec![gone(), leaf("x"), gone(), leaf("y"), gone()])), r#"["x","y"]"#);
    assert_eq!(ok(&gone()), "absent");
    assert_eq!(ok(&object([("n", picked(Pick { optional: true, ..pick("$.n") }))])), r#"{"n":null}"#);
    let wrong = picked(Pick { optional: true, convert: Some(Convert::Integer), ..pick("$.total") });
    assert!(matches!(written(&wrong), Err(EvalError::Type(_))), "optional forgives only a missing value");
    let nested = picked(Pick { default: Some(leaf("d")), ..Pick { pick: gone(), ..pick("$") } });
    assert_eq!(ok(&nested), "\"d\"");
}

#[test]
fn when_decides_first() {
    let when = |condition: &str| picked(Pick { when: Some(Expression::compile(condition).unwrap()), ..pick("$.id") });
    assert_eq!(
        ok(&object([("a", when("record.flag")), ("b", when("record.n")), ("c", when("record.gone"))])),
        r#"{"a":7}"#
    );
    let never = picked(Pick { when: Some(Expression::compile("false").unwrap()), ..pick("$.gone") });
    assert_eq!(ok(&object([("a", never)])), "{}");
}

#[test]
fn conversions_are_strict() {
    use Convert::{Boolean, Integer, Json as AsJson, Number, String as Text};
    let cases: &[(&str, Convert, Result<&str, &str>)] = &[
        (r#""a\u0041""#, Text, Ok(r#""a\u0041""#)),
        ("1.10", Text, Ok("\"1.10\"")),
        ("true", Text, Ok("\"true\"")),
        ("null", Text, Err("null cannot be taken `as = \"string\"`; give a `default`")),
        ("[1]", Text, Err("a list cannot")),
        ("1.10", Number, Ok("1.10")),
        ("\"12.50\"", Number, Ok("12.50")),
        ("\"-0.5e3\"", Number, Ok("-0.5e3")),
        ("\"007\"", Number, Ok("7")),
        ("\"-00.5\"", Number, Ok("-0.5")),
        ("\"0\"", Number, Ok("0")),
        ("\"000\"", Number, Ok("0")),
        ("\"1,5\"", Number, Err("text that is no number")),
        ("\"\"", Number, Err("text that is no number")),
        ("\" 1\"", Number, Err("text that is no number")),
        ("\"NaN\"", Number, Err("text that is no number")),
        ("\"0x10\"", Number, Err("text that is no number")),
        ("\"-\"", Number, Err("text that is no number")),
        ("\"[1]\"", Number, Err("text that is no number")),
        ("true", Number, Err("a boolean cannot be taken `as = \"number\"`")),
        ("3", Integer, Ok("3")),
        ("3.00", Integer, Ok("3")),
        ("-0.0", Integer, Ok("0")),
        ("123456789012345678901234567890", Integer, Ok("123456789012345678901234567890")),
        ("1.5e1", Integer, Ok("15")),
        ("-0e1", Integer, Ok("0")),
        ("\"42\"", Integer, Ok("42")),
        ("2.5", Integer, Err("a number with a fraction")),
        ("1e300", Integer, Err("a number with a fraction")),
        ("\"2.5\"", Integer, Err("a number with a fraction")),
        ("{}", Integer, Err("an object cannot be taken `as = \"integer\"`")),
        ("false", Boolean, Ok("false")),
        ("\"true\"", Boolean, Ok("true")),
        ("\"yes\"", Boolean, Err("no boolean")),
        ("1", Boolean, Err("a number cannot be taken `as = \"boolean\"`")),
        (r#""{\"a\": [1]} ""#, AsJson, Ok(r#"{"a": [1]}"#)),
        ("\"{\"", AsJson, Err("this text is no json")),
        ("[1]", AsJson, Err("a list cannot be taken `as = \"json\"`")),
    ];
    for (value, to, expected) in cases {
        let value = Tree::Constant(Json::parse(*value).unwrap());
        let tree = object([("f", picked(Pick { pick: value.clone(), convert: Some(*to), ..pick("$") }))]);
        match expected {
            Ok(text) => assert_eq!(ok(&tree), format!("{{\"f\":{text}}}"), "{value:?} as {to:?}"),
            Err(text) => {
                let message = error(&tree);
                assert!(message.starts_with("f: ") && message.contains(text), "{message}");
            }
        }
    }
}

#[test]
fn a_default_is_converted_too() {
    let tree = picked(Pick { default: Some(leaf("5")), convert: Some(Convert::Integer), ..pick("$.gone") });
    assert_eq!(ok(&tree), "5");
    for convert in Convert::ALL {
        assert_eq!(Convert::by_name(convert.name()), Some(*convert));
    }
    assert_eq!(Convert::by_name("text"), None);
}

#[test]
fn a_table_gives_what_it_has_before_conversion_and_date() {
    use crate::value::context::TABLES;
    let look_up = |rows: &[(&str, &str)], default: Option<&str>| {
        let rows = rows.iter().map(|(key, value)| ((*key).to_owned(), Json::trusted(*value)));
        let read = Reference { root: TABLES.to_owned(), members: vec!["t".to_owned()], at: 0..1, tolerant: false };
        Some(LookUp { table: Table::new(rows, default.map(Json::trusted)), read })
    };
    let rows = [("7", "\"007\""), ("true", "1"), ("x", "\"y\""), ("d", "\"2025-03-01\""), ("12.50", "null")];
    for (tree, default, convert, wanted) in [
        ("$.id", None, Some(Convert::Integer), "7"),
        ("$.flag", None, None, "1"),
        ("$.total", None, None, "null"),
        ("$.name", Some("\"?\""), None, "\"?\""),
        ("$.n", Some("0"), None, "0"),
        ("$.price", Some("{\"a\":[]}"), None, "{\"a\":[]}"),
    ] {
        let found = Pick { table: look_up(&rows, default), convert, ..pick(tree) };
        assert_eq!(ok(&picked(found)), wanted, "{tree}");
    }
    // The default of the pick goes through the table too.
    let found = Pick { default: Some(leaf("x")), table: look_up(&rows, None), ..pick("$.gone") };
    assert_eq!(ok(&picked(found)), "\"y\"");
    let day = date::Date {
        parse: None,
        zone_in: chrono_tz::Tz::UTC,
        format: date::Form::compile("%d.%m.%y").unwrap(),
        zone: chrono_tz::Tz::UTC,
    };
    let found = Pick { table: look_up(&rows, None), date: Some(day.clone()), ..pick("d") };
    assert_eq!(ok(&picked(found.clone())), "\"01.03.25\"");
    let inner = object([("at", picked(Pick { date: Some(day), ..pick("$.flag") }))]);
    assert_eq!(error(&inner), "at: date: a boolean is no date");
    for (tree, wanted) in [
        ("$.name", "table `t` has no row for this text and no `default`"),
        ("$.n", "table `t` has no row for this null and no `default`"),
        ("$.tags", "table `t` looks up text or a number, not a list"),
    ] {
        assert_eq!(error(&picked(Pick { table: look_up(&rows, None), ..pick(tree) })), wanted);
    }
    // A row that is not there is a missing value to what stands around it.
    let inner = picked(Pick { table: look_up(&rows, None), ..pick("$.name") });
    let outer = Pick { pick: inner, default: Some(leaf("none")), ..pick("$.id") };
    assert_eq!(ok(&picked(outer)), "\"none\"");
    let read = picked(Pick { table: look_up(&rows, None), ..pick("$.id") });
    assert_eq!(read.references()[0].root, TABLES);
}

#[test]
fn each_takes_lists_one_object_and_nothing() {
    let body = || object([("sku", leaf("$.sku"))]);
    assert_eq!(ok(&each("$.lines[*]", body())), r#"[{"sku":"a"},{"sku":"b"}]"#);
    assert_eq!(ok(&each("lines", body())), r#"[{"sku":"a"},{"sku":"b"}]"#);
    assert_eq!(ok(&each("$.one", body())), r#"[{"sku":"s"}]"#);
    for none in ["$.n", "$.gone", "$.gone[*]", "$.empty"] {
        assert_eq!(ok(&each(none, body())), "[]", "{none}");
    }
    let optional = object([("q", picked(Pick { optional: true, ..pick("$.qty") }))]);
    assert_eq!(ok(&each("lines", optional)), r#"[{"q":2},{}]"#);
    assert_eq!(ok(&each("lines", picked(Pick { optional: true, ..pick("$.qty") }))), "[2]");
}

#[test]
fn inside_each_the_item_the_record_the_parent_and_the_index_are_at_hand() {
    let inner = object([
        ("p", leaf("$.p")),
        ("item", leaf("= item.p")),
        ("order", leaf("= record.id")),
        ("sku", leaf("= parent.sku")),
        ("index", leaf("= index")),
    ]);
    let outer = object([("of", leaf("= parent.id")), ("index", leaf("= index")), ("parts", each("parts", inner))]);
    let expected = concat!(
        r#"[{"of":7,"index":0,"parts":[{"p":1,"item":1,"order":7,"sku":"a","index":0},"#,
        r#"{"p":2,"item":2,"order":7,"sku":"a","index":1}]},{"of":7,"index":1,"parts":[]}]"#
    );
    assert_eq!(ok(&each("$.lines[*]", outer)), expected);
}

#[test]
fn concat_joins_lists_only() {
    let concat = |parts: &[&str]| Tree::Concat(parts.iter().map(|text| leaf(text)).collect());
    assert_eq!(ok(&concat(&["$.tags", "$.empty", "$.lines[*].sku"])), r#"["x", "y","a","b"]"#);
    assert_eq!(ok(&concat(&["$.empty", "$.empty"])), "[]");
    assert_eq!(ok(&concat(&[])), "[]");
    assert_eq!(error(&concat(&["$.tags", "$.one"])), "concat[1]: `concat` joins lists, but this is an object");
    let optional = picked(Pick { optional: true, ..pick("$.gone") });
    assert_eq!(ok(&Tree::Concat(vec![optional, leaf("$.tags")])), r#"["x", "y"]"#);
}

#[test]
fn text_is_bare_for_strings_and_json_for_others() {
    let record = record();
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let text = |tree: &Tree| tree.text(&ctx).unwrap();
    assert_eq!(text(&leaf("$.name")).as_deref(), Some("A\"bA"));
    assert_eq!(text(&leaf("$.price")).as_deref(), Some("1.10"));
    assert_eq!(text(&leaf("$.tags")).as_deref(), Some(r#"["x", "y"]"#));
    assert_eq!(text(&leaf("plain")).as_deref(), Some("plain"));
    assert_eq!(text(&leaf("no {{record.id}}")).as_deref(), Some("no 7"));
    assert_eq!(text(&picked(Pick { optional: true, ..pick("$.gone") })), None);
    assert!(leaf("$.gone").text(&ctx).unwrap_err().is_missing());
}

#[test]
fn a_tree_lists_the_names_it_reads() {
    let tree = object([
        ("a", leaf("= record.id + flow.vars.x")),
        ("b", each("$.lines", object([("t", leaf("{{item.sku}}"))]))),
        ("c", picked(Pick { default: Some(leaf("= connection.vars.d")), ..pick("$.x") })),
    ]);
    let mut roots: Vec<&str> = tree.references().iter().map(|reference| reference.root.as_str()).collect();
    roots.sort_unstable();
    assert_eq!(roots, ["connection", "flow", "item", "record"]);
    assert!(!tree.is_constant());
    assert!(object([("a", leaf("x"))]).is_constant());
}

#[test]
fn a_result_that_grows_without_end_is_refused() {
    let big = format!("[{}]", vec!["0"; 1000].join(","));
    let record = Record::new(Json::parse(format!(r#"{{"l":{big},"t":"{}"}}"#, "x".repeat(100_000))).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let failure = |tree: &Tree| tree.write(&ctx, &mut Vec::new()).expect_err("must be refused");
    let copies = each("l", leaf("= record.t"));
    assert!(matches!(failure(&copies), EvalError::Limit(message) if message.contains("16 MiB")));
    let nothing = || picked(Pick { optional: true, ..pick("$.gone") });
    let body = each("$", nothing());
    let thousand = format!("[{}]", vec![big.as_str(); 1100].join(","));
    let rows = Record::new(Json::parse(thousand).unwrap());
    let rows = Context::new().with(Root::Record, Slot::Record(&rows));
    let failure = each("$", body).write(&rows, &mut Vec::new()).expect_err("must be refused");
    assert!(matches!(failure, EvalError::Limit(message) if message.contains("items")));
    let mut deep = leaf("x");
    for _ in 0..100 {
        deep = Tree::List(vec![deep]);
    }
    assert!(matches!(written(&deep), Err(EvalError::Limit(_))));
}

proptest! {
    #[test]
    fn whatever_the_names_and_texts_the_result_is_json(names in prop::collection::vec(any::<String>(), 0..4), text in any::<String>()) {
        let fields: Vec<(String, Tree)> = names.iter().map(|name| (name.clone(), Tree::text_constant(&text))).collect();
        let written: serde_json::Value = serde_json::from_str(&ok(&Tree::Object(fields))).unwrap();
        for name in &names {
            prop_assert_eq!(written[name].as_str(), Some(text.as_str()));
        }
    }
}

#[test]
fn what_a_leaf_tolerates_is_not_needed() {
    let needs = |tree: &Tree| -> Vec<String> {
        tree.needs().iter().map(|read| format!("{}.{}", read.root, read.members.join("."))).collect()
    };
    let whole = |change: &dyn Fn(&mut Pick)| {
        let mut one = pick("= previous.body.a");
        change(&mut one);
        object([("kept", leaf("= previous.body.b")), ("in", Tree::List(vec![picked(one)]))])
    };
    assert_eq!(needs(&whole(&|_| {})), ["previous.body.b", "previous.body.a"]);
    assert_eq!(needs(&whole(&|one| one.default = Some(leaf("= previous.body.c")))), ["previous.body.b"]);
    assert_eq!(needs(&whole(&|one| one.optional = true)), ["previous.body.b"]);
    let when = |text: &str| Some(Expression::compile(text).unwrap());
    assert_eq!(needs(&whole(&|one| one.when = when("previous.body.a is defined"))), ["previous.body.b"]);
    assert_eq!(
        needs(&whole(&|one| one.when = when("previous.body.x is defined"))),
        ["previous.body.b", "previous.body.a"]
    );
    assert_eq!(needs(&leaf("= previous.body.a | default('x')")), <[String; 0]>::default());
    assert_eq!(needs(&leaf("{{previous.body.a}}{{default previous.body.b 1}}")), ["previous.body.a"]);
    assert_eq!(whole(&|one| one.optional = true).references().len(), 2);
}
