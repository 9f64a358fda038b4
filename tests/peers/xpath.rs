//! XPath and XML, judged by libxml2: generated expressions over generated documents, and damaged ones of both.
//!
//! Left out are what libxml2 does in its own way: numbers as text beyond 15 digits, exponents in numbers, and `position()`
//! and `last()` outside brackets.

use crate::peer;
use fastrand::Rng;
use flowgate::value::xml::xpath::{Value, XPath};
use flowgate::value::xml::{DOCUMENT, Kind, Node, Xml};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

const NAMESPACES: [(&str, &str); 2] = [("p", "urn:p"), ("q", "urn:q")];

/// What `libxml2.py` says of each case; none where there is no lxml.
fn judged(cases: &[Json]) -> Option<Vec<Json>> {
    let python = peer::python()?;
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/libxml2.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), cases).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// A document of up to some forty nodes.
fn document(rng: &mut Rng) -> String {
    let mut out = String::new();
    if rng.u8(..4) == 0 {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- before -->");
    }
    let default = ["", "", "", " xmlns='urn:p'"][rng.usize(..4)];
    write!(out, "<r xmlns:p='urn:p' xmlns:x='urn:q'{default}>").unwrap();
    let mut left = rng.usize(6..28);
    while left > 0 {
        element(rng, 4, &mut left, &mut out);
    }
    out.push_str("</r>");
    out
}

fn element(rng: &mut Rng, depth: usize, left: &mut usize, out: &mut String) {
    *left = left.saturating_sub(1);
    let name = pick(rng, &["a", "b", "c", "item", "p:a", "x:b", "p:item", "div"]);
    write!(out, "<{name}").unwrap();
    if rng.u8(..12) == 0 {
        out.push_str(" xmlns='urn:e'");
    }
    let mut attributes = ["id", "n", "p:id", "x:n", "xml:lang"];
    rng.shuffle(&mut attributes);
    for attribute in &attributes[..rng.usize(..3)] {
        let value = pick(rng, &["1", "2", "3.5", "x", "a&amp;b", " y\tz ", "", "ü", "&#10;"]);
        write!(out, " {attribute}=\"{value}\"").unwrap();
    }
    if depth == 0 || rng.u8(..5) == 0 {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for _ in 0..rng.usize(..5) {
        match rng.u8(..10) {
            0..=4 if *left > 0 => element(rng, depth - 1, left, out),
            5 => out.push_str(pick(rng, &["<!-- c -->", "<?go on?>", "<?stop?>", "<!---->"])),
            6 => out.push_str(pick(rng, &["<![CDATA[<&]]>", "<![CDATA[1]]>", "a<![CDATA[b]]>c"])),
            7 => out.push_str(pick(rng, &["\n  ", " ", "\r\n", "&#13;"])),
            _ => {
                out.push_str(pick(rng, &["1", "2", "3", "0.5", "-4", "x", "yes", "&lt;a&gt;", "ü😀", " 7 ", "&#x41;"]));
            }
        }
    }
    write!(out, "</{name}>").unwrap();
}

/// Expressions by what they give; `depth` bounds them.
fn nodes(rng: &mut Rng, depth: usize) -> String {
    match rng.u8(..12) {
        0 if depth > 0 => format!("{} | {}", nodes(rng, depth - 1), nodes(rng, depth - 1)),
        1 if depth > 0 => {
            let inner = nodes(rng, depth - 1);
            let predicate = predicate(rng, depth - 1);
            let more = if rng.bool() { format!("/{}", step(rng, depth - 1)) } else { String::new() };
            format!("({inner}){predicate}{more}")
        }
        2 => pick(rng, &["/", ".", "..", "//*", "//@*", "*", "//text()", "//comment()"]).to_owned(),
        _ => {
            let mut path = pick(rng, &["", "", "/", "//", "/r/", "/*/", ".//", "../"]).to_owned();
            path.push_str(&step(rng, depth));
            for _ in 0..rng.usize(..3) {
                path.push_str(pick(rng, &["/", "/", "//"]));
                path.push_str(&step(rng, depth));
            }
            path
        }
    }
}

fn step(rng: &mut Rng, depth: usize) -> String {
    let mut out = match rng.u8(..14) {
        0 => return pick(rng, &[".", ".."]).to_owned(),
        1 | 2 => format!("@{}", pick(rng, &["id", "n", "p:id", "q:n", "*", "p:*", "xml:lang", "node()"])),
        3..=5 => {
            let axis = pick(
                rng,
                &[
                    "child",
                    "descendant",
                    "descendant-or-self",
                    "parent",
                    "ancestor",
                    "ancestor-or-self",
                    "following",
                    "following-sibling",
                    "preceding-sibling",
                    "preceding",
                    "self",
                    "attribute",
                ],
            );
            format!("{axis}::{}", test(rng))
        }
        _ => test(rng),
    };
    if depth > 0 {
        for _ in 0..[0, 0, 1, 1, 2][rng.usize(..5)] {
            out.push_str(&predicate(rng, depth - 1));
        }
    }
    out
}

fn test(rng: &mut Rng) -> String {
    let plain = &[
        "a",
        "b",
        "c",
        "item",
        "p:a",
        "q:b",
        "p:item",
        "*",
        "*",
        "p:*",
        "q:*",
        "node()",
        "text()",
        "comment()",
        "div",
        "processing-instruction()",
        "processing-instruction('go')",
        "r",
        "mod",
    ];
    pick(rng, plain).to_owned()
}

fn predicate(rng: &mut Rng, depth: usize) -> String {
    let inner = match rng.u8(..8) {
        0..=2 => pick(rng, &["1", "2", "last()", "last() - 1", "position() = 2", "position() mod 2 = 1"]).to_owned(),
        3 => nodes(rng, depth.min(1)),
        4 => format!("@id = '{}'", pick(rng, &["1", "x", "2"])),
        5 => number(rng, depth.min(1)),
        _ => truth(rng, depth),
    };
    format!("[{inner}]")
}

fn truth(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return pick(rng, &["true()", "false()", "@id", "not(*)", "text()", "position() > 1", ". = 'x'"]).to_owned();
    }
    let deep = depth - 1;
    match rng.u8(..9) {
        0 => format!("{} and {}", truth(rng, deep), truth(rng, deep)),
        1 => format!("({} or {})", truth(rng, deep), truth(rng, deep)),
        2 => format!("not({})", truth(rng, deep)),
        3 => format!("boolean({})", any(rng, deep)),
        4 => format!("contains({}, {})", text(rng, deep), text(rng, deep)),
        5 => format!("starts-with({}, {})", text(rng, deep), text(rng, deep)),
        _ => {
            let sign = pick(rng, &["=", "!=", "<", "<=", ">", ">="]);
            format!("{} {sign} {}", operand(rng, deep), operand(rng, deep))
        }
    }
}

/// Something that may stand beside a comparison without brackets.
fn operand(rng: &mut Rng, depth: usize) -> String {
    match rng.u8(..4) {
        0 | 1 => nodes(rng, depth.min(1)),
        2 => number(rng, depth),
        _ if rng.bool() => format!("({})", truth(rng, depth)),
        _ => text(rng, depth),
    }
}

fn number(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return pick(rng, &["0", "1", "2", "3", "0.5", ".25", "2.", "position()", "last()", "count(*)"]).to_owned();
    }
    let deep = depth - 1;
    match rng.u8(..13) {
        0 => format!("{} + {}", number(rng, deep), number(rng, deep)),
        1 => format!("({} - {})", number(rng, deep), number(rng, deep)),
        2 => format!("({}) * {}", number(rng, deep), pick(rng, &["0", "2", "3", "-1", ".5"])),
        3 => format!("({}) div {}", number(rng, deep), pick(rng, &["2", "4", "0", "-2"])),
        4 => format!("({}) mod {}", number(rng, deep), pick(rng, &["2", "3", "-2", "0"])),
        5 => format!("-({})", number(rng, deep)),
        6 => format!("count({})", nodes(rng, deep)),
        7 => format!("sum({})", nodes(rng, deep)),
        8 => format!("string-length({})", text(rng, deep)),
        9 => format!("number({})", any(rng, deep)),
        10 => format!("floor({})", number(rng, deep)),
        11 => format!("ceiling({})", number(rng, deep)),
        _ => format!("round({})", number(rng, deep)),
    }
}

fn text(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return pick(rng, &["'x'", "''", "\"1\"", "'a'", "' y  z '", "'ü'", "string()", "name()"]).to_owned();
    }
    let deep = depth - 1;
    match rng.u8(..12) {
        0 => format!("string({})", any(rng, deep)),
        1 => format!("concat({}, {}, {})", text(rng, deep), any(rng, deep), text(rng, deep)),
        2 => format!("substring({}, {})", text(rng, deep), number(rng, deep)),
        3 => format!("substring({}, {}, {})", text(rng, deep), number(rng, deep), number(rng, deep)),
        4 => format!("substring-before({}, {})", text(rng, deep), text(rng, deep)),
        5 => format!("substring-after({}, {})", text(rng, deep), text(rng, deep)),
        6 => format!("normalize-space({})", text(rng, deep)),
        7 => format!("translate({}, 'axyü', 'AX')", text(rng, deep)),
        8 => format!("local-name({})", nodes(rng, deep)),
        9 => format!("name({})", nodes(rng, deep)),
        10 => format!("namespace-uri({})", nodes(rng, deep)),
        _ => pick(rng, &["normalize-space()", "local-name()", "string()"]).to_owned(),
    }
}

fn any(rng: &mut Rng, depth: usize) -> String {
    match rng.u8(..4) {
        0 => nodes(rng, depth),
        1 => truth(rng, depth),
        2 => number(rng, depth),
        _ => text(rng, depth),
    }
}

/// One character less, more, or another.
fn damaged(rng: &mut Rng, text: &str, with: &[&str]) -> String {
    let at = (0..=rng.usize(..=text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    let mut rest = text[at..].chars();
    if rng.bool() {
        rest.next();
    }
    let new = if rng.bool() { pick(rng, with) } else { "" };
    format!("{}{new}{}", &text[..at], rest.as_str())
}

/// Names of nodes as `libxml2.py` gives them.
struct Names {
    names: HashMap<Node, String>,
    elements: Vec<Node>,
}

impl Names {
    fn of(xml: &Xml) -> Self {
        let mut names = Self { names: HashMap::new(), elements: Vec::new() };
        let mut next = 0;
        names.walk(xml, xml.root(), &mut next);
        names
    }

    fn walk(&mut self, xml: &Xml, node: Node, next: &mut usize) {
        let number = *next;
        *next += 1;
        self.names.insert(node, format!("e{number}"));
        if xml.kind(node) != Kind::Element {
            return;
        }
        self.elements.push(node);
        for attribute in xml.attributes(node) {
            let (namespace, _, local) = xml.name(attribute).unwrap();
            let uri = namespace.map_or(String::new(), |uri| format!("{{{uri}}}"));
            self.names.insert(attribute, format!("a{number}:{uri}{local}"));
        }
        let mut before = format!("t{number}");
        for child in xml.children(node) {
            if xml.kind(child) == Kind::Text {
                self.names.insert(child, before.clone());
            } else {
                before = format!("l{next}");
                self.walk(xml, child, next);
            }
        }
    }

    /// The document and what stands outside its root are nothing to lxml.
    fn json(&self, found: &Value) -> Json {
        match found {
            Value::Nodes(nodes) => {
                json!({"nodes": nodes.iter().filter_map(|node| self.names.get(node)).collect::<Vec<_>>()})
            }
            Value::Bool(bool) => json!({"bool": bool}),
            Value::Number(number) => json!({"number": number.to_string()}),
            Value::Text(text) => json!({"text": text}),
        }
    }
}

fn alike(ours: &Json, theirs: &Json) -> bool {
    if ours.get("error").is_some() && theirs.get("error").is_some() {
        return true;
    }
    let number = |json: &Json| json["number"].as_str().and_then(|text| text.parse::<f64>().ok());
    match (number(ours), number(theirs)) {
        (Some(ours), Some(theirs)) => {
            (ours.is_nan() && theirs.is_nan())
                || (ours - theirs).abs() < 1e-9
                || (ours.is_infinite() && ours.to_bits() == theirs.to_bits())
        }
        _ => ours == theirs,
    }
}

#[test]
fn libxml2_finds_the_same_with_thousands_of_generated_xpaths() {
    let mut rng = Rng::with_seed(20_261_125);
    let namespaces: Vec<_> = NAMESPACES.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())).into();
    let mut cases = Vec::new();
    for _ in 0..120 {
        let document = document(&mut rng);
        let asked = (0..60).map(|_| {
            let path = if rng.u8(..3) > 0 { nodes(&mut rng, 2) } else { any(&mut rng, 3) };
            json!({"path": path, "at": rng.usize(..40)})
        });
        cases.push(json!({"document": document, "namespaces": NAMESPACES.into_iter().collect::<HashMap<_, _>>(),
            "asked": asked.filter(|ask| ask["path"].as_str().unwrap().len() <= 1024).collect::<Vec<_>>()}));
    }
    let Some(judged) = judged(&cases) else { return };
    let (mut compared, mut found, mut mismatches) = (0, 0, Vec::new());
    for (case, judged) in cases.iter().zip(&judged) {
        let xml = Xml::parse(case["document"].as_str().unwrap().as_bytes(), None).unwrap();
        let names = Names::of(&xml);
        for (ask, theirs) in case["asked"].as_array().unwrap().iter().zip(judged["results"].as_array().unwrap()) {
            let path = ask["path"].as_str().unwrap();
            let node = names.elements[usize::try_from(ask["at"].as_u64().unwrap()).unwrap() % names.elements.len()];
            let ours = match XPath::compile(path, &namespaces) {
                Ok(compiled) => names.json(&compiled.evaluate(&xml, node).unwrap()),
                Err(issues) => json!({"error": issues[0].message}),
            };
            // Outside brackets libxml2 knows no position; here it is 1 of 1.
            if theirs["error"].as_str().is_some_and(|error| error.starts_with("Invalid context")) {
                continue;
            }
            compared += 1;
            found += usize::from(theirs["nodes"].as_array().is_some_and(|nodes| !nodes.is_empty()));
            if !alike(&ours, theirs) {
                mismatches.push(format!(
                    "{path}\n  at {} of {}\n  ours {ours}\n  theirs {theirs}",
                    ask["at"], case["document"]
                ));
            }
        }
    }
    eprintln!("{compared} XPaths compared, {found} of them found nodes");
    assert!(compared > 6000 && found > 800, "{compared} compared, {found} found nodes");
    assert!(
        mismatches.is_empty(),
        "{} of {compared}:\n{}",
        mismatches.len(),
        mismatches[..mismatches.len().min(12)].join("\n")
    );
}

/// What we see when a path is compiled, and libxml2 when it gets there.
fn at_load(message: &str) -> bool {
    ["takes nodes", "arguments, not", "the function", "the prefix"].iter().any(|found| message.contains(found))
}

/// `string(` and `2 div-2` pass there: a bracket that is never closed, and a longer name read as an operator first.
fn lenient(path: &str) -> bool {
    let longer = |word: &str| path.match_indices(word).any(|(at, _)| path[at + word.len()..].starts_with(name_goes_on));
    path.ends_with('(') || ["and", "or", "div", "mod"].iter().any(|word| longer(word))
}

fn name_goes_on(c: char) -> bool {
    c.is_alphanumeric() || "-._".contains(c)
}

#[test]
fn libxml2_refuses_the_same_damaged_xpaths() {
    let mut rng = Rng::with_seed(7);
    let namespaces: Vec<_> = NAMESPACES.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())).into();
    let with =
        &["(", ")", "[", "]", "/", "*", "::", "'", ",", "=", "|", "-", "a", "1", ".", "@", ":", "<", " or ", "!"];
    let mut one = || {
        let path = any(&mut rng, 2);
        damaged(&mut rng, &path, with)
    };
    let paths: Vec<String> = (0..3000).map(|_| one()).collect();
    let asked: Vec<_> = paths.iter().map(|path| json!({"path": path, "at": 0})).collect();
    let case =
        json!({"document": "<r/>", "namespaces": NAMESPACES.into_iter().collect::<HashMap<_, _>>(), "asked": asked});
    let Some(judged) = judged(std::slice::from_ref(&case)) else { return };
    let mut refused = 0;
    let mut mismatches = Vec::new();
    for (path, theirs) in paths.iter().zip(judged[0]["results"].as_array().unwrap()) {
        let theirs = theirs["error"].as_str();
        refused += usize::from(theirs.is_some());
        match (XPath::compile(path, &namespaces), theirs) {
            (Ok(_), Some(error)) if !error.starts_with("Invalid context") => {
                mismatches.push(format!("{path}: only libxml2 refuses it ({error})"));
            }
            (Err(issues), None) if !at_load(&issues[0].message) && !lenient(path) => {
                mismatches.push(format!("{path}: only we refuse it ({})", issues[0].message));
            }
            _ => {}
        }
    }
    assert!((300..2700).contains(&refused), "{refused} refused");
    assert!(mismatches.is_empty(), "{}:\n{}", mismatches.len(), mismatches[..mismatches.len().min(30)].join("\n"));
}

#[test]
fn libxml2_takes_the_same_damaged_documents() {
    let mut rng = Rng::with_seed(11);
    let with =
        &["<", ">", "/", "&", "\"", "'", "=", " ", "]]>", "--", "a", ":", "p:", "&#0;", "&#65;", "&x;", "<b>", "\u{1}"];
    let mut one = || {
        let text = document(&mut rng);
        damaged(&mut rng, &text, with)
    };
    let documents: Vec<String> = (0..2000).map(|_| one()).collect();
    let cases: Vec<_> = documents.iter().map(|text| json!({"document": text, "namespaces": {}, "asked": []})).collect();
    let Some(judged) = judged(&cases) else { return };
    let mut refused = 0;
    let mut mismatches = Vec::new();
    for (document, theirs) in documents.iter().zip(&judged) {
        let theirs = theirs["error"].as_str();
        refused += usize::from(theirs.is_some());
        match (Xml::parse(document.as_bytes(), None), theirs) {
            // Namespaces are compared, not looked up: what they look like is nobody's concern.
            (Ok(_), Some(error)) if error.contains("is not a valid URI") => {}
            (Ok(_), Some(error)) => mismatches.push(format!("{document}\n  only libxml2 refuses it: {error}")),
            (Err(error), None) => mismatches.push(format!("{document}\n  only we refuse it: {error}")),
            _ => {}
        }
    }
    assert!((300..1800).contains(&refused), "{refused} refused");
    assert!(mismatches.is_empty(), "{}:\n{}", mismatches.len(), mismatches[..mismatches.len().min(12)].join("\n"));
    assert_eq!(Xml::parse(b"<r/>", None).unwrap().kind(DOCUMENT), Kind::Document);
}
