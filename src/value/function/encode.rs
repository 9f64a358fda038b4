//! Encodings: Base64, percent, HTML, JSON; and taking URLs apart.

use super::{Call, Function, Outcome, printed};
use crate::value::expression::{Value, number};
use crate::value::json::{Json, JsonRef, Kind, compact, write_string};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// All but the unreserved characters.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base64Encode", "s: text, encoding?: text", base64_encode)
        .checked(check_encoding)
        .says("the text's bytes (UTF-8, or `latin1`, `ascii`, `utf16le`, `ucs2`) in Base64; with `hex` in hexadecimal, with `base64url` in the alphabet for URLs")
        .example(r#"["username:secret"]"#, "dXNlcm5hbWU6c2VjcmV0"),
    Function::new("base64Decode", "s: text, encoding?: text", base64_decode)
        .checked(check_encoding)
        .says("the text that Base64 of either alphabet holds: as `utf8`, `ascii`, `latin1`, `binary`, `utf16le`, `ucs2`, or its bytes in `hex`")
        .example(r#"["dXNlcm5hbWU6c2VjcmV0"]"#, "username:secret"),
    Function::new("encodeURI", "s: text", |call| {
        let text = call.text(0)?;
        call.budget.produce(text.len() * 3)?;
        Ok(Value::Text(Cow::Owned(utf8_percent_encode(&text, COMPONENT).to_string())))
    })
    .says("percent-encoded, reserved characters too; inside a URI it is not encoded again")
    .example(r#"["a b&c=d/é"]"#, "a%20b%26c%3Dd%2F%C3%A9"),
    Function::new("decodeURI", "s: text", |call| {
        let text = call.text(0)?;
        match percent_decode_str(&text).decode_utf8() {
            Ok(decoded) => call.made(decoded.into_owned()),
            Err(_) => Err(call.refused("what it decodes is no UTF-8")),
        }
    })
    .says("percent-encoding undone")
    .example(r#"["a%20b%26c"]"#, "a b&c"),
    Function::new("htmlEncode", "s: text", html_encode)
        .says("`&`, `<`, `>`, `\"` and `'` as entities")
        .example(r#"["a<b & \"c\""]"#, "a&lt;b &amp; &quot;c&quot;"),
    Function::new("htmlDecode", "s: text", html_decode)
        .says("`&amp;`, `&lt;`, `&gt;`, `&quot;`, `&apos;`, `&nbsp;` and numeric entities undone")
        .example(r#"["a&lt;b &#38; &quot;c&quot;"]"#, "a<b & \"c\""),
    Function::new("jsonEncode", "v: any", json_encode)
        .says("the inside of a JSON string: text escaped, without quotes around; inside JSON it is not escaped again; lists and maps as JSON")
        .example(r#"["say \"hi\"\n"]"#, r#"say \"hi\"\n"#),
    Function::new("jsonSerialize", "v: any", serialize)
        .says("the value as JSON; inside JSON it stands as it is")
        .example(r#"[{"a":[1,"x"]}]"#, r#"{"a":[1,"x"]}"#),
    Function::new("jsonStringify", "v: any", serialize)
        .says("as `jsonSerialize`")
        .example(r#"[["a",null]]"#, r#"["a",null]"#),
    Function::new("json", "v: any", serialize)
        .says("as `jsonSerialize`")
        .example(r#"["a"]"#, r#""a""#),
    Function::new("jsonParse", "json: any", json_parse)
        .says("the value that JSON text holds, for `each`, `with` or another helper; lists and maps pass through")
        .example(r#"["{\"a\":[1,2]}"]"#, r#"{"a":[1,2]}"#),
    Function::new("stripProtocol", "url: text", |call| {
        let text = call.text(0)?;
        let at = text.find("://").filter(|at| text[..*at].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
        call.made(text[at.map_or(0, |at| at + 1)..].to_owned())
    })
    .says("without `https:`")
    .example(r#"["http://foo.bar/i"]"#, "//foo.bar/i"),
    Function::new("stripQuerystring", "url: text", |call| {
        let text = call.text(0)?;
        call.made(text.split('?').next().unwrap_or_default().to_owned())
    })
    .says("cut at the first `?`")
    .example(r#"["http://foo.bar/i?a=b"]"#, "http://foo.bar/i"),
];

const ENCODINGS: &str = "the encoding is `utf8`, `ascii`, `latin1`, `binary`, `ucs2`, `utf16le`, `hex` or `base64url`";

fn check_encoding(n: usize, text: &str) -> Result<(), String> {
    let known = matches!(text, "utf8" | "ascii" | "latin1" | "binary" | "ucs2" | "utf16le" | "hex" | "base64url");
    if n == 1 && !known { Err(ENCODINGS.to_owned()) } else { Ok(()) }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Either alphabet, with or without its padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

fn base64_encode<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (text, encoding) = (call.text(0)?, call.text_or(1, "utf8")?);
    call.budget.produce(text.len() * 2)?;
    let narrow = |most: u32| {
        let bytes: Option<Vec<u8>> =
            text.chars().map(|c| u8::try_from(c).ok().filter(|b| u32::from(*b) <= most)).collect();
        bytes.ok_or_else(|| call.refused("a character does not fit this encoding"))
    };
    let bytes = match &*encoding {
        "utf8" => return call.made(STANDARD.encode(&*text)),
        "hex" => return call.made(hex(text.as_bytes())),
        "base64url" => return call.made(URL_SAFE.encode(&*text)),
        "latin1" | "binary" => narrow(255)?,
        "ascii" => narrow(127)?,
        "utf16le" | "ucs2" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => return Err(call.refused(ENCODINGS)),
    };
    call.made(STANDARD.encode(bytes))
}

fn base64_decode<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (text, encoding) = (call.text(0)?, call.text_or(1, "utf8")?);
    call.budget.produce(text.len())?;
    let Some(bytes) = from_base64(&text) else {
        return Err(call.refused("this text is no Base64"));
    };
    let decoded = match &*encoding {
        "utf8" => String::from_utf8(bytes).ok(),
        "ascii" => Some(bytes.iter().map(|b| char::from(b & 0x7f)).collect()),
        "latin1" | "binary" => Some(bytes.iter().map(|b| char::from(*b)).collect()),
        "hex" => Some(hex(&bytes)),
        "utf16le" | "ucs2" => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => return Err(call.refused(ENCODINGS)),
    };
    match decoded {
        Some(decoded) => call.made(decoded),
        None => Err(call.refused("what it holds is no text in this encoding")),
    }
}

fn html_encode<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let text = call.text(0)?;
    call.budget.produce(text.len() * 6)?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(Value::Text(Cow::Owned(out)))
}

fn html_decode<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let text = call.text(0)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest entity known here has ten characters.
        let end = rest.bytes().take(12).position(|b| b == b';');
        let decoded = end.and_then(|end| entity(&rest[1..end]).map(|c| (c, end + 1)));
        let (c, length) = decoded.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    call.made(out)
}

fn entity(name: &str) -> Option<char> {
    let code = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        "nbsp" => return Some('\u{a0}'),
        _ => name.strip_prefix('#')?,
    };
    let number = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => code.parse(),
    };
    char::from_u32(number.ok()?)
}

fn json_encode<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let value = call.value(0);
    if matches!(value.type_name(), "a list" | "a map") {
        return serialize(call);
    }
    let text = printed(&value, call.budget)?;
    call.budget.produce(text.len() * 2)?;
    let mut quoted = Vec::with_capacity(text.len() + 8);
    write_string(&mut quoted, &text);
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    Ok(Value::Text(Cow::Owned(String::from_utf8(inner.to_vec()).unwrap_or_default())))
}

fn serialize<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    match call.value(0) {
        Value::Undefined => Ok(Value::Text(Cow::Borrowed(""))),
        Value::Json(json) => {
            call.budget.produce(json.text().len())?;
            Ok(Value::Text(compact(json)))
        }
        value => {
            let mut out = Vec::new();
            value.write(&mut out)?;
            let text = String::from_utf8(out).unwrap_or_default();
            call.made(compact(JsonRef::trusted(&text)).into_owned())
        }
    }
}

fn json_parse<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let value = call.value(0);
    if matches!(value.type_name(), "a list" | "a map") {
        return Ok(value);
    }
    let text = call.text(0)?;
    call.budget.produce(text.len())?;
    call.budget.spend(text.len() / 64)?;
    match Json::parse(text.into_owned()) {
        Ok(json) => owned(call, json.as_ref()),
        Err(error) => Err(call.refused(&format!("this text is no JSON: {error}"))),
    }
}

/// A value of its own. Depth is bounded by the parser.
fn owned<'a>(call: &Call<'_, 'a>, json: JsonRef<'_>) -> Outcome<'a> {
    call.budget.spend(1)?;
    Ok(match json.kind() {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(json.text() == "true"),
        Kind::Text => Value::Text(Cow::Owned(json.as_str().unwrap_or_default().into_owned())),
        Kind::Number => number::parse(json.text()).ok_or_else(|| call.too_large())?,
        Kind::Array => Value::List(json.items().map(|item| owned(call, item)).collect::<Result<_, _>>()?),
        Kind::Object => {
            let members = json.members().map(|(key, value)| Ok((Cow::Owned(key.into_owned()), owned(call, value)?)));
            Value::Map(members.collect::<Result<_, crate::value::issue::EvalError>>()?)
        }
    })
}
