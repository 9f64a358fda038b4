//! Tests of `json`: examples, properties and an independent judge where there is one.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn parse(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refuse(text: impl Into<Vec<u8>>) -> JsonError {
    Json::parse(text).expect_err("must be refused")
}

#[test]
fn white_space_and_a_byte_order_mark_are_trimmed() {
    assert_eq!(parse("\u{feff} \t\r\n{\"a\" : 1 } \n").text(), "{\"a\" : 1 }");
}

#[test]
fn empty_truncated_and_trailing_text_are_errors_with_their_place() {
    let cases: &[(&str, &str, usize, usize)] = &[
        ("", "the text is empty", 1, 1),
        ("  \n ", "the text is empty", 2, 2),
        ("\u{feff}", "the text is empty", 1, 4),
        ("{\"a\":1} x", "text after the end", 1, 9),
        ("{}{}", "text after the end", 1, 3),
        ("[1,\n2", "ends inside a list", 2, 2),
        ("{\"a\":", "a value should stand", 1, 6),
        ("[1,]", "expected a value", 1, 4),
        ("{\"a\":1,}", "expected a key", 1, 8),
        ("{a:1}", "expected a key", 1, 2),
        ("[01]", "malformed number", 1, 2),
        ("-", "malformed number", 1, 1),
        ("1.", "malformed number", 1, 1),
        ("1e+", "malformed number", 1, 1),
        ("\"a", "closing quote", 1, 1),
        ("\"\\x\"", "unknown escape", 1, 2),
        ("\"\\u12g4\"", "unknown escape", 1, 2),
        ("\"a\nb\"", "control character", 1, 3),
        ("nul", "expected a value", 1, 1),
        ("[1}", "expected `,` or `]`", 1, 3),
        ("{\"a\":1]", "expected `,` or `}`", 1, 7),
        ("{\"a\" 1}", "expected `:`", 1, 6),
        ("<html>", "expected a value", 1, 1),
    ];
    for (text, message, line, column) in cases {
        let error = refuse(*text);
        assert!(error.message.contains(message), "{text:?}: {error}");
        assert_eq!((error.line, error.column), (*line, *column), "{text:?}: {error}");
    }
    let error = refuse(b"[1,\n\"\xff\"]".to_vec());
    assert_eq!(error.to_string(), "the text is not UTF-8 at line 2 column 2");
}

#[test]
fn nesting_is_accepted_to_128_levels_and_refused_beyond_without_recursion() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        let json = parse(&deep(128));
        assert_eq!(json.as_ref().to_value().to_string().len(), deep(128).len());
        for n in [129, 5_000, 100_000] {
            assert!(refuse(deep(n)).message.contains("128"));
            assert!(refuse(open.repeat(n)).message.contains("128"));
        }
    }
    assert!(refuse("[".repeat(128)).message.contains("ends"));
}

#[test]
fn depth_counts_open_brackets_not_all_brackets() {
    let wide = format!("[{}1]", "[[]],{\"a\":{}},".repeat(1000));
    assert_eq!(parse(&wide).as_ref().items().count(), 2001);
}

#[test]
fn strings_are_unescaped() {
    let cases = [
        (r#""""#, ""),
        (r#""plain""#, "plain"),
        (r#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20ac""#, "Aé€"),
        (r#""\ud83d\ude00!""#, "😀!"),
        (r#""\uD83D\uDE00""#, "😀"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00x""#, "\u{fffd}x"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (
            r#""long enough to leave the first words behind \" and go on é""#,
            "long enough to leave the first words behind \" and go on é",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).as_ref().as_str().as_deref(), Some(expected), "{text}");
        assert_eq!(parse(text).as_ref().to_value(), Value::String(expected.into()), "{text}");
    }
    assert!(matches!(parse("\"ab\"").as_ref().as_str(), Some(Cow::Borrowed("ab"))));
    assert_eq!(parse("1").as_ref().as_str(), None);
}

#[test]
fn truth_follows_the_format() {
    for falsy in ["null", "false", "0", "0.0", "-0", "-0.00e7", "0E5", "\"\"", "[]", "[ \n ]"] {
        assert!(!parse(falsy).as_ref().is_truthy(), "{falsy}");
    }
    for truthy in ["true", "1", "-0.01", "1e0", "\" \"", "\"0\"", "\"false\"", "[null]", "{}", "{\"a\":0}"] {
        assert!(parse(truthy).as_ref().is_truthy(), "{truthy}");
    }
}

#[test]
fn values_are_compared_as_exact_text() {
    for (text, expected) in
        [("1.0", "1.0"), ("true", "true"), ("null", "null"), (r#""\u0031""#, "1"), ("[1, 2]", "[1, 2]")]
    {
        assert_eq!(parse(text).as_ref().compare_text(), expected);
    }
}

#[test]
fn a_number_beyond_f64_and_half_a_surrogate_pair_decode_without_loss_of_the_rest() {
    let json = parse(r#"{"n":1e400,"s":"\ud800","a":[1,2.5,-3,18446744073709551615,true,null]}"#);
    let expected =
        serde_json::json!({"n":"1e400","s":"\u{fffd}","a":[1,2.5,-3,18_446_744_073_709_551_615_u64,true,null]});
    assert_eq!(json.as_ref().to_value(), expected);
}

#[test]
fn parts_share_the_buffer_and_foreign_parts_are_copied() {
    let page = parse(r#"{"data":[{"id":1},{"id":2}]}"#);
    let second = page.as_ref().get("data").and_then(|data| data.at(1)).unwrap();
    let shared = page.share(second);
    assert_eq!(shared.text(), r#"{"id":2}"#);
    assert!(Arc::ptr_eq(&shared.page, &page.page));
    assert_eq!(shared.text().as_ptr(), second.text().as_ptr());
    assert_eq!(shared.bytes().as_ptr(), second.text().as_ptr());
    let other = parse("[3]");
    let copied = page.share(other.as_ref());
    assert_eq!(copied.text(), "[3]");
    assert!(!Arc::ptr_eq(&copied.page, &other.page));
}

#[test]
fn debug_output_shows_no_data() {
    let json = parse(r#"["secret"]"#);
    assert_eq!(format!("{json:?} {:?}", json.as_ref()), "Json(10 bytes) JsonRef(10 bytes)");
}

#[test]
fn scanning_text_that_is_no_json_ends() {
    for text in ["", "{", "[", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[,", "[\"\\", "\"", "\"\\", "{\"a\"}", "[]]", "x"] {
        let json = JsonRef::trusted(text);
        let _ = (json.items().count(), json.members().count(), json.as_str(), json.is_truthy(), json.get("a"));
        let _ = json.to_value();
    }
}

/// A document, and the text of it with white space and needless escapes.
fn document() -> impl Strategy<Value = String> {
    let string =
        prop_oneof!["[a-z]{0,12}", "\\PC{0,40}", Just("\u{0}\u{1f}\"\\/\n".to_owned()), Just("😀é€".to_owned())]
            .prop_map(|text| {
                let mut out = Vec::new();
                write_string(&mut out, &text);
                String::from_utf8(out).unwrap()
            });
    let escaped = "[a-z]{1,3}".prop_map(|text| {
        let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{}\"", units.concat())
    });
    let key = prop_oneof![4 => "[a-d]".prop_map(|k| format!("\"{k}\"")), 1 => escaped.clone(), 1 => string.clone()];
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-1e9..1e9_f64).prop_map(|n| n.to_string()),
        Just("-0".to_owned()),
        Just("0.10".to_owned()),
        Just("1E+2".to_owned()),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number,
        string,
        escaped
    ];
    let gap = || prop_oneof![3 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t ")];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let item = (gap(), inner.clone(), gap()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
        let member = (gap(), key.clone(), gap(), gap(), inner, gap())
            .prop_map(|(a, k, b, c, v, d)| format!("{a}{k}{b}:{c}{v}{d}"));
        prop_oneof![
            (gap(), prop::collection::vec(item, 0..6)).prop_map(|(g, items)| if items.is_empty() {
                format!("[{g}]")
            } else {
                format!("[{}]", items.join(","))
            }),
            (gap(), prop::collection::vec(member, 0..6)).prop_map(|(g, all)| if all.is_empty() {
                format!("{{{g}}}")
            } else {
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

fn same(json: JsonRef<'_>, oracle: &Value) -> Result<(), TestCaseError> {
    prop_assert_eq!(json.to_value(), oracle.clone());
    prop_assert_eq!(decode::lenient(json, 0), oracle.clone());
    match oracle {
        Value::Array(items) => {
            prop_assert_eq!(json.kind(), Kind::Array);
            prop_assert_eq!(json.items().count(), items.len());
            for (index, (mine, theirs)) in json.items().zip(items).enumerate() {
                prop_assert_eq!(json.at(index), Some(mine));
                same(mine, theirs)?;
            }
            prop_assert!(json.at(items.len()).is_none());
        }
        Value::Object(members) => {
            prop_assert_eq!(json.kind(), Kind::Object);
            let record = crate::value::record::Record::new(Json::trusted(json.text()));
            for (key, theirs) in members {
                let mine = json.get(key).expect("member");
                prop_assert_eq!(record.get(key).map(JsonRef::text), Some(mine.text()));
                same(mine, theirs)?;
            }
            prop_assert!(json.members().all(|(key, _)| members.contains_key(key.as_ref())));
        }
        Value::String(text) => {
            let mine = json.as_str();
            prop_assert_eq!(mine.as_deref(), Some(text.as_str()));
        }
        _ => prop_assert!(json.as_str().is_none() && json.items().next().is_none()),
    }
    Ok(())
}

proptest! {
    #[test]
    fn scanning_agrees_with_the_oracle(text in document()) {
        let oracle: Value = serde_json::from_str(&text).unwrap();
        same(Json::parse(text).unwrap().as_ref(), &oracle)?;
    }

    #[test]
    fn checking_agrees_with_the_oracle_on_damaged_text(
        text in document(), at in any::<prop::sample::Index>(), with in "[\\[\\]{},:\"\\\\0-9.eE+tfn \u{0}é-]{0,2}", cut in 0..3_usize,
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, with.chars());
        let damaged: String = chars.into_iter().collect();
        let oracle = serde_json::from_str::<&serde_json::value::RawValue>(&damaged);
        prop_assert_eq!(Json::parse(damaged.as_str()).is_ok(), oracle.is_ok(), "{}", damaged);
    }

    #[test]
    fn written_strings_are_read_back_by_the_oracle(text in any::<String>()) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}

#[test]
fn half_a_pair_is_told_from_a_whole_one_and_from_what_only_looks_like_it() {
    for (json, torn) in [
        (r#""\ud83d""#, true),
        (r#""\ude00\ud83d""#, true),
        (r#"{"a":["x\udc00"]}"#, true),
        (r#"{"\ud83dk":1}"#, true),
        (r#""\ud83d\ude00""#, false),
        (r#""\ud83d\ude00\ud83d""#, true),
        (r#""\\ud83d""#, false),
        (r#""\\\ud83d""#, true),
        (r#""\ufffd \u0041 😀""#, false),
        ("\"\u{fffd}\"", false),
        ("1", false),
    ] {
        assert_eq!(is_torn(json), torn, "{json}");
    }
}
