//! What curl's options say about a request. Those about output and progress say nothing here; others are named.

// size: half of it is the table of curl's options.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What `--data-urlencode` leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as curl would make it. Variables of the shell are still marked in its texts.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one option of the command line")]
pub(super) struct Request {
    pub(super) method: Option<String>,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    /// Pieces of a body, in order.
    pub(super) data: Vec<String>,
    /// Some of the data is no plain text: it is sent as it is.
    pub(super) binary: bool,
    /// Parts of a form.
    pub(super) form: Vec<(String, String)>,
    /// Parts of a form that are files.
    pub(super) files: usize,
    /// `-G`: the data belongs to the query.
    pub(super) in_query: bool,
    /// `--json`
    pub(super) json: bool,
    pub(super) user: Option<String>,
    pub(super) digest: bool,
    pub(super) bearer: Option<String>,
    /// `--aws-sigv4`
    pub(super) signed: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) insecure: bool,
    /// `-m`, in seconds.
    pub(super) timeout: Option<String>,
    pub(super) connect_timeout: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) notes: Vec<String>,
}

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Method,
    Url,
    Header,
    Data,
    RawData,
    BinaryData,
    Encoded,
    Json,
    Form,
    FormText,
    Upload,
    InQuery,
    QueryPart,
    Head,
    User,
    Digest,
    Bearer,
    Signed,
    Cookie,
    Agent,
    Referer,
    Insecure,
    Timeout,
    ConnectTimeout,
    Proxy,
    Ca,
    Certificate,
    Key,
    /// Nothing here, and it takes a value.
    Skipped,
    /// Nothing here.
    Flag,
}

/// Short name (a blank where there is none), long name, meaning.
const OPTIONS: &[(char, &str, Means)] = &[
    ('X', "request", Means::Method),
    (' ', "url", Means::Url),
    ('H', "header", Means::Header),
    ('d', "data", Means::Data),
    (' ', "data-ascii", Means::Data),
    (' ', "data-raw", Means::RawData),
    (' ', "data-binary", Means::BinaryData),
    (' ', "data-urlencode", Means::Encoded),
    (' ', "json", Means::Json),
    ('F', "form", Means::Form),
    (' ', "form-string", Means::FormText),
    ('T', "upload-file", Means::Upload),
    ('G', "get", Means::InQuery),
    (' ', "url-query", Means::QueryPart),
    ('I', "head", Means::Head),
    ('u', "user", Means::User),
    (' ', "digest", Means::Digest),
    (' ', "oauth2-bearer", Means::Bearer),
    (' ', "aws-sigv4", Means::Signed),
    ('b', "cookie", Means::Cookie),
    ('A', "user-agent", Means::Agent),
    ('e', "referer", Means::Referer),
    ('k', "insecure", Means::Insecure),
    ('m', "max-time", Means::Timeout),
    (' ', "connect-timeout", Means::ConnectTimeout),
    ('x', "proxy", Means::Proxy),
    (' ', "cacert", Means::Ca),
    ('E', "cert", Means::Certificate),
    (' ', "key", Means::Key),
    ('o', "output", Means::Skipped),
    ('w', "write-out", Means::Skipped),
    ('D', "dump-header", Means::Skipped),
    ('c', "cookie-jar", Means::Skipped),
    (' ', "retry", Means::Skipped),
    (' ', "retry-delay", Means::Skipped),
    (' ', "retry-max-time", Means::Skipped),
    (' ', "max-redirs", Means::Skipped),
    (' ', "limit-rate", Means::Skipped),
    (' ', "stderr", Means::Skipped),
    (' ', "trace", Means::Skipped),
    (' ', "trace-ascii", Means::Skipped),
    (' ', "tls-max", Means::Skipped),
    (' ', "ciphers", Means::Skipped),
    (' ', "interface", Means::Skipped),
    (' ', "keepalive-time", Means::Skipped),
    (' ', "output-dir", Means::Skipped),
    ('K', "config", Means::Skipped),
    (' ', "resolve", Means::Skipped),
    ('L', "location", Means::Flag),
    (' ', "location-trusted", Means::Flag),
    (' ', "basic", Means::Flag),
    (' ', "compressed", Means::Flag),
    ('s', "silent", Means::Flag),
    ('S', "show-error", Means::Flag),
    ('f', "fail", Means::Flag),
    (' ', "fail-with-body", Means::Flag),
    ('i', "include", Means::Flag),
    (' ', "show-headers", Means::Flag),
    ('v', "verbose", Means::Flag),
    ('O', "remote-name", Means::Flag),
    ('J', "remote-header-name", Means::Flag),
    ('#', "progress-bar", Means::Flag),
    (' ', "no-progress-meter", Means::Flag),
    ('N', "no-buffer", Means::Flag),
    ('g', "globoff", Means::Flag),
    ('q', "disable", Means::Flag),
    ('n', "netrc", Means::Flag),
    ('j', "junk-session-cookies", Means::Flag),
    ('4', "ipv4", Means::Flag),
    ('6', "ipv6", Means::Flag),
    ('0', "http1.0", Means::Flag),
    (' ', "http1.1", Means::Flag),
    (' ', "http2", Means::Flag),
    (' ', "http2-prior-knowledge", Means::Flag),
    (' ', "http3", Means::Flag),
    ('1', "tlsv1", Means::Flag),
    (' ', "tlsv1.2", Means::Flag),
    (' ', "tlsv1.3", Means::Flag),
    (' ', "ssl-reqd", Means::Flag),
    (' ', "path-as-is", Means::Flag),
    (' ', "create-dirs", Means::Flag),
    (' ', "retry-all-errors", Means::Flag),
    (' ', "retry-connrefused", Means::Flag),
    (' ', "tcp-nodelay", Means::Flag),
    (' ', "no-keepalive", Means::Flag),
    (' ', "raw", Means::Flag),
];

impl Means {
    fn takes_value(self) -> bool {
        !matches!(self, Self::InQuery | Self::Head | Self::Digest | Self::Insecure | Self::Flag)
    }
}

/// Content of a file that the command line names.
type Files<'f> = &'f dyn Fn(&str) -> Result<String, String>;

pub(super) fn read(words: Vec<String>, file: Files<'_>) -> Result<Request, String> {
    let is_curl = |word: &String| {
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        matches!(name, "curl" | "curl.exe")
    };
    let Some(at) = words.iter().position(is_curl) else {
        return Err("this is no curl command: it does not begin with `curl`".to_owned());
    };
    let mut words = words.into_iter().skip(at + 1);
    let mut request = Request::default();
    let mut only_urls = false;
    while let Some(word) = words.next() {
        if only_urls || !word.starts_with('-') || word == "-" {
            request.take_url(word);
        } else if word == "--" {
            only_urls = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            let means = long_option(name)?;
            let value = match value {
                None if means.takes_value() => Some(words.next().ok_or_else(|| format!("`--{name}` lacks its value"))?),
                value => value,
            };
            request.set(means, name, value.unwrap_or_default(), file)?;
        } else {
            request.shorts(&word[1..], &mut words, file)?;
        }
    }
    if request.url.is_empty() {
        return Err("the command line names no URL".to_owned());
    }
    if request.files > 0 && request.form.is_empty() {
        return Err(
            "this request sends files only (`-F name=@file`), and multipart bodies hold fields here: nothing of \
                    it would be left; write the flow by hand, with what the files hold as a field"
                .to_owned(),
        );
    }
    Ok(request)
}

fn long_option(name: &str) -> Result<Means, String> {
    if let Some((.., means)) = OPTIONS.iter().find(|(_, long, _)| *long == name) {
        return Ok(*means);
    }
    // `--no-compressed` and the like take something away that nothing says here either.
    if name.strip_prefix("no-").is_some_and(|name| OPTIONS.iter().any(|(_, long, _)| *long == name)) {
        return Ok(Means::Flag);
    }
    let near = OPTIONS.iter().map(|(_, long, _)| (strsim::jaro(long, name), *long)).max_by(|a, b| a.0.total_cmp(&b.0));
    Err(match near {
        Some((likeness, near)) if likeness > 0.85 => format!("`--{name}` is not understood; did you mean `--{near}`?"),
        _ => format!("`--{name}` is not understood: leave it out if the request needs none of it"),
    })
}

impl Request {
    fn take_url(&mut self, url: String) {
        if self.url.is_empty() {
            self.url = url;
        } else {
            self.notes.push("only the first URL was taken".to_owned());
        }
    }

    /// `-sSXPOST`: several letters, of which the last may carry a value.
    fn shorts(
        &mut self,
        letters: &str,
        words: &mut impl Iterator<Item = String>,
        file: Files<'_>,
    ) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let found = OPTIONS.iter().find(|(short, ..)| *short == letter && letter != ' ');
            let Some((_, name, means)) = found else {
                return Err(format!("`-{letter}` is not understood: leave it out if the request needs none of it"));
            };
            if !means.takes_value() {
                self.set(*means, name, String::new(), file)?;
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = if rest.is_empty() {
                words.next().ok_or_else(|| format!("`-{letter}` lacks its value"))?
            } else {
                rest.to_owned()
            };
            return self.set(*means, name, value, file);
        }
        Ok(())
    }

    fn set(&mut self, means: Means, name: &str, value: String, file: Files<'_>) -> Result<(), String> {
        match means {
            Means::Method => self.method = Some(value.to_ascii_uppercase()),
            Means::Url => self.take_url(value),
            Means::Header => self.header(&value),
            Means::Data => {
                let text = content(&value, file)?.map(|text| text.replace(['\r', '\n'], ""));
                self.data.push(text.unwrap_or(value));
            }
            Means::RawData => self.data.push(value),
            Means::BinaryData => {
                self.binary = true;
                self.data.push(content(&value, file)?.unwrap_or(value));
            }
            Means::Encoded => self.data.push(encoded(&value, file)?),
            Means::Json => {
                self.json = true;
                self.data.push(content(&value, file)?.unwrap_or(value));
            }
            Means::Form | Means::FormText => self.part(&value, means == Means::FormText)?,
            Means::Upload => return Err("files that are uploaded (`-T`) have no counterpart here".to_owned()),
            Means::InQuery => self.in_query = true,
            Means::QueryPart => {
                let mark = if self.url.contains('?') { '&' } else { '?' };
                self.url.push(mark);
                self.url.push_str(value.trim_start_matches('+'));
            }
            Means::Head => self.method = Some("HEAD".to_owned()),
            Means::User => self.user = Some(value),
            Means::Digest => self.digest = true,
            Means::Bearer => self.bearer = Some(value),
            Means::Signed => self.signed = Some(value),
            Means::Cookie if value.contains('=') => self.cookie = Some(value),
            Means::Agent => self.headers.push(("User-Agent".to_owned(), value)),
            Means::Referer => self.headers.push(("Referer".to_owned(), value)),
            Means::Insecure => self.insecure = true,
            Means::Timeout => self.timeout = Some(value),
            Means::ConnectTimeout => self.connect_timeout = Some(value),
            Means::Proxy => self.proxy = Some(value),
            Means::Ca => self.ca = Some(value),
            Means::Certificate => self.certificate = Some(value),
            Means::Key => self.key = Some(value),
            Means::Cookie => self.notes.push("cookies kept in a file were left out".to_owned()),
            Means::Skipped if matches!(name, "config" | "resolve" | "interface") => {
                self.notes.push(format!("`--{name}` was left out"));
            }
            Means::Skipped | Means::Flag => {}
        }
        Ok(())
    }

    fn header(&mut self, text: &str) {
        match text.split_once(':') {
            // `Name:` takes a header away.
            Some((_, value)) if value.trim().is_empty() => {}
            Some((name, value)) => self.headers.push((name.trim().to_owned(), value.trim().to_owned())),
            None => self.notes.push("a header without `:` was left out".to_owned()),
        }
    }

    /// `name=value` of a form; what follows `;` says how a part is sent.
    fn part(&mut self, text: &str, plain: bool) -> Result<(), String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err("a part of a form is written `name=value`".to_owned());
        };
        if !plain && value.starts_with(['@', '<']) {
            self.files += 1;
            self.notes.push(format!("the file in part `{name}` was left out: multipart bodies hold fields here"));
            return Ok(());
        }
        let value = if plain { value } else { value.split(";type=").next().unwrap_or(value) };
        self.form.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// `@name`: the content of that file.
fn content(value: &str, file: Files<'_>) -> Result<Option<String>, String> {
    value.strip_prefix('@').map(file).transpose()
}

/// `name=content`, `=content`, `content`, `name@file`, `@file`: the content percent-encoded.
fn encoded(value: &str, file: Files<'_>) -> Result<String, String> {
    let escape = |text: &str| {
        // Variables stay what they are: their values are encoded when they are known.
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once(super::shell::OPEN) {
            let (name, after) = inside.split_once(super::shell::CLOSE).unwrap_or((inside, ""));
            out.push_str(&utf8_percent_encode(before, UNRESERVED).to_string());
            out.push(super::shell::OPEN);
            out.push_str(name);
            out.push(super::shell::CLOSE);
            rest = after;
        }
        out + &utf8_percent_encode(rest, UNRESERVED).to_string()
    };
    match value.find(['=', '@']) {
        None => Ok(escape(value)),
        Some(at) => {
            let (name, content) = (&value[..at], &value[at + 1..]);
            let content = if value[at..].starts_with('@') { file(content)? } else { content.to_owned() };
            Ok(if name.is_empty() { escape(&content) } else { format!("{name}={}", escape(&content)) })
        }
    }
}
