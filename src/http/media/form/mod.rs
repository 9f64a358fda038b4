//! `form` (`application/x-www-form-urlencoded`): names in brackets stand for tables and lists.

mod read;

pub(super) use read::read;

use super::{Encoded, MediaType};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use url::form_urlencoded::{Serializer, parse};

/// Deepest nesting of names.
const DEEPEST: usize = 32;

/// `[form]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// `lists`
    pub lists: Lists,
}

/// How a list is written. A list of tables or lists is always written with places, or nobody could tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lists {
    /// `a=1&a=2`
    #[default]
    Repeat,
    /// `a[]=1&a[]=2`
    Brackets,
    /// `a[0]=1&a[1]=2`
    Index,
}

/// An object; null is left out.
pub(super) fn write(value: JsonRef<'_>, form: Form) -> Result<Encoded, EvalError> {
    if value.kind() != Kind::Object {
        return Err(EvalError::Type(format!(
            "a form is made of a table, not of {}; `wrap` puts a batch under a name",
            value.kind().name()
        )));
    }
    let mut out = Serializer::new(String::new());
    for (name, value) in value.members() {
        field(&name, value, form, 0, &mut out)?;
    }
    Ok(Encoded::new(out.finish(), MediaType::Form.content_type()))
}

fn field(
    name: &str,
    value: JsonRef<'_>,
    form: Form,
    depth: usize,
    out: &mut Serializer<'_, String>,
) -> Result<(), EvalError> {
    if depth > DEEPEST {
        return Err(EvalError::Limit(format!("a form nests at most {DEEPEST} levels")));
    }
    match value.kind() {
        Kind::Null => {}
        Kind::Text | Kind::Number | Kind::Bool => {
            out.append_pair(name, &value.compare_text());
        }
        Kind::Object => {
            for (key, value) in value.members() {
                field(&format!("{name}[{key}]"), value, form, depth + 1, out)?;
            }
        }
        Kind::Array => {
            let plain = value.items().all(|item| !matches!(item.kind(), Kind::Array | Kind::Object));
            for (n, item) in value.items().enumerate() {
                let name = match form.lists {
                    Lists::Repeat if plain => name.to_owned(),
                    Lists::Brackets if plain => format!("{name}[]"),
                    _ => format!("{name}[{n}]"),
                };
                field(&name, item, form, depth + 1, out)?;
            }
        }
    }
    Ok(())
}

/// Sets one field of a form that was written, in place of all of its name. Its path is dotted.
pub(in crate::http) fn set(body: &[u8], path: &[&str], text: &str) -> Vec<u8> {
    let (first, rest) = path.split_first().unwrap_or((&"", &[]));
    let name = rest.iter().fold((*first).to_owned(), |name, part| format!("{name}[{part}]"));
    let kept = parse(body).filter(|(other, _)| *other != name);
    let mut out = Serializer::new(String::new());
    out.extend_pairs(kept);
    out.append_pair(&name, text);
    out.finish().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    fn written(json: &str, lists: Lists) -> Result<String, String> {
        let json = Json::parse(json).unwrap();
        let encoded = write(json.as_ref(), Form { lists }).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(encoded.bytes.to_vec()).unwrap())
    }

    fn parsed(text: &str) -> Result<String, String> {
        read(text.as_bytes()).map(|document| document.text().to_owned())
    }

    #[test]
    fn tables_nest_in_brackets_and_lists_as_asked() {
        let json = r#"{"a":{"b":{"c":1.50}},"l":["x y","&"],"n":null,"t":true,"o":[{"q":1},{"q":2}]}"#;
        let tail = "&t=true&o%5B0%5D%5Bq%5D=1&o%5B1%5D%5Bq%5D=2";
        let head = "a%5Bb%5D%5Bc%5D=1.50&";
        assert_eq!(written(json, Lists::Repeat).unwrap(), format!("{head}l=x+y&l=%26{tail}"));
        assert_eq!(written(json, Lists::Brackets).unwrap(), format!("{head}l%5B%5D=x+y&l%5B%5D=%26{tail}"));
        assert_eq!(written(json, Lists::Index).unwrap(), format!("{head}l%5B0%5D=x+y&l%5B1%5D=%26{tail}"));
        assert!(written("[1]", Lists::Repeat).unwrap_err().contains("wrap"));
        let deep = format!("{{\"a\":{}1{}}}", "{\"a\":".repeat(40), "}".repeat(40));
        assert!(written(&deep, Lists::Repeat).unwrap_err().contains("32 levels"));
    }

    #[test]
    fn brackets_read_as_tables_and_lists() {
        for (text, json) in [
            ("a=1&b=007&a=1E9", r#"{"a":["1","1E9"],"b":"007"}"#),
            ("a[]=1", r#"{"a":["1"]}"#),
            ("a[0][q]=1&a[0][r]=2&a[1][q]=3", r#"{"a":[{"q":"1","r":"2"},{"q":"3"}]}"#),
            ("a%5Bb%5D[c]=%C3%A9+x", r#"{"a":{"b":{"c":"é x"}}}"#),
            ("a[5]=x&a[k]=y", r#"{"a":{"5":"x","k":"y"}}"#),
            ("a=&=x&b", r#"{"a":"","":"x","b":""}"#),
            ("a[b=1&[c]=2&a]=3", r#"{"a[b":"1","[c]":"2","a]":"3"}"#),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(json), "{text}");
        }
    }

    #[test]
    fn contradictions_and_bombs_are_refused() {
        assert!(parsed("a=1&a[b]=2").unwrap_err().contains("`a[b]`"));
        assert!(parsed("a[b]=2&a=1").unwrap_err().contains("`a`"));
        assert!(parsed(&format!("a{}=1", "[b]".repeat(40))).unwrap_err().contains("32 levels"));
        assert!(parsed("a[4000000000]=1").is_ok(), "a place is no promise of memory");
    }

    #[test]
    fn a_field_is_set_in_place_of_its_name() {
        let set = |body: &str, path: &[&str], text: &str| String::from_utf8(set(body.as_bytes(), path, text)).unwrap();
        assert_eq!(set("a=1&page=1&page=2", &["page"], "3"), "a=1&page=3");
        assert_eq!(set("", &["p", "no"], "a b"), "p%5Bno%5D=a+b");
    }

    fn tree() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = "[ -~é\\n]{0,6}".prop_map(serde_json::Value::from);
        let inner = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Into::into),
                prop::collection::vec(("[a-z&= %]{1,3}", inner), 1..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        });
        proptest::collection::vec(("[a-z]{1,3}", inner), 1..4)
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
    }

    proptest::proptest! {
        #[test]
        fn any_tree_of_texts_comes_back_when_its_lists_have_places(tree in tree()) {
            let json = Json::from_value(&tree);
            let written = write(json.as_ref(), Form { lists: Lists::Index }).unwrap();
            proptest::prop_assert_eq!(read(&written.bytes).unwrap().view().to_value(), tree);
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[ab&=\\[\\]0-2%+é]{0,40}") {
            let _ = parsed(&text);
        }
    }
}
