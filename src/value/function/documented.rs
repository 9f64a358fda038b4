//! What the page of helpers shows, counted and run as it is written there; and that no name people know is lacking.

use super::tests::{both, call, is_as_written};
use super::*;
use crate::value::context::Root;
use crate::value::json::Json;
use crate::value::template::{Place, Template};
use std::sync::LazyLock;

static PAGE: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/HELPERS.md")).unwrap());

/// Names of the first two grades (those that flows in the wild use), value helpers and blocks; then the others.
const NAMES: &str = "abs add subtract multiply divide sum ceil floor round toFixed random uppercase lowercase capitalize \
    capitalizeAll trim padLeft padRight replace split join substring pluck getValue lookup dateFormat dateAdd timestamp \
    base64Encode base64Decode encodeURI decodeURI jsonEncode jsonSerialize jsonStringify jsonParse regexMatch \
    regexReplace hash hmac eq isTruthy isFalsey default json compare contains and or neither not";
const BLOCKS: &[&str] = &["if", "unless", "each", "with", "compare", "contains", "and", "or", "neither", "not"];
const OTHERS: &str = "modulo avg toPrecision toExponential camelcase pascalcase snakecase dashcase dotcase pathcase \
    sentence trimLeft trimRight chop replacefirst removefirst reverse occurrences sanitize truncateWords after before \
    first last arrayify sort unique htmlEncode htmlDecode stripProtocol stripQuerystring regexSearch aws4 addCommas \
    bytes ordinalize typeOf hasOwn hasNoItems ifEven filter some inArray isEmpty startsWith";

/// The cells of each row of the page's tables.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').splitn(3, " | ").map(str::trim).collect())
}

/// A text in backticks, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('`')?.split_once('`')
}

#[test]
fn every_row_of_the_page_has_an_example_and_each_is_run_as_written() {
    let (mut helpers, mut blocks) = (Vec::new(), Vec::new());
    for row in rows().filter(|row| row.len() == 3) {
        let (signature, _) = quoted(row[0]).unwrap();
        let Some((name, _)) = signature.split_once('(') else {
            let (template, rest) = quoted(row[2]).unwrap_or_else(|| panic!("{signature} has no example"));
            let (record, rest) = quoted(rest.trim_start().strip_prefix("over").unwrap()).unwrap();
            let (result, _) = quoted(rest.trim_start().strip_prefix('→').unwrap()).unwrap();
            let [rendered, _] = both(template, "1", record);
            assert_eq!(rendered.as_deref(), Ok(result), "{template}");
            blocks.push(signature.split(' ').next().unwrap());
            continue;
        };
        let cell = row[2].replace("\\|", "|");
        let (shown, rest) = quoted(&cell).unwrap_or_else(|| panic!("{name} has no example"));
        let (result, _) = quoted(rest.trim_start().strip_prefix('→').unwrap()).unwrap();
        helpers.push(name);
        let Some(inner) = shown.strip_prefix(name).and_then(|s| s.strip_prefix('(')).and_then(|s| s.strip_suffix(')'))
        else {
            // Written as a template, since it reads more than its arguments.
            let [rendered, _] = both(shown, "1", "{}");
            assert_eq!(rendered.as_deref(), Ok(result), "{shown}");
            continue;
        };
        let list = Json::parse(format!("[{inner}]")).unwrap();
        let arguments: Vec<String> = list.as_ref().items().map(|item| item.text().to_owned()).collect();
        let (template, expression, record) = call(by_name(name).unwrap(), &arguments);
        for outcome in both(&template, &expression, &record) {
            assert!(is_as_written(&outcome, result), "{shown}: {outcome:?}");
        }
    }
    let known: Vec<&str> = all().map(|function| function.name).collect();
    assert_eq!(helpers, known, "a row for each, in the order of the table");
    assert_eq!(blocks, BLOCKS);
}

#[test]
fn no_name_is_lacking() {
    let names: Vec<&str> = NAMES.split_whitespace().chain(OTHERS.split_whitespace()).collect();
    for name in &names {
        assert!(by_name(name).is_some(), "{name}");
    }
    for function in all() {
        assert!(names.contains(&function.name), "{} is on no list", function.name);
    }
    for name in BLOCKS {
        let (open, close) = (if *name == "each" || *name == "with" { "record.a" } else { "true" }, name);
        let arguments = by_name(name).map_or(1, |function| function.arity().0);
        let arguments = match *name {
            "compare" => "1 \"==\" 1".to_owned(),
            _ => vec![open; arguments].join(" "),
        };
        Template::compile(&format!("{{{{#{name} {arguments}}}}}x{{{{/{close}}}}}"), Place::Plain).unwrap();
    }
    for root in ["hmacOptions", "hashOptions"] {
        assert!(Root::by_name(root).is_some(), "{root}");
    }
}

/// What is said of helpers in words elsewhere, as calls.
#[test]
fn what_is_told_in_words_holds() {
    for (template, record, result) in [
        ("{{base64Encode \"Hello\" \"hex\"}}", "{}", "48656c6c6f"),
        ("{{{base64Encode \"username:secret\"}}}", "{}", "dXNlcm5hbWU6c2VjcmV0"),
        ("{{uppercase \"il\"}}{{lowercase \"IL\"}}", "{}", "ILil"),
        ("{{capitalize \"doe smith\"}}", "{}", "Doe smith"),
        ("{{capitalizeAll \"doe smith\"}}", "{}", "Doe Smith"),
        ("{{split \"Hillary-Ann-Swank\" \"-\"}}", "{}", "Hillary"),
        ("{{join \",\" record.l \"c\"}}", r#"{"l":["a","b"]}"#, "a,b,c"),
        ("{{replace \"a.a.A\" \"a\" \"b\"}}", "{}", "b.b.A"),
        ("{{jsonSerialize (before record.l 1)}}", r#"{"l":["a","b","c","d"]}"#, "[\"a\",\"b\",\"c\"]"),
        ("{{jsonSerialize (after record.l 2)}}", r#"{"l":["a","b","c","d"]}"#, "[\"c\",\"d\"]"),
        ("{{jsonSerialize (arrayify record.n)}}", r#"{"n":null}"#, "[]"),
        ("{{jsonSerialize (pluck record.l \"a.b\")}}", r#"{"l":[{"a":{"b":1}},{"a":{}}]}"#, "[1,null]"),
        ("{{getValue \"record.gone\" (getValue \"record.a\" \"x\")}}", r#"{"a":5}"#, "5"),
        ("{{sort record.l number=\"true\" reverse=\"true\"}}", r#"{"l":["2","1","10"]}"#, "10,2,1"),
        ("{{unique record.l}}", r#"{"l":["b","a","b"]}"#, "b,a"),
        ("{{encodeURI \", / ? : @ & = + $ #\"}}", "{}", "%2C%20%2F%20%3F%20%3A%20%40%20%26%20%3D%20%2B%20%24%20%23"),
        ("{{jsonEncode record.t}}", "{\"t\":\"a\\nb\"}", "a\\nb"),
        ("{{stripQuerystring \"http://foo.bar/i?a?b\"}}", "{}", "http://foo.bar/i"),
        ("{{regexReplace \"a1\" \"x\" \"[0-9]\"}}", "{}", "ax"),
        ("{{regexSearch \"abc\" \"z\"}}", "{}", "-1"),
        ("{{ordinalize 22}}", "{}", "22nd"),
        ("{{typeOf record.n}}{{typeOf record.l}}", r#"{"n":null,"l":[]}"#, "objectarray"),
        ("{{eq record.n \"5\"}}", r#"{"n":5}"#, "true"),
        ("{{#compare \"50\" \">\" \"100\"}}true{{/compare}}", "{}", "true"),
        ("{{truncateWords \"foo bar baz\" 2}}", "{}", "foo bar…"),
        ("{{chop \"_ABC_\"}}", "{}", "ABC"),
    ] {
        let [rendered, _] = both(template, "1", record);
        assert_eq!(rendered.as_deref(), Ok(result), "{template}");
    }
}
