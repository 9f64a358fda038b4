//! Every documented example as a template and as an expression; every parameter against every type; bombs; the page.

use super::*;
use crate::value::context::{BODY_HASH, Root, Slot};
use crate::value::expression::Expression;
use crate::value::json::Json;
use crate::value::record::Record;
use crate::value::table::{Table, Tables};
use crate::value::template::{Place, Template};
use std::fmt::Write as _;

const NOW: &str = "2025-03-26T12:34:56.789Z";

fn tables() -> Tables {
    let rows = [("California".to_owned(), Json::trusted("\"CA\""))];
    Tables::from([("states".to_owned(), Table::new(rows, None))])
}

/// Renders and evaluates over a record.
pub(super) fn both(template: &str, expression: &str, record: &str) -> [Result<String, EvalError>; 2] {
    let record = Record::new(Json::parse(record).unwrap());
    let tables = tables();
    let ctx =
        Context::new().with(Root::Record, Slot::Record(&record)).with(Root::Now, Slot::Text(NOW)).with_tables(&tables);
    let headers = [("x-amz-date".to_owned(), "20150830T123600Z".to_owned())];
    let empty = crate::value::sigv4::hash(b"");
    let request = [
        ("method", Slot::Text("GET")),
        ("URI", Slot::Text("https://example.amazonaws.com/")),
        ("headers", Slot::Headers(&headers)),
        (BODY_HASH, Slot::Text(&empty)),
    ];
    let ctx = ctx.with(Root::HmacOptions, Slot::Map(&request));
    let compiled = Template::compile(template, Place::Plain).unwrap_or_else(|issues| panic!("{template}: {issues:?}"));
    let mut rendered = String::new();
    let rendered = compiled.render(&ctx, &mut rendered).map(|()| rendered);
    // Two names are words of the grammar there.
    if expression.starts_with("and(") || expression.starts_with("or(") {
        return [rendered.clone(), rendered];
    }
    let compiled = Expression::compile(expression).unwrap_or_else(|issues| panic!("{expression}: {issues:?}"));
    let evaluated = compiled.eval(&ctx).and_then(|value| Ok(printed(&value, &Plenty)?.into_owned()));
    [rendered, evaluated]
}

struct Plenty;

impl Budget for Plenty {
    fn spend(&self, _: usize) -> Result<(), EvalError> {
        Ok(())
    }
    fn produce(&self, _: usize) -> Result<(), EvalError> {
        Ok(())
    }
}

fn arguments(function: &Function) -> Vec<String> {
    let list = Json::parse(function.example.0).unwrap();
    list.as_ref().items().map(|item| item.text().to_owned()).collect()
}

/// Whether an outcome is what the page says, where that is one text, or is of the form that it says.
pub(super) fn is_as_written(outcome: &Result<String, EvalError>, written: &str) -> bool {
    match (written, outcome) {
        ("9 digits", Ok(text)) => text.len() == 9 && text.bytes().all(|b| b.is_ascii_digit()),
        (written, outcome) => outcome.as_deref() == Ok(written),
    }
}

/// A call whose arguments are fields of a record, as template, expression and record.
pub(super) fn call(function: &Function, arguments: &[String]) -> (String, String, String) {
    let names: Vec<String> = (0..arguments.len()).map(|n| format!("record.a{n}")).collect();
    let members: Vec<String> = arguments.iter().enumerate().map(|(n, value)| format!("\"a{n}\":{value}")).collect();
    (
        format!("{{{{{{{} {}}}}}}}", function.name, names.join(" ")),
        format!("{}({})", function.name, names.join(", ")),
        format!("{{{}}}", members.join(",")),
    )
}

#[test]
fn every_example_holds_in_templates_and_in_expressions() {
    let mut seen = 0;
    for function in all().filter(|function| function.example.0.starts_with('[')) {
        let (template, expression, record) = call(function, &arguments(function));
        for outcome in both(&template, &expression, &record) {
            assert!(is_as_written(&outcome, function.example.1), "{template} {record}: {outcome:?}");
        }
        // Texts and numbers may stand in the call itself.
        let written = arguments(function);
        if written.iter().all(|a| !a.starts_with(['[', '{']) && !a.contains('\\')) {
            let template = format!("{{{{{{{} {}}}}}}}", function.name, written.join(" "));
            let expression = format!("{}({})", function.name, written.join(", "));
            for outcome in both(&template, &expression, "{}") {
                assert!(is_as_written(&outcome, function.example.1), "{template}: {outcome:?}");
            }
        }
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}

const TYPES: &[(&str, &str)] = &[
    ("null", "null"),
    ("bool", "true"),
    ("int", "3"),
    ("float", "1.5"),
    ("numeral", "\"12\""),
    ("text", "\"t\""),
    ("list", "[1]"),
    ("map", "{\"k\":1}"),
];

fn takes(kind: &str, given: &str, optional: bool) -> bool {
    match (kind, given) {
        (_, "null") if kind != "any" => optional || kind == "text",
        ("text", "list" | "map") => false,
        ("any" | "text", _)
        | ("number", "int" | "float" | "numeral")
        | ("whole", "int" | "numeral")
        | ("numbers", "int" | "float" | "numeral" | "list")
        | ("list", "list") => true,
        _ => false,
    }
}

/// What the signature says is what is taken: any other type is an error that names helper, parameter and type.
#[test]
fn each_parameter_takes_its_types_and_no_others() {
    let (mut taken, mut refused) = (0, 0);
    // `random` takes a number in place of a word, and is tried by itself.
    let strict = |function: &&Function| !function.block && function.name != "random";
    for function in all().filter(|function| function.example.0.starts_with('[')).filter(strict) {
        let example = arguments(function);
        for (n, parameter) in function.parameters().enumerate().filter(|(n, _)| *n < example.len()) {
            for (given, value) in TYPES {
                let mut arguments = example.clone();
                arguments[n] = (*value).to_owned();
                let (template, expression, record) = call(function, &arguments);
                for outcome in both(&template, &expression, &record) {
                    let case = format!("{template} {record}: {outcome:?}");
                    if takes(parameter.kind, given, parameter.optional) {
                        // A type that is taken may hold a value that is not; then another thing is said.
                        let types = format!(" as `{}`, not ", parameter.name);
                        let said = matches!(&outcome, Err(EvalError::Type(message)) if message.contains(&types));
                        assert!(!said || parameter.kind == "any", "{case}");
                        taken += 1;
                    } else {
                        let Err(EvalError::Type(message)) = &outcome else { panic!("{case}") };
                        assert!(message.contains(function.name) && message.contains(parameter.name), "{case}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(taken > 800 && refused > 300, "{taken} {refused}");
}

#[test]
fn a_missing_argument_is_an_error_that_names_it_unless_the_helper_tolerates_it() {
    for function in all().filter(|function| function.example.0.starts_with('[')) {
        let least = function.arity().0.max(1);
        let names = vec!["record.gone"; least].join(" ");
        let template = format!("{{{{{} {names}}}}}", function.name);
        let expression = format!("{}({})", function.name, vec!["record.gone"; least].join(", "));
        for outcome in both(&template, &expression, "{}") {
            match outcome {
                Err(EvalError::Missing(message)) if function.name == "default" || !function.tolerant => {
                    assert!(message.contains("`record.gone` is missing"), "{template}: {message}");
                }
                outcome => assert!(function.tolerant, "{template}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn results_that_are_not_there_are_missing() {
    for (template, expression) in [
        ("{{split \"a-b\" \"-\" 2}}", "split('a-b', '-', 2)"),
        ("{{regexMatch \"a\" \"b\"}}", "regexMatch('a', 'b')"),
        ("{{first record.empty}}", "first(record.empty)"),
        ("{{lookup \"states\" \"Utah\"}}", "lookup('states', 'Utah')"),
        ("{{getValue \"record.x.y\"}}", "getValue('record.x.y')"),
    ] {
        for outcome in both(template, expression, "{\"empty\":[]}") {
            assert!(matches!(outcome, Err(EvalError::Missing(_))), "{template}: {outcome:?}");
        }
    }
    for outcome in both("{{lookup \"states\" record.s}}", "lookup('states', record.s)", "{\"s\":\"California\"}") {
        assert_eq!(outcome.as_deref(), Ok("CA"));
    }
    for outcome in both("{{timestamp}}", "timestamp()", "{}") {
        assert_eq!(outcome.as_deref(), Ok("2025-03-26T12:34:56.789Z"));
    }
    for outcome in both("{{timestamp \"LT\" \"Asia/Tokyo\"}}", "timestamp('LT', 'Asia/Tokyo')", "{}") {
        assert_eq!(outcome.as_deref(), Ok("9:34 PM"));
    }
}

#[test]
fn chance_has_the_form_asked_for() {
    for (arguments, length, digits) in
        [("\"crypto\"", 32, 16), ("\"number\" 9", 9, 10), ("7", 7, 16), ("\"uuid\"", 36, 16)]
    {
        let [first, _] = both(&format!("{{{{random {arguments}}}}}"), "1", "{}");
        let [second, _] = both(&format!("{{{{random {arguments}}}}}"), "1", "{}");
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.len(), length, "{first}");
        assert!(first.chars().all(|c| c.is_digit(digits) || c == '-' && length == 36), "{first}");
        assert_ne!(first, second);
    }
    assert!(both("{{random \"crypto\" 2000}}", "1", "{}")[0].is_err());
}

/// Small texts that would become huge, or take long.
#[test]
fn bombs_end_as_errors_in_bounded_time() {
    let long = "a".repeat(200_000);
    let record = format!("{{\"l\":\"{long}\",\"n\":[{}0]}}", "0,".repeat(20_000));
    for (template, expression) in [
        ("{{padLeft \"x\" 100000000 \"0\"}}", "padLeft('x', 100000000, '0')"),
        ("{{replace record.l \"a\" record.l}}", "replace(record.l, 'a', record.l)"),
        ("{{regexReplace record.l record.l \"a\" \"g\"}}", "regexReplace(record.l, record.l, 'a', 'g')"),
        (
            "{{regexMatch (join \"\" record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l record.l) \"(a*)*b\"}}",
            "regexMatch(record.l ~ record.l ~ record.l, '(a*)*b')",
        ),
        (
            "{{regexMatch record.l (join \"\" \"((a{100}){100}\" \"){100}\")}}",
            "regexMatch(record.l, '((a{100}){100}' ~ '){100}')",
        ),
        ("{{toFixed 1 1000000}}", "toFixed(1, 1000000)"),
        ("{{multiply 1e308 1e308}}", "multiply(1e308, 1e308)"),
        ("{{jsonParse (join \"\" record.d record.d)}}", "jsonParse(record.d)"),
        ("{{dateFormat record.l \"2025-01-01\"}}", "dateFormat(record.l, '2025-01-01')"),
        ("{{dateAdd \"2025-01-01\" \"99999999999y\"}}", "dateAdd('2025-01-01', '99999999999y')"),
        ("{{dateAdd \"2025-01-01\" 1e18}}", "dateAdd('2025-01-01', 1e18)"),
        ("{{random 100000}}", "random(100000)"),
    ] {
        let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
        let record = record.replacen('{', &format!("{{\"d\":\"{deep}\","), 1);
        for outcome in both(template, expression, &record) {
            assert!(
                matches!(outcome, Err(EvalError::Limit(_) | EvalError::Type(_))),
                "{template}: {:?}",
                outcome.map(|s| s.len())
            );
        }
    }
    // Nested helpers multiply; the total is what counts.
    let mut nested = "record.l".to_owned();
    for _ in 0..12 {
        nested = format!("(replace {nested} \"a\" \"aaaaaaaaaaaaaaaa\")");
    }
    let [outcome, _] = both(&format!("{{{{uppercase {nested}}}}}"), "1", &record);
    assert!(matches!(outcome, Err(EvalError::Limit(_))));
}

#[test]
fn constant_arguments_are_judged_at_load() {
    for (template, wanted) in [
        ("{{regexMatch record.x \"(\"}}", "no regular expression"),
        ("{{regexReplace record.x \"\" \"(?=a)\"}}", "looking ahead"),
        ("{{hash \"sha257\" \"hex\" record.x}}", "the algorithm is"),
        ("{{hmac \"sha256\" \"k\" \"hax\" record.x}}", "the encoding is"),
        ("{{dateFormat \"L\" now \"\" \"Europe/Berlim\"}}", "no IANA time zone"),
        ("{{#compare record.x \"=\" 1}}{{/compare}}", "the operator is"),
        ("{{base64Encode record.x \"utf7\"}}", "the encoding is"),
        ("{{uppercase}}", "takes 1 argument, not 0"),
        ("{{substring record.x}}", "takes 2 to 3 arguments, not 1"),
        ("{{sort record.x nmber=\"true\"}}", "has no argument `nmber`"),
    ] {
        let issues = Template::compile(template, Place::Plain).unwrap_err();
        assert!(issues[0].message.contains(wanted), "{template}: {issues:?}");
    }
    for expression in
        ["regexMatch(record.x, '(')", "hash('sha257', 'hex', 'x')", "uppercase()", "sort(record.x, n='1')"]
    {
        assert!(Expression::compile(expression).is_err(), "{expression}");
    }
    let template = Template::compile("{{getValue \"recrd.x\" 1}}{{timestamp}}", Place::Plain).unwrap();
    let roots: Vec<&str> = template.references().iter().map(|r| r.root.as_str()).collect();
    assert_eq!(roots, ["recrd", "now"]);
}

/// Values that break careless code: each call ends, with a value or an error of its record.
#[test]
fn hostile_values_never_panic_and_keep_their_digits() {
    let values = [
        "\"../../etc\"",
        "\"{{record}}\"",
        "\"a\\r\\nX: 1\"",
        "\"\\ud800\"",
        "\"\\\"'<&>\"",
        "9007199254740993",
        "-0",
        "1e400",
        "123456789012345678901234567890123456789012345678901234567890",
        "\"\\u0000\"",
        "\"é́👩‍👩‍👧\"",
        "[[[]]]",
        "{\"a\":{}}",
        "null",
        "\"\"",
    ];
    let mut ended = 0;
    for function in all() {
        for (n, value) in values.iter().enumerate() {
            for count in 1..=4_usize {
                let other = values[(n * 7 + count) % values.len()];
                let arguments: Vec<String> =
                    (0..count).map(|at| if at % 2 == 0 { (*value).to_owned() } else { other.to_owned() }).collect();
                if function.refuses_count(count).is_none() {
                    let (template, expression, record) = call(function, &arguments);
                    let _ = both(&template, &expression, &record);
                    ended += 1;
                }
            }
        }
    }
    assert!(ended > 1500, "{ended}");
    for (call, record, wanted) in [
        ("add record.n 1", "{\"n\":9007199254740993}", "9007199254740994"),
        ("abs record.n", "{\"n\":\"-9007199254740993\"}", "9007199254740993"),
        ("jsonSerialize record.n", "{\"n\":12.10}", "12.10"),
        ("join \",\" record.n", "{\"n\":[9007199254740993,1.50]}", "9007199254740993,1.50"),
    ] {
        let [outcome, _] = both(&format!("{{{{{{{call}}}}}}}"), "1", record);
        assert_eq!(outcome.as_deref(), Ok(wanted), "{call}");
    }
}

#[test]
fn the_page_of_helpers_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/HELPERS.md");
    let page = page();
    #[expect(clippy::disallowed_methods, reason = "a switch of the test command")]
    let bless = std::env::var("FLOWGATE_BLESS").is_ok();
    if bless {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page, "FLOWGATE_BLESS=1 writes it anew");
}

fn page() -> String {
    let mut out = include_str!("page.md").to_owned();
    for (family, functions) in FAMILIES {
        let _ = write!(out, "\n## {family}\n\n| helper | gives | example |\n|---|---|---|\n");
        for function in *functions {
            let example = match function.example.0 {
                template if template.starts_with("{{") => format!("`{template}` → `{}`", function.example.1),
                list => {
                    let inner = &list[1..list.len() - 1];
                    format!("`{}({inner})` → `{}`", function.name, function.example.1)
                }
            };
            let named: Vec<String> = function.named.iter().map(|name| format!(", {name}=")).collect();
            let named = named.concat();
            let block = if function.block { " (also a block)" } else { "" };
            let row =
                format!("| `{}({}{named})` | {}{block} | {example} |\n", function.name, function.takes, function.says);
            out.push_str(&row.replace("||", "\\|\\|"));
        }
    }
    out
}

#[test]
fn every_name_is_there_once() {
    let mut names: Vec<&str> = all().map(|function| function.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(all().all(|function| !function.says.is_empty()));
}
