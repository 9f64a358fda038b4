//! Tests of `xml`: hostile documents, records and the way back.

use super::record::{ArrayPaths, record};
use super::write::{Style, write};
use super::*;
use crate::value::json::Json;
use proptest::prelude::*;

fn read(text: &str) -> Xml {
    Xml::parse(text.as_bytes(), None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(body: &[u8]) -> String {
    Xml::parse(body, None).map(|_| String::from_utf8_lossy(body).into_owned()).unwrap_err().to_string()
}

fn arrays(paths: &[&str]) -> ArrayPaths {
    let mut arrays = ArrayPaths::default();
    for path in paths {
        arrays.add(path).unwrap();
    }
    arrays
}

fn shape(text: &str, paths: &[&str]) -> String {
    let xml = read(text);
    record(&xml, xml.root(), &arrays(paths)).unwrap().text().to_owned()
}

fn written(json: &str, style: &Style<'_>) -> Result<String, String> {
    let json = Json::parse(json).unwrap();
    let text = write(json.as_ref(), style).map_err(|error| error.to_string())?;
    Xml::check(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Ok(text.split_once("?>\n").unwrap().1.to_owned())
}

#[test]
fn a_document_type_is_refused_before_anything_in_it_is_read() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><r>&b;</r>";
    let file = "<?xml version=\"1.0\"?>\n<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>";
    let parameter = "<!-- c --><!DOCTYPE r SYSTEM \"http://127.0.0.1:1/x.dtd\"><r/>";
    for text in [laughs, file, parameter, "<!doctype r><r/>", "<r><!DOCTYPE r></r>"] {
        assert!(refused(text.as_bytes()).contains("document type (DTD)"), "{text}");
    }
    assert!(refused(file.as_bytes()).ends_with("at line 2 column 1"), "{}", refused(file.as_bytes()));
}

#[test]
fn an_html_page_is_named_as_one() {
    for page in
        ["<!DOCTYPE html><html><p>502<br></html>", "\n<!doctype HTML>\n", "<html><br></html>", "<HTML><p></HTML>"]
    {
        assert!(refused(page.as_bytes()).contains("an HTML page where XML was expected"), "{page}");
    }
    assert_eq!(shape("<html><p>1</p></html>", &[]), r#"{"p":"1"}"#);
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    for (text, why) in [
        ("", "the body is empty"),
        ("  \n", "the body is empty"),
        ("{\"a\":1}", "at line 1 column 1"),
        ("<a><b></a>", "`</a>` where `</b>` was expected at line 1 column 7"),
        ("<a>\n<b", "the document ends before its elements are closed at line 2 column 3"),
        ("<a>", "the document ends before its elements are closed"),
        ("<a x=\"1", "ends"),
        ("<a x='1' x='2'/>", "the attribute `x` stands there twice"),
        ("<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", "the attribute `x` stands there twice"),
        ("<p:a/>", "the prefix `p` is not bound to a namespace"),
        ("<a p:x='1'/>", "the prefix `p` is not bound"),
        ("<a>&nbsp;</a>", "the entity `&nbsp;` is not known"),
        ("<a>R&D</a>", "`&` begins no reference; the character is written `&amp;`"),
        ("<a x='<'/>", "`<` inside a value"),
        ("<a>\u{1}</a>", "U+0001"),
        ("<a>&#0;</a>", "`&`"),
        ("<a/><b/>", "line 1 column 5"),
        ("<a>]]></a>", "]]>"),
        ("<a><!-- -- --></a>", "--"),
        ("<?xml version='2.0'?><a/>", "another version than XML 1.0"),
        ("<a><?go!?></a>", "no white space after an instruction's name"),
        ("<a :b='1'/>", "begins with a colon"),
        ("<:a/>", "begins with a colon"),
        ("<a><![CDATA[x</a>", "expected ']]>'"),
        ("<a><!x></a>", "neither a comment nor a CDATA section"),
    ] {
        let found = refused(text.as_bytes());
        assert!(found.contains(why), "{text}: {found}");
    }
}

#[test]
fn depth_is_bounded_and_fifty_thousand_levels_are_refused_at_once() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    read(&nested(MAX_DEPTH));
    read(&format!("{}<a/>{}", "<a>".repeat(MAX_DEPTH - 1), "</a>".repeat(MAX_DEPTH - 1)));
    for depth in [MAX_DEPTH + 1, 50_000] {
        assert!(refused(nested(depth).as_bytes()).contains("nest deeper than 128"), "{depth}");
        assert!(refused("<a>".repeat(depth).as_bytes()).contains("nest deeper than 128"), "{depth}");
    }
    let empty = format!("{}<a/>{}", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH));
    assert!(refused(empty.as_bytes()).contains("nest deeper"));
}

#[test]
fn attributes_and_namespaces_cost_no_more_than_the_length_explains() {
    use std::fmt::Write as _;
    let with = |count: usize, name: &str| {
        let mut text = String::from("<a");
        for number in 0..count {
            write!(text, " {name}{number}='urn:{number}'").unwrap();
        }
        text + "/>"
    };
    assert_eq!(read(&with(1000, "x")).attributes(Node { at: 1, attribute: 0 }).count(), 1000);
    assert!(refused(with(100_000, "x").as_bytes()).contains("more attributes or namespaces"));
    read(&with(500, "xmlns:n"));
    assert!(refused(with(50_000, "xmlns:n").as_bytes()).contains("more attributes or namespaces"));
    // Each element alone declares little; together they would take a place for each one in scope.
    let scope = with(59, "xmlns:n").replace("/>", ">");
    let many = format!("{scope}{}</a>", "<b xmlns:m='u'/>".repeat(30_000));
    assert!(refused(many.as_bytes()).contains("more namespaces than"));
    let usual = format!("<a xmlns='u' xmlns:p='v'>{}</a>", "<p:b p:x='1' xmlns:q='w' y='2'/>".repeat(20_000));
    assert_eq!(read(&usual).len(), 20_002);
}

#[test]
fn the_encoding_is_told_by_mark_content_type_or_declaration() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>ü€😀</a>";
    let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let (little, big) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
    let marked = |mark: &[u8], body: &[u8]| [mark, body].concat();
    let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1' ?><a>\xfc\x80</a>".to_vec();
    let cases: &[(Vec<u8>, Option<&str>, &str)] = &[
        (marked(&[0xEF, 0xBB, 0xBF], "<a>ü€😀</a>".as_bytes()), Some("iso-8859-1"), "ü€😀"),
        (marked(&[0xFF, 0xFE], &little), None, "ü€😀"),
        (marked(&[0xFE, 0xFF], &big), Some("utf-8"), "ü€😀"),
        (little, None, "ü€😀"),
        (big, None, "ü€😀"),
        // A declaration that lies about bytes that can be read.
        (text.as_bytes().to_vec(), None, "ü€😀"),
        (latin.clone(), None, "ü€"),
        (b"<a>\xfc</a>".to_vec(), Some("latin1"), "ü"),
        (b"<?xml version='1.0' encoding='utf-8'?><a>\x83\x65</a>".to_vec(), Some("Shift_JIS"), "テ"),
    ];
    for (body, charset, expected) in cases {
        let xml = Xml::parse(body, *charset).unwrap_or_else(|error| panic!("{charset:?} {expected}: {error}"));
        let mut found = String::new();
        xml.write_text(DOCUMENT, &mut found);
        assert_eq!(found, *expected);
    }
    assert!(refused(b"<a>\n\xfc</a>").contains("the text is not UTF-8, and nothing says what else it is at line 2"));
    assert!(Xml::parse(&latin, Some("klingon")).unwrap_err().message.contains("klingon"));
    for body in [&b"\xff\xfe\0\0<\0\0\0"[..], b"\0\0\0<\0\0\0a"] {
        assert!(refused(body).contains("UTF-32"));
    }
    assert!(Xml::parse(b"\xff\xfe<\0a\0\0\xd8", None).unwrap_err().message.contains("UTF-16LE"));
}

#[test]
fn an_element_becomes_a_record() {
    for (text, expected) in [
        ("<a>1</a>", r#""1""#),
        ("<a/>", r#""""#),
        ("<a> x\n</a>", r#"" x\n""#),
        ("<a><b>1</b><c/><b>2</b></a>", r#"{"b":["1","2"],"c":""}"#),
        ("<a id='7'>text</a>", r##"{"@id":"7","#text":"text"}"##),
        ("<a id='7'/>", r#"{"@id":"7"}"#),
        ("<a>\n  <b>1</b>\n</a>", r#"{"b":"1"}"#),
        ("<p>Hello <b>big</b> world</p>", r##"{"b":"big","#text":"Hello  world"}"##),
        ("<a><!-- no --><b><![CDATA[<1>]]></b><?go?></a>", r#"{"b":"<1>"}"#),
        ("<s:a xmlns:s='u' s:x='1'><s:b>2</s:b></s:a>", r#"{"@x":"1","b":"2"}"#),
        ("<a xmlns:p='u'><b>1</b><p:b>2</p:b></a>", r#"{"b":["1","2"]}"#),
        ("<a xmlns:p='u' x='1' p:x='2'/>", r#"{"@x":["1","2"]}"#),
        (
            "<a><n>007</n><n>1E9</n><n>12345678901234567890.10</n></a>",
            r#"{"n":["007","1E9","12345678901234567890.10"]}"#,
        ),
        ("<a>&lt;&#228;\"&#10;</a>", r#""<ä\"\n""#),
        (
            "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><b i:nil='true'/><c i:nil='1' x='y'/></a>",
            r#"{"b":null,"c":{"@x":"y"}}"#,
        ),
    ] {
        assert_eq!(shape(text, &[]), expected, "{text}");
        assert!(Json::parse(shape(text, &[])).is_ok());
    }
}

#[test]
fn array_paths_make_a_list_of_one() {
    let text = "<response><items><item><id>1</id></item></items><s:note xmlns:s='u'>x</s:note></response>";
    assert_eq!(shape(text, &[]), r#"{"items":{"item":{"id":"1"}},"note":"x"}"#);
    let expected = r#"{"items":{"item":[{"id":"1"}]},"note":["x"]}"#;
    assert_eq!(shape(text, &["response/items/item", "/response/note"]), expected);
    assert_eq!(shape(text, &["*/*/item", "response/note"]), expected);
    assert_eq!(shape(text, &["items/item", "response/items/item/no"]), shape(text, &[]));
    // From below: the place counts, not where the record begins.
    let xml = read(text);
    let items = xml.children(xml.root()).next().unwrap();
    let found = record(&xml, items, &arrays(&["response/items/item/id"])).unwrap();
    assert_eq!(found.text(), r#"{"item":{"id":["1"]}}"#);
    for (path, why) in
        [("", "an empty name"), ("a//b", "an empty name"), ("a/s:b", "`s:b` is no local name"), ("a/@b", "`@b`")]
    {
        let issue = ArrayPaths::default().add(path).unwrap_err();
        assert!(issue.message.contains(why) && issue.help.is_some(), "{path}: {issue:?}");
    }
    assert_eq!(ArrayPaths::default().add("/a/s:b").unwrap_err().at, 3..6);
}

#[test]
fn records_never_nest_deeper_than_json_may() {
    let depth = MAX_DEPTH - 1;
    let text = format!("{}{}", "<a><a/>".repeat(depth), "</a>".repeat(depth));
    let xml = read(&text);
    assert!(record(&xml, xml.root(), &ArrayPaths::default()).unwrap_err().to_string().contains("deeper than 128"));
    let text = format!("{}{}", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH));
    assert!(Json::parse(shape(&text, &[])).is_ok());
    // Objects and lists by turns, both ways: what is made can be read.
    for (depth, around) in (55..70).flat_map(|depth| [(depth, ""), (depth, "<r>")]) {
        let close = around.replace('<', "</");
        let text = format!("{around}{}{}{close}", "<a><a/>".repeat(depth), "</a>".repeat(depth));
        let xml = read(&text);
        let made = record(&xml, xml.root(), &ArrayPaths::default());
        assert!(made.is_ok() || depth > 62, "{depth}{around}");
        assert!(made.is_err() || depth < 66, "{depth}{around}");
        assert!(made.is_err() || Json::parse(made.unwrap().text()).is_ok(), "{depth}{around}");
    }
}

#[test]
fn a_value_is_written_in_its_own_order() {
    let plain = Style::default();
    for (json, expected) in [
        (r#"{"a":"1"}"#, "<a>1</a>"),
        (r#"{"a":null}"#, "<a/>"),
        (r#"{"a":""}"#, "<a/>"),
        (r#"{"a":{}}"#, "<a/>"),
        (
            r#"{"a":{"c":1.50,"@id":7,"b":[true,null,"x"],"e":[]}}"#,
            r#"<a id="7"><c>1.50</c><b>true</b><b/><b>x</b></a>"#,
        ),
        (r##"{"a":{"#text":"t","@x":"\"<&>'\n\t\r"}}"##, "<a x=\"&quot;&lt;&amp;&gt;'&#10;&#9;&#13;\">t</a>"),
        (r#"{"a":"<&>\"' \n\t\r]]>"}"#, "<a>&lt;&amp;&gt;\"' \n\t&#13;]]&gt;</a>"),
        (r##"{"a":{"@x":null,"#text":null}}"##, "<a/>"),
        (r#"{"ä-1.x":{"b":12345678901234567890}}"#, "<ä-1.x><b>12345678901234567890</b></ä-1.x>"),
        (r#"{"p:a":{"@xmlns:p":"urn:x","p:b":1}}"#, r#"<p:a xmlns:p="urn:x"><p:b>1</p:b></p:a>"#),
        (r#"{"a":{"@xmlns":"urn:x","@xml:lang":"de"}}"#, r#"<a xmlns="urn:x" xml:lang="de"/>"#),
    ] {
        assert_eq!(written(json, &plain).as_deref(), Ok(expected), "{json}");
    }
}

#[test]
fn prefixes_are_declared_once_at_the_root() {
    let namespaces = [("s".to_owned(), "urn:s&1".to_owned()), ("x".to_owned(), "urn:x".to_owned())];
    let style = Style { namespaces: &namespaces, root: None };
    let json = r#"{"s:E":{"s:B":{"m":{"@xmlns":"urn:m","s:n":1}},"@s:y":"z"}}"#;
    assert_eq!(
        written(json, &style).unwrap(),
        r#"<s:E xmlns:s="urn:s&amp;1" s:y="z"><s:B><m xmlns="urn:m"><s:n>1</s:n></m></s:B></s:E>"#
    );
    let unknown = written(r#"{"a":{"t:b":1}}"#, &style).unwrap_err();
    assert!(unknown.contains("the prefix `t` is not bound") && unknown.contains("[xml] namespaces"), "{unknown}");
    let default = [(String::new(), "urn:d".to_owned())];
    let style = Style { namespaces: &default, root: None };
    assert_eq!(written(r#"{"a":{"@b":1,"c":2}}"#, &style).unwrap(), r#"<a xmlns="urn:d" b="1"><c>2</c></a>"#);
}

#[test]
fn the_root_is_named_or_the_value_names_it() {
    let named = Style { root: Some("orders"), ..Style::default() };
    assert_eq!(written(r#"{"id":1,"n":2}"#, &named).unwrap(), "<orders><id>1</id><n>2</n></orders>");
    assert_eq!(written(r#"{"order":[{"id":1},{"id":2}]}"#, &named).unwrap().matches("<order>").count(), 2);
    assert_eq!(written("\"x\"", &named).unwrap(), "<orders>x</orders>");
    for json in [r#"{"id":1,"n":2}"#, "[1]", "\"x\"", "{}", r#"{"a":[1]}"#, r#"{"@a":1}"#] {
        let error = written(json, &Style::default()).unwrap_err();
        assert!(error.contains("[xml] root"), "{json}: {error}");
    }
    assert!(written("[1]", &named).unwrap_err().contains("`wrap`"));
}

#[test]
fn what_xml_cannot_hold_is_an_error_with_its_place() {
    for (json, why) in [
        (r#"{"a":{"b c":1}}"#, "a: b c: `b c` is no name of XML"),
        (r#"{"a":{"1b":1}}"#, "`1b` is no name"),
        (r#"{"a":{"b:c:d":1}}"#, "is no name"),
        (r#"{"a><evil/":1}"#, "is no name"),
        (r#"{"a":{"@x y":1}}"#, "`x y` is no name"),
        (r#"{"a":{"b":"\u0000"}}"#, "a: b: the character U+0000, which XML cannot hold"),
        (r#"{"a":{"@b":{}}}"#, "a: @b: an object cannot be written as text"),
        (r##"{"a":{"#text":[1]}}"##, "#text: a list"),
        (r#"{"a":{"b":[[1]]}}"#, "b: a list directly inside a list"),
    ] {
        let error = written(json, &Style::default()).unwrap_err();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn debug_output_shows_no_data() {
    assert_eq!(format!("{:?}", read("<a>secret</a>")), "Xml(3 nodes)");
}

/// JSON whose shape survives: no lists of one, no empty ones, values are text.
fn element() -> impl Strategy<Value = serde_json::Value> {
    let text = "[ -~äöü€😀\n\t\r]{1,12}".prop_map(serde_json::Value::String);
    let leaf = prop_oneof![text.clone(), Just(serde_json::Value::String(String::new()))];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let member = prop_oneof![inner.clone(), prop::collection::vec(inner, 2..4).prop_map(serde_json::Value::Array),];
        let members = prop::collection::vec(("[a-z][a-z0-9._-]{0,6}", member), 1..4);
        (prop::option::of(text.clone()), members).prop_map(|(attribute, members)| {
            let mut object = serde_json::Map::new();
            object.extend(attribute.map(|value| ("@id".to_owned(), value)));
            object.extend(members);
            serde_json::Value::Object(object)
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(value in element()) {
        let json = Json::from_value(&value);
        let text = write(json.as_ref(), &Style { root: Some("r"), ..Style::default() }).unwrap();
        let xml = read(&text);
        let back = record(&xml, xml.root(), &ArrayPaths::default()).unwrap();
        prop_assert_eq!(back.text(), json.text());
        let again = write(back.as_ref(), &Style { root: Some("r"), ..Style::default() }).unwrap();
        prop_assert_eq!(again, text);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200), tags in "[<>/a-c:=\"' !\\[\\]&;#x?-]{0,80}") {
        let _ = Xml::parse(&body, None);
        let _ = Xml::parse(tags.as_bytes(), None);
    }
}
