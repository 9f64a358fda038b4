//! Tests of `xpath`: what is found, what is refused, and what costs too much. Thousands of generated ones are judged by
//! libxml2 in `tests/peers`.

use super::*;
use std::fmt::Write as _;

const SOAP: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header/><s:Body>\
    <Orders xmlns='urn:shop' total='2'><Order id='1'><Sum>10.50</Sum><Tag>a</Tag></Order>\
    <Order id='2'><Sum>3</Sum><Tag/></Order></Orders></s:Body></s:Envelope>";

fn bound() -> Vec<(String, String)> {
    [("soap", "http://schemas.xmlsoap.org/soap/envelope/"), ("o", "urn:shop")]
        .map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()))
        .into()
}

fn ask(document: &str, path: &str, namespaces: &Namespaces) -> Result<Vec<String>, String> {
    let xml = Xml::parse(document.as_bytes(), None).unwrap();
    let path = XPath::compile(path, namespaces).map_err(|issues| issues[0].message.clone())?;
    match path.select(&xml).map_err(|error| error.to_string())? {
        Found::Missing => Err("missing".to_owned()),
        Found::Nodes(nodes) => Ok(nodes
            .into_iter()
            .map(|node| {
                let mut text = String::new();
                xml.write_text(node, &mut text);
                text
            })
            .collect()),
        Found::Value(Value::Text(text)) => Ok(vec![text]),
        Found::Value(Value::Number(number)) => Ok(vec![value::number_text(number)]),
        Found::Value(other) => Ok(vec![other.bool().to_string()]),
    }
}

#[track_caller]
fn finds(path: &str, expected: &[&str]) {
    assert_eq!(
        ask(SOAP, path, &bound()).as_deref(),
        Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
        "{path}"
    );
}

#[test]
fn a_soap_answer_is_read_with_prefixes_of_the_configuration() {
    finds("/soap:Envelope/soap:Body/o:Orders/o:Order/@id", &["1", "2"]);
    finds("soap:Envelope/soap:Body/o:Orders/@total", &["2"]);
    finds("//o:Order[o:Sum > 5]/o:Sum", &["10.50"]);
    finds("//*:Order[2]/*:Sum", &["3"]);
    finds("//o:*[@id]/*[last()]", &["a", ""]);
    finds("sum(//o:Sum)", &["13.5"]);
    finds("count(//o:Order) = /soap:Envelope/soap:Body/o:Orders/@total", &["true"]);
    finds("concat(local-name(/*), ' ', name(/*/*[2]), ' ', namespace-uri(//*[@total]))", &["Envelope s:Body urn:shop"]);
    finds("//o:Order[not(o:Tag/text())]/@id | //@total", &["2", "2"]);
    finds("string(//o:Order[@id = 2]/preceding-sibling::*)", &["10.50a"]);
}

#[test]
fn a_name_without_prefix_has_no_namespace_unless_the_empty_prefix_is_bound() {
    finds("//Order", &[]);
    finds("//@id", &["1", "2"]);
    let default = [(String::new(), "urn:shop".to_owned())];
    assert_eq!(ask(SOAP, "//Order/Sum", &default).unwrap(), ["10.50", "3"]);
    assert_eq!(ask(SOAP, "//Order/@id", &default).unwrap(), ["1", "2"]);
    assert_eq!(ask("<Order/>", "count(//Order)", &default).unwrap(), ["0"]);
}

#[test]
fn missing_means_that_the_elements_around_it_are_not_there() {
    for (document, path, expected) in [
        ("<r><items><item>1</item></items></r>", "/r/items/item", Ok(vec!["1"])),
        ("<r><items/></r>", "/r/items/item", Ok(vec![])),
        ("<r/>", "r/items/item", Err("missing")),
        ("<html/>", "/r/items/item", Err("missing")),
        ("<r/>", "/r", Ok(vec![""])),
        ("<html/>", "/r", Ok(vec![])),
        ("<r/>", "/r/@id", Ok(vec![])),
        ("<html/>", "/r/@id", Err("missing")),
        ("<r/>", "//item", Ok(vec![])),
        ("<html/>", "/r/item[@id]", Err("missing")),
        ("<r/>", "/r/*/item", Ok(vec![])),
        ("<html/>", "/r/*/item", Err("missing")),
        ("<html/>", "string(/r/a)", Ok(vec![""])),
    ] {
        let expected =
            expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>()).map_err(str::to_owned);
        assert_eq!(ask(document, path, &[]), expected, "{path} over {document}");
    }
}

#[test]
fn what_is_refused_says_where_and_what_to_do() {
    for (path, at, message, help) in [
        ("", 0..0, "the path is empty", "`/`"),
        ("/soap2:Envelope", 1..15, "the prefix `soap2` is not bound to a namespace", "[xml.namespaces]"),
        ("//a[lower-case(.) = 'x']", 4..14, "the function `lower-case` is not supported", "translate"),
        ("id('x')", 0..2, "the function `id` is not supported", "there are"),
        ("//a/namespace::*", 4..13, "the axis `namespace` is not supported", "there are child"),
        ("$.data.items", 0..1, "variables and JSONPath are not supported", "//item"),
        ("/a/b[", 5..5, "the XPath ends too early", ""),
        ("/a/b[]", 5..6, "expected a name", ""),
        ("/a/text(", 8..8, "expected `)`", ""),
        ("/a]", 2..3, "`]` is not expected here", "looks like"),
        ("//a[. = 'x]", 8..11, "without its closing quote", ""),
        ("/a/count(b)", 3..8, "`count(…)` cannot stand as a step", "put the path inside"),
        ("count('a')", 6..9, "`count()` takes nodes", ""),
        ("'a' | //b", 0..3, "`|` takes nodes", ""),
        ("string(a)/b", 0..9, "a step or predicate takes nodes", ""),
        ("concat('a')", 0..6, "`concat()` takes at least 2 arguments, not 1", ""),
        ("substring('a')", 0..9, "takes 2 to 3 arguments", ""),
        ("a#b", 1..2, "`#` is not expected", ""),
    ] {
        let issue = XPath::compile(path, &bound()).expect_err(path).remove(0);
        assert!(issue.message.contains(message), "{path}: {issue:?}");
        assert_eq!(issue.at, at, "{path}: {issue:?}");
        assert!(issue.help.clone().unwrap_or_default().contains(help), "{path}: {issue:?}");
    }
}

#[test]
fn bombs_end_as_errors() {
    let long = "a/".repeat(600) + "a";
    assert!(XPath::compile(&long, &[]).expect_err("long")[0].message.contains("longer than 1024"));
    for deep in ["(".repeat(500), "a[".repeat(300), "-(".repeat(200), "not(".repeat(100), "string(".repeat(100)] {
        assert!(XPath::compile(&deep, &[]).expect_err("deep")[0].message.contains("nest deeper"), "{deep}");
    }
    // As long and as flat as can be: no recursion for operators.
    XPath::compile(&"1+".repeat(500).add_end("1"), &[]).unwrap();
    XPath::compile(&"-".repeat(1000).add_end("1"), &[]).unwrap();
    let mut wide = String::from("<r>");
    for number in 0..20_000 {
        write!(wide, "<a n='{number}'><b/></a>").unwrap();
    }
    wide.push_str("</r>");
    let xml = Xml::parse(wide.as_bytes(), None).unwrap();
    for bomb in [
        "//*[count(//*) > 0]",
        "//a[preceding::a[@n = current]]",
        "count(//*/following::*)",
        "//a[//a = //a]",
        "//a[. = ../a]/following::*/preceding::*",
        "string-length(concat(/, /, /, /, /, /, /)) + count(//*[string(/)])",
        "//a[../a/b/..//b]",
    ] {
        let path = XPath::compile(bomb, &[]).unwrap();
        let error = path.select(&xml).expect_err(bomb);
        assert!(
            matches!(error, EvalError::Limit(_)) && error.to_string().contains("too many nodes"),
            "{bomb}: {error}"
        );
    }
    for fine in [
        "count(//*)",
        "count(//a[@n > 100])",
        "count(//a[b])",
        "sum(//@n)",
        "count(//a[last()])",
        "count(/r/a[1]/following-sibling::a)",
    ] {
        XPath::compile(fine, &[]).unwrap().select(&xml).unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
}

trait AddEnd {
    fn add_end(self, end: &str) -> String;
}

impl AddEnd for String {
    fn add_end(mut self, end: &str) -> String {
        self.push_str(end);
        self
    }
}

#[test]
fn numbers_are_written_without_exponents() {
    for (path, expected) in [
        ("1 div 3", "0.3333333333333333"),
        ("1000000000000 * 1000000000", "1000000000000000000000"),
        ("-0", "0"),
        ("1 div 0", "Infinity"),
        ("-1 div 0", "-Infinity"),
        ("0 div 0", "NaN"),
        ("number('1e3')", "NaN"),
        ("number(' -12.50 ')", "-12.5"),
        ("number('+1')", "NaN"),
        ("round(-2.5)", "-2"),
        ("round(2.5)", "3"),
        ("-7 mod 3", "-1"),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0 div 0)", ""),
        ("substring('12345', -42, 1 div 0)", "12345"),
    ] {
        finds(path, &[expected]);
    }
}
