//! Secrets as a type: no Display, no Serialize, a Debug that says nothing. And the one redactor every text that
//! leaves the process passes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeSet;
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

/// How far behind a secret's end another one is looked for that begins inside it.
const LONGEST_OVERLAP: usize = 1024;

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
///
/// A piece that somebody else cut out of a secret is not looked for: eight bytes of one are as likely a word
/// (`password`, `producti`on) as a secret, and masking words would take away what a message says. What the
/// configuration itself makes of secrets is known, pieces too.
#[derive(Clone, Default)]
pub struct Redactor {
    known: SmallVec<[Arc<Known>; 2]>,
}

struct Known {
    forms: Vec<Form>,
    /// For each byte the forms that begin with it, as places in `forms`.
    by_start: Vec<Vec<u32>>,
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
        for (place, form) in (0_u32..).zip(&forms) {
            for byte in form.text.bytes().take(1) {
                by_start[usize::from(byte)].push(place);
            }
        }
        Self { known: SmallVec::from_iter([Arc::new(Known { forms, by_start })]) }
    }

    /// Knows the secrets of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self { known: self.known.iter().chain(&other.known).cloned().collect() }
    }

    /// The text with every known secret masked; where several fit, the longest. Those that overlap leave nothing of each
    /// other.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.known.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut done, mut at) = (String::new(), 0, 0);
        while at < text.len() {
            let Some(mut end) = self.end_at(text.as_bytes(), at) else {
                at += 1;
                continue;
            };
            let mut inside = (at + 1).max(end.saturating_sub(LONGEST_OVERLAP));
            while inside < end {
                end = self.end_at(text.as_bytes(), inside).map_or(end, |further| further.max(end));
                inside += 1;
            }
            out.push_str(text.get(done..at).unwrap_or_default());
            out.push_str(MASK);
            (done, at) = (end, end);
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Where the longest secret ends that begins here.
    fn end_at(&self, text: &[u8], at: usize) -> Option<usize> {
        let first = *text.get(at)?;
        let begun_by = |start: u8| self.known.iter().filter_map(move |known| known.end_by(start, text, at)).max();
        match first {
            b'+' | b'%' | b'&' | b'\\' => starts(&text[at..]).into_iter().filter_map(begun_by).max(),
            _ => begun_by(first),
        }
    }
}

impl Known {
    /// Where the longest form ends that begins here with this byte, spelled in whatever way.
    fn end_by(&self, start: u8, text: &[u8], at: usize) -> Option<usize> {
        let places = &self.by_start[usize::from(start)];
        places.iter().filter_map(|place| self.forms.get(*place as usize)?.end_in(text, at)).max()
    }
}

/// The bytes with which a character may begin that stands, or is spelled in some way, at the front of a text.
fn starts(text: &[u8]) -> SmallVec<[u8; 16]> {
    let first = |c: char| c.encode_utf8(&mut [0; 4]).as_bytes().first().copied();
    let mut starts: SmallVec<[u8; 16]> = text.first().copied().into_iter().collect();
    match text.first() {
        Some(b'+') => starts.push(b' '),
        Some(b'%') => starts.extend((0..MOST_NESTED).filter_map(|again| escaped(text, again)).map(|(byte, _)| byte)),
        Some(b'&') => {
            let characters = (0..MOST_NESTED).filter_map(|again| reference(text, again));
            starts.extend(characters.filter_map(|(c, _)| first(c)));
        }
        Some(b'\\') => {
            // No more than can matter: a text may be nothing but them.
            let slashes = text.iter().take(1 << MOST_LEVELS).take_while(|byte| **byte == b'\\').count();
            let fewer = (0..MOST_LEVELS).map(|level| 1 << level).filter(|few| *few <= slashes);
            for slashes in fewer.chain([slashes]) {
                starts.extend(short(text.get(slashes).copied()).and_then(first));
                match unit(text, slashes).map(char::from_u32) {
                    Some(Some(c)) => starts.extend(first(c)),
                    // One half of a character that takes four bytes.
                    Some(None) => starts.extend(0xf0..=0xf4),
                    None => {}
                }
            }
        }
        _ => {}
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// What a letter behind a backslash stands for, where it stands for something.
fn short(letter: Option<u8>) -> Option<char> {
    letter.map(|letter| match letter {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        other => char::from(other),
    })
}

impl Form {
    /// Where the form that begins at `at` ends.
    fn end_in(&self, text: &[u8], at: usize) -> Option<usize> {
        // No spelling of a character is shorter than the character.
        let rest = text.get(at..).filter(|rest| rest.len() >= self.text.len())?;
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

/// The length of a character's percent-encoded spelling at the front of a text, encoded `again` so often.
fn percent_spelling(text: &[u8], c: char, again: usize) -> Option<usize> {
    if c == ' ' && text.first() == Some(&b'+') {
        return Some(1);
    }
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer).bytes().try_fold(0, |at, byte| {
        let (found, length) = escaped(text.get(at..)?, again)?;
        (found == byte).then_some(at + length)
    })
}

/// The byte whose percent-encoded spelling, encoded `again` so often, is at the front of a text, and its length.
fn escaped(text: &[u8], again: usize) -> Option<(u8, usize)> {
    let escape = text.get(..3 + 2 * again)?;
    let digits = (0..again).try_fold(escape.strip_prefix(b"%")?, |rest, _| rest.strip_prefix(b"25"))?;
    Some((u8::try_from(hex(digits)?).ok()?, escape.len()))
}

/// The length of a character's reference at the front of an XML or HTML text that was escaped `again` so often: by name or
/// by number.
fn entity(text: &[u8], c: char, again: usize) -> Option<usize> {
    reference(text, again).and_then(|(found, length)| (found == c).then_some(length))
}

/// The character whose reference is there, and its length.
fn reference(text: &[u8], again: usize) -> Option<(char, usize)> {
    let rest = (0..again).try_fold(text.strip_prefix(b"&")?, |rest, _| rest.strip_prefix(b"amp;"))?;
    let begun = text.len() - rest.len();
    for (name, c) in [(&b"amp;"[..], '&'), (b"lt;", '<'), (b"gt;", '>'), (b"quot;", '"'), (b"apos;", '\'')] {
        if rest.starts_with(name) {
            return Some((c, begun + name.len()));
        }
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
    Some((char::from_u32(code)?, begun + "#".len() + usize::from(radix == 16) + end + ";".len()))
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
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().try_fold(0, |at, expected| {
        let found = unit(text.get(at..)?, slashes)?;
        (found == u32::from(*expected)).then_some(at + slashes + 5)
    })
}

/// The unit of UTF-16 that is escaped by number there.
fn unit(text: &[u8], slashes: usize) -> Option<u32> {
    let escape = text.get(..slashes + 5)?;
    let (begun, rest) = escape.split_at(slashes);
    let digits = rest.strip_prefix(b"u").filter(|_| begun.iter().all(|byte| *byte == b'\\'))?;
    hex(digits)
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
    fn secrets_that_overlap_leave_nothing_of_each_other() {
        let whole = Redactor::new(["Sekret-Canary-1234567890"]);
        let parts = Redactor::new(["Canary-12345", "7890.more"]);
        let both = whole.with(&parts);
        let text = "a Sekret-Canary-1234567890.more b Canary-12345 c Sekret%2DCanary-1234567890 d";
        assert_eq!(both.redact(text), "a [secret] b [secret] c [secret] d");
        assert_eq!(parts.with(&whole).redact(text), both.redact(text));
        assert_eq!(Redactor::default().with(&parts).redact("Canary-12345"), MASK);
        let again = Redactor::new(["aaaa"]);
        assert_eq!(again.redact("xaaaaaaaax"), "x[secret]x");
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
