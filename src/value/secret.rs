//! Secrets as a type: no Display, no Serialize, a Debug that says nothing. And the one redactor every text that
//! leaves the process passes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// What stands in place of a secret, always the same width.
pub const MASK: &str = "[secret]";

/// Shorter values are not searched for: masking every `1` or `no` would destroy the text and give the secret's
/// length away. They are still never printed by their type.
pub const SHORTEST: usize = 4;

/// How often a text is looked for inside JSON inside JSON: a body quoted in an error quoted in a log line.
const MOST_LEVELS: u32 = 4;

/// How often a percent-encoded text may be encoded again (a link within a link), and an XML text be escaped again.
const MOST_NESTED: usize = 3;

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }
    /// The value itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Masks secrets in texts: as they are, in capitals, in small letters and backwards; percent-encoded in any style and several
/// times over, escaped inside XML or HTML and inside JSON strings; in hexadecimal, and in base64 (also as a part of a longer
/// base64 text). Cheap to clone. Each text is read once, without a limit on how many secrets are known.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Option<Arc<Known>>,
}

struct Known {
    forms: Vec<Form>,
    /// For each byte the forms that begin with it as they are, as places in `forms`.
    by_start: Vec<Vec<u32>>,
    /// For each character that a form begins with and that may be spelled otherwise, those forms.
    by_spelled: Vec<(char, Vec<u32>)>,
}

struct Form {
    text: String,
    /// Whether encoded spellings count too; not for base64 forms.
    spelled: bool,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Knows these secrets. Values shorter than [`SHORTEST`] bytes are passed over.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets: BTreeSet<&str> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        let mut encoded = BTreeSet::new();
        for secret in &secrets {
            add_base64(&mut encoded, secret);
            add_hex(&mut encoded, secret);
        }
        let plain: BTreeSet<String> = secrets.iter().flat_map(|secret| as_written(secret)).collect();
        let plain = plain.into_iter().map(|text| Form { text, spelled: true });
        let forms: Vec<Form> = plain.chain(encoded.into_iter().map(|text| Form { text, spelled: false })).collect();
        if forms.is_empty() {
            return Self::default();
        }
        let mut by_start = vec![Vec::new(); 256];
        let mut by_spelled: BTreeMap<char, Vec<u32>> = BTreeMap::new();
        for (place, form) in (0_u32..).zip(&forms) {
            for byte in form.text.bytes().take(1) {
                by_start[usize::from(byte)].push(place);
            }
            for first in form.text.chars().take(1).filter(|_| form.spelled) {
                by_spelled.entry(first).or_default().push(place);
            }
        }
        Self { known: Some(Arc::new(Known { forms, by_start, by_spelled: by_spelled.into_iter().collect() })) }
    }

    /// The text with every known secret masked; where several fit, the longest.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(known) = &self.known else { return Cow::Borrowed(text) };
        let (mut out, mut done, mut at) = (String::new(), 0, 0);
        while let Some(byte) = text.as_bytes().get(at) {
            let end = known.beginning(*byte, &text.as_bytes()[at..]);
            match end.filter_map(|form| form.end_in(text.as_bytes(), at)).max() {
                Some(end) => {
                    out.push_str(text.get(done..at).unwrap_or_default());
                    out.push_str(MASK);
                    (done, at) = (end, end);
                }
                None => at += 1,
            }
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }
}

impl Known {
    /// The forms that may begin where the rest of a text does, with this byte. Escapes are read once for each character, not
    /// for each form: an answer can consist of them.
    fn beginning<'k>(&'k self, byte: u8, rest: &'k [u8]) -> impl Iterator<Item = &'k Form> {
        let escapes = matches!(byte, b'%' | b'\\' | b'&' | b'+');
        let spelled = self.by_spelled.iter().filter(move |(c, _)| escapes && begins_spelled(byte, rest, *c));
        let places = self.by_start[usize::from(byte)].iter().chain(spelled.flat_map(|(_, places)| places));
        places.filter_map(|place| self.forms.get(*place as usize))
    }
}

impl Form {
    /// Where the form that begins at `at` ends.
    fn end_in(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        let plain = rest.starts_with(self.text.as_bytes()).then(|| at + self.text.len());
        if !self.spelled {
            return plain;
        }
        let walk = |spelling: &dyn Fn(&[u8], char) -> Option<usize>| {
            self.text.chars().try_fold(at, |at, c| {
                let rest = text.get(at..)?;
                let mut buffer = [0; 4];
                let plain = c.encode_utf8(&mut buffer);
                let length = spelling(rest, c).or_else(|| rest.starts_with(plain.as_bytes()).then_some(plain.len()));
                Some(at + length?)
            })
        };
        let in_json = (1..=MOST_LEVELS).filter_map(|level| walk(&|text, c| json_spelling(text, c, level)));
        let in_url = (0..MOST_NESTED).filter_map(|again| walk(&|text, c| percent_spelling(text, c, again)));
        // XML is quoted in JSON as often as not; only what needs it there is escaped there.
        let in_xml = (0..MOST_NESTED)
            .filter_map(|again| walk(&|text, c| entity(text, c, again).or_else(|| json_spelling(text, c, 1))));
        plain.into_iter().chain(in_url).chain(in_json).chain(in_xml).max()
    }
}

/// A secret as it is, and as what makes capitals, small letters or its mirror image of it shows it.
fn as_written(secret: &str) -> [String; 4] {
    [secret.to_owned(), secret.to_uppercase(), secret.to_lowercase(), secret.chars().rev().collect()]
}

/// Whether a text begins with a spelling of a character that begins with this byte.
fn begins_spelled(byte: u8, text: &[u8], c: char) -> bool {
    match byte {
        b'\\' => (1..=MOST_LEVELS).any(|level| json_spelling(text, c, level).is_some()),
        b'&' => (0..MOST_NESTED).any(|again| entity(text, c, again).is_some()),
        _ => (0..MOST_NESTED).any(|again| percent_spelling(text, c, again).is_some()),
    }
}

/// The length of a character's percent-encoded spelling at the front of a text, encoded `again` so often.
fn percent_spelling(text: &[u8], c: char, again: usize) -> Option<usize> {
    if c == ' ' && text.first() == Some(&b'+') {
        return Some(1);
    }
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer).bytes().try_fold(0, |at, byte| {
        let escape = text.get(at..at + 3 + 2 * again)?;
        let digits = (0..again).try_fold(escape.strip_prefix(b"%")?, |rest, _| rest.strip_prefix(b"25"))?;
        (hex(digits)? == u32::from(byte)).then_some(at + escape.len())
    })
}

/// The length of a character's reference at the front of an XML or HTML text that was escaped `again` so often: by name or
/// by number.
fn entity(text: &[u8], c: char, again: usize) -> Option<usize> {
    let rest = (0..again).try_fold(text.strip_prefix(b"&")?, |rest, _| rest.strip_prefix(b"amp;"))?;
    let name: &[u8] = match c {
        '&' => b"amp;",
        '<' => b"lt;",
        '>' => b"gt;",
        '"' => b"quot;",
        '\'' => b"apos;",
        _ => b"#",
    };
    let begun = text.len() - rest.len();
    if name != b"#" && rest.starts_with(name) {
        return Some(begun + name.len());
    }
    let number = rest.strip_prefix(b"#")?;
    let (digits, radix) = match number.first()? {
        b'x' | b'X' => (&number[1..], 16),
        _ => (number, 10),
    };
    // Zeros in front are allowed, but nobody writes more than a few.
    let end = digits.iter().take(12).position(|byte| *byte == b';')?;
    let digits = std::str::from_utf8(&digits[..end]).ok()?;
    let code = u32::from_str_radix(digits, radix).ok()?;
    (code == u32::from(c)).then(|| begun + "#".len() + usize::from(radix == 16) + end + ";".len())
}

/// The length of a character's escape at the front of a text that is a JSON string within JSON strings, `level` of
/// them. Quotes and backslashes must be escaped at every level; other characters may be from any level on.
fn json_spelling(text: &[u8], c: char, level: u32) -> Option<usize> {
    // No more than can matter: a text may be nothing but them.
    let slashes = text.iter().take(1 << MOST_LEVELS).take_while(|byte| **byte == b'\\').count();
    let whole = 1_usize << level;
    let by_number = || (0..level).map(|above| 1 << above).find_map(|slashes| numbered(text, c, slashes));
    match c {
        '\\' => return (slashes >= whole).then_some(whole).or_else(by_number),
        '"' => {
            let quoted = slashes + 1 == whole && text.get(slashes) == Some(&b'"');
            return quoted.then_some(whole).or_else(by_number);
        }
        _ => {}
    }
    (0..level).map(|above| 1 << above).find_map(|slashes| escape(text, c, slashes))
}

/// The length of an escape with so many backslashes in place of one.
fn escape(text: &[u8], c: char, slashes: usize) -> Option<usize> {
    let rest = text.get(slashes..).filter(|_| text[..slashes].iter().all(|byte| *byte == b'\\'))?;
    let short = match c {
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        other => other,
    };
    if rest.first().copied().map(char::from) == Some(short) && (short != c || !c.is_alphanumeric()) {
        return Some(slashes + 1);
    }
    numbered(text, c, slashes)
}

/// The length of an escape by number, with so many backslashes in place of one.
fn numbered(text: &[u8], c: char, slashes: usize) -> Option<usize> {
    let begun = text.get(..slashes).filter(|begun| begun.iter().all(|byte| *byte == b'\\'))?;
    let mut units = [0; 2];
    let mut at = 0;
    for unit in c.encode_utf16(&mut units) {
        let escape = text.get(at..at + slashes + 5)?;
        let digits = escape.strip_prefix(begun)?.strip_prefix(b"u")?;
        if hex(digits)? != u32::from(*unit) {
            return None;
        }
        at += slashes + 5;
    }
    Some(at)
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

fn add_hex(forms: &mut BTreeSet<String>, secret: &str) {
    let lower = secret.bytes().fold(String::with_capacity(secret.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    forms.insert(lower.to_uppercase());
    forms.insert(lower);
}

fn add_base64(forms: &mut BTreeSet<String>, secret: &str) {
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(secret));
    }
    add_shifted(forms, secret);
}

/// Inside a longer base64 text (`user:password` of basic auth) a secret begins at any of three offsets; the
/// characters that depend on its neighbours are left out.
fn add_shifted(forms: &mut BTreeSet<String>, secret: &str) {
    for shift in 1..=3_usize {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(secret.as_bytes());
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            let start = (shift * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            if let Some(inner) = encoded.get(start..end)
                && inner.len() >= SHORTEST
            {
                forms.insert(inner.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    const SECRET: &str = "p@ss w/rd\"é+1=";

    #[test]
    fn a_secret_is_masked_in_every_form_it_travels_in() {
        let redactor = Redactor::new([SECRET]);
        let json = serde_json::json!({ "a": SECRET }).to_string();
        let url = url::Url::parse_with_params("https://x.example/", [("a", SECRET)]).unwrap().to_string();
        let mut path = url::Url::parse("https://x.example/").unwrap();
        path.path_segments_mut().unwrap().push(SECRET);
        let mut raw_query = url::Url::parse("https://x.example/").unwrap();
        raw_query.set_query(Some("k=p@ss w/rd\"é+1="));
        let texts = [
            format!("a {SECRET} b"),
            json,
            url,
            path.to_string(),
            raw_query.to_string(),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string().to_lowercase(),
            SECRET.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat(),
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
            format!("Basic {}", STANDARD.encode(format!("u:{SECRET}"))),
            format!("Basic {}", STANDARD.encode(format!("us:{SECRET}"))),
            format!("Basic {}", STANDARD.encode(format!("usr:{SECRET}"))),
            format!("{:?}", format!("x{SECRET}")),
            utf8_percent_encode(&utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(), NON_ALPHANUMERIC)
                .to_string(),
            SECRET.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect::<Vec<_>>().concat(),
            SECRET.to_uppercase(),
            SECRET.to_lowercase(),
            SECRET.chars().rev().collect(),
            utf8_percent_encode(&SECRET.to_uppercase(), NON_ALPHANUMERIC).to_string(),
            "p@ss w\\/rd\\\"\\u00e9+1=".to_owned(),
        ];
        for text in texts {
            let redacted = redactor.redact(&text);
            assert!(redacted.contains(MASK), "{text} -> {redacted}");
            for part in
                ["p@ss", "p%40ss", "p%2540ss", "rd\\", "%C3%A9+1", "+1=", "=1+", "P@SS", "P%40SS", "ss@p", "\\u0040"]
            {
                assert!(!redacted.contains(part), "{text} -> {redacted}");
            }
        }
    }

    #[test]
    fn a_secret_is_found_in_xml_and_html_by_name_and_by_number() {
        let secret = "a&b<c>d\"e'f é";
        let redactor = Redactor::new([secret]);
        let named = "a&amp;b&lt;c&gt;d&quot;e&apos;f é";
        let again = named.replace('&', "&amp;");
        let numbered = secret.chars().map(|c| format!("&#{};", u32::from(c))).collect::<Vec<_>>().concat();
        let hex = secret.chars().map(|c| format!("&#X{:04x};", u32::from(c))).collect::<Vec<_>>().concat();
        for text in [
            named,
            &again,
            &again.replace("&amp;", "&amp;amp;"),
            "a&amp;b&lt;c>d\"e&#39;f é",
            "a&#38;b&#x3C;c&gt;d&#34;e&#x27;f é",
            "A&amp;B&lt;C&gt;D&quot;E&apos;F É",
            &numbered,
            &hex,
        ] {
            assert_eq!(redactor.redact(&format!("<p>{text}</p>")), format!("<p>{MASK}</p>"), "{text}");
            let quoted = serde_json::to_string(text).unwrap();
            assert_eq!(redactor.redact(&quoted), format!("\"{MASK}\""), "{quoted}");
        }
        for other in ["a&amp;b&gt;c", "a&b&lt;", "&#97", "&#x;", "&#99999999999999;"] {
            assert_eq!(redactor.redact(other), other);
        }
    }

    #[test]
    fn a_secret_is_found_in_json_quoted_in_json() {
        for secret in [SECRET, r"a\n\\b", "\"\"\\\\\n😀/", r"\u0041"] {
            let redactor = Redactor::new([secret]);
            let mut text = secret.to_owned();
            for level in 1..=MOST_LEVELS {
                text = serde_json::to_string(&text).unwrap();
                let inner = text.trim_matches('"').trim_end_matches('\\');
                assert!(redactor.redact(&format!("x {text} y")).contains(MASK), "{secret} at level {level}: {inner}");
            }
        }
        let redactor = Redactor::new(["naïve"]);
        assert_eq!(redactor.redact(r"a na\\u00efve b na\\\\u00efve c"), "a [secret] b [secret] c");
    }

    #[test]
    fn the_longest_secret_wins_so_that_no_rest_is_left() {
        let redactor = Redactor::new(["token", "token-and-more"]);
        assert_eq!(redactor.redact("x token-and-more y token z"), "x [secret] y [secret] z");
    }

    #[test]
    fn short_values_are_passed_over_and_other_text_is_borrowed() {
        let redactor = Redactor::new(["abc", "", "long-enough"]);
        assert!(matches!(redactor.redact("abc and more"), Cow::Borrowed("abc and more")));
        assert!(matches!(Redactor::default().redact("abcd"), Cow::Borrowed("abcd")));
    }

    #[test]
    fn the_mask_has_one_width_whatever_the_secret() {
        let redactor = Redactor::new(["four", "a-much-longer-secret-than-four"]);
        assert_eq!(redactor.redact("four,a-much-longer-secret-than-four"), "[secret],[secret]");
    }

    #[test]
    fn a_text_of_nothing_but_escapes_is_read_once() {
        let redactor = Redactor::new([SECRET, "\\\\x", "&x;y", "% %%", "\"quoted\""]);
        for text in ["\\", "%", "%25", "&", "&amp;", "&#0", "\\u00", "\\\\\\x", "+"] {
            let text = text.repeat((32 << 10) / text.len());
            assert_eq!(redactor.redact(&format!("{text}{SECRET}")).matches(MASK).count(), 1, "{}", &text[..9]);
        }
    }

    #[test]
    fn many_and_long_secrets_are_found() {
        let secrets: Vec<String> = (0..500).map(|i| format!("secret-number-{i:05}")).collect();
        let redactor = Redactor::new(secrets.iter().map(String::as_str));
        assert_eq!(redactor.redact("a secret-number-00499 b"), "a [secret] b");
        let huge = "k".repeat(1 << 20);
        let redactor = Redactor::new([huge.as_str()]);
        assert_eq!(redactor.redact(&format!("é{huge}é")), "é[secret]é");
    }

    #[test]
    fn a_secret_that_looks_like_an_escape_is_found_as_it_is_and_escaped() {
        for secret in [r"a\nb", r"\u0041", "100%25", "50 %", r"a\\b", "a+b c"] {
            let redactor = Redactor::new([secret]);
            let mut json = Vec::new();
            crate::value::json::write_string(&mut json, secret);
            let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            for text in [secret.to_owned(), String::from_utf8(json).unwrap().trim_matches('"').to_owned(), percent] {
                assert_eq!(redactor.redact(&text), MASK, "{secret} as {text}");
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter22")), MASK);
        assert_eq!(format!("{:?}", Redactor::new(["hunter22"])), "Redactor");
    }
}
