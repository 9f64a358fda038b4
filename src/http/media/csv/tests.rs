//! Tests of `csv`.

use super::*;
use crate::value::document::Document;

fn parsed(text: &str, csv: &Csv) -> Result<String, String> {
    read(text, csv, 1 << 20).map(|document| document.text().to_owned())
}

fn written(json: &str, csv: &Csv) -> Result<String, String> {
    let json = Json::parse(json).unwrap();
    let encoded = write(json.as_ref(), csv).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(encoded.bytes.to_vec()).unwrap())
}

#[test]
fn rows_become_objects_of_texts() {
    let csv = Csv::default();
    let cases = [
        ("id,name\n1E9,007\n", r#"[{"id":"1E9","name":"007"}]"#),
        ("id,name\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n", r#"[{"id":"1","name":"a, \"b\"\r\nc"}]"#),
        ("\u{feff}id\n\n9007199254740993\n", r#"[{"id":"9007199254740993"}]"#),
        ("a,b\r1,2\r3,4", r#"[{"a":"1","b":"2"},{"a":"3","b":"4"}]"#),
        ("a,,c\n1,2,3\n", r#"[{"a":"1","column_2":"2","c":"3"}]"#),
        ("a,b\n\"\",\n", r#"[{"a":"","b":""}]"#),
        ("a\nx\"y\n", r#"[{"a":"x\"y"}]"#),
        ("a,b\n", "[]"),
        ("", "[]"),
    ];
    for (text, json) in cases {
        assert_eq!(parsed(text, &csv).unwrap(), json, "{text:?}");
    }
    let semicolon = Csv { delimiter: b';', ..Csv::default() };
    assert_eq!(parsed("a;b\n1,5;2", &semicolon).unwrap(), r#"[{"a":"1,5","b":"2"}]"#);
    let bare = Csv { header: false, ..Csv::default() };
    assert_eq!(
        parsed("1,2\n3,4", &bare).unwrap(),
        r#"[{"column_1":"1","column_2":"2"},{"column_1":"3","column_2":"4"}]"#
    );
    let plain = Csv { quoting: Quoting::None, delimiter: b'\t', ..Csv::default() };
    assert_eq!(parsed("a\tb\n\"x\ty", &plain).unwrap(), r#"[{"a":"\"x","b":"y"}]"#);
}

#[test]
fn what_is_no_table_is_told_with_its_line() {
    let csv = Csv::default();
    for (text, why) in [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields where the header has 2"),
        ("a,b\n\"1\n\n\",2\n3,4,5\n", "line 5 has 3 fields where the header has 2"),
        ("a\n\"1\n2\n", "line 2: a quote is opened and never closed"),
        ("a\n\"1\" x\n", "line 2: text stands after a closing quote"),
        ("a,b,a\n", "the header names \"a\" twice, in columns 1 and 3"),
    ] {
        let error = parsed(text, &csv).unwrap_err();
        assert!(error.starts_with(why), "{text:?}: {error}");
    }
    let wide = ",".repeat(MOST_COLUMNS);
    assert!(parsed(&wide, &csv).unwrap_err().contains("more than 16384 fields"));
}

#[test]
fn long_names_over_many_rows_stop_at_the_cap() {
    let text = format!("{}\n{}", "n".repeat(10_000), "1\n".repeat(10_000));
    assert!(read(&text, &Csv::default(), 1 << 20).unwrap_err().contains("max_response"));
}

#[test]
fn records_become_rows_under_the_first_one_s_names() {
    let csv = Csv::default();
    let records = r#"[{"id":1.50,"t":"a \"b\", c"},{"t":null,"id":"007"},{"id":true}]"#;
    assert_eq!(written(records, &csv).unwrap(), "id,t\r\n1.50,\"a \"\"b\"\", c\"\r\n007,\r\ntrue,\r\n");
    assert_eq!(written(r#"{"f":"=1+1"}"#, &csv).unwrap(), "f\r\n=1+1\r\n");
    assert_eq!(written(r#"[{"a":""}]"#, &csv).unwrap(), "a\r\n\"\"\r\n");
    assert_eq!(written(r#"[[1,"x"],[2,null]]"#, &csv).unwrap(), "1,x\r\n2,\r\n");
    let all = Csv { quoting: Quoting::All, header: false, delimiter: b';', ..Csv::default() };
    assert_eq!(written(r#"[{"a":1,"b":"x"}]"#, &all).unwrap(), "\"1\";\"x\"\r\n");
    assert_eq!(written("[]", &csv).unwrap(), "");
}

#[test]
fn what_no_field_can_hold_is_refused() {
    let csv = Csv::default();
    for (json, why) in [
        (r#"[{"a":[1]}]"#, "`a` is a list"),
        (r#"[{"a":1},{"b":1}]"#, "row 2: `b` is no column"),
        (r#"["x"]"#, "made of a table"),
    ] {
        let error = written(json, &csv).unwrap_err();
        assert!(error.contains(why), "{json}: {error}");
    }
    let none = Csv { quoting: Quoting::None, ..Csv::default() };
    assert!(written(r#"[{"a":"1,2"}]"#, &none).unwrap_err().contains("quoting"));
}

fn document(text: &str) -> Document {
    read(text, &Csv::default(), usize::MAX).unwrap()
}

proptest::proptest! {
    #[test]
    fn any_texts_come_back_as_they_went(
        rows in proptest::collection::vec(proptest::array::uniform3("[ -~\\r\\n\"é,;]{0,8}"), 1..8),
        quoting in proptest::sample::select(vec![Quoting::Needed, Quoting::All]),
    ) {
        let rows: Vec<serde_json::Value> =
            rows.iter().map(|[a, b, c]| serde_json::json!({"a b": a, "\"": b, "c": c})).collect();
        let json = Json::from_value(&rows.into());
        let csv = Csv { quoting, ..Csv::default() };
        let encoded = write(json.as_ref(), &csv).unwrap();
        let text = String::from_utf8(encoded.bytes.to_vec()).unwrap();
        let read = document(&text);
        proptest::prop_assert_eq!(read.text(), json.text());
    }

    #[test]
    fn no_text_makes_reading_panic(text in "[a,\"\\r\\n;é]{0,40}", header in proptest::bool::ANY) {
        let csv = Csv { header, ..Csv::default() };
        if let Ok(text) = parsed(&text, &csv) {
            proptest::prop_assert!(Json::parse(text).is_ok());
        }
    }
}
