//! AWS Signature Version 4 of a request as it is about to leave: what is signed, and with which key. Pure; who asks
//! adds date, token and signature to the request.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac};
use std::fmt::Write as _;
use url::Url;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Headers that proxies and clients change on the way.
const UNSIGNED: [&str; 6] =
    ["authorization", "user-agent", "accept-encoding", "expect", "x-amzn-trace-id", "transfer-encoding"];
/// RFC 3986's unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How a date is written, for strftime.
pub const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// Where a service is asked that has one place for all regions.
const USUAL_REGION: &str = "us-east-1";

/// What is signed.
pub struct Signed<'a> {
    /// `GET`
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a Url,
    /// Headers, names in lower case, one pair a value; `host` is not among them.
    pub headers: &'a [(String, String)],
    /// [`hash`] of the body.
    pub body: &'a str,
    /// `20150830T123600Z`
    pub stamp: &'a str,
}

/// With which key, for which place.
pub struct Key<'a> {
    /// The id of the key.
    pub access_key: &'a str,
    /// Never in what comes out.
    pub secret_key: &'a str,
    /// `eu-west-1`
    pub region: &'a str,
    /// `execute-api`
    pub service: &'a str,
}

/// What proves it.
pub struct Signature {
    /// The value of `Authorization`.
    pub header: String,
    /// The signature alone, as it stands in that.
    pub alone: String,
}

/// Whether a text can stand in a scope.
pub fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"/,=".contains(&b))
}

/// The hash of a body, in hexadecimal.
pub fn hash(body: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, body).as_ref())
}

/// S3 takes paths as they are, signs the body's hash as a header, and is alone in both.
pub fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3-outposts" | "s3-object-lambda" | "s3express")
}

/// Service and region that the name of a host of AWS tells.
pub fn place(host: &str) -> Option<(&str, &str)> {
    let names = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let mut names = names.rsplit('.');
    let last = names.next()?;
    // Addresses of both kinds are the service's all the same.
    let before = names.find(|name| *name != "dualstack");
    match before {
        Some(service) if is_region(last) => Some((service, last)),
        _ if is_region(last) => None,
        // `search-x.eu-west-1.es`; before `s3` alone stands a bucket, whatever it is called.
        Some(region) if is_region(region) && last != "s3" => Some((last, region)),
        _ => Some((last, USUAL_REGION)),
    }
}

/// `eu-west-1`, `us-gov-west-1`
fn is_region(name: &str) -> bool {
    name.bytes().filter(|b| *b == b'-').count() >= 2 && name.ends_with(|c: char| c.is_ascii_digit())
}

impl Key<'_> {
    /// Signs.
    pub fn sign(&self, request: &Signed<'_>) -> Signature {
        let day = request.stamp.get(..8).unwrap_or(request.stamp);
        let (canonical, names) = self.canonical(request);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", request.stamp, hash(canonical.as_bytes()));
        let alone = hex(&mac(&self.of_day(day), text.as_bytes()));
        let header =
            format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={alone}", self.access_key);
        Signature { header, alone }
    }

    /// The key of one day, region and service.
    fn of_day(&self, day: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret_key).into_bytes();
        [day, self.region, self.service, "aws4_request"].iter().fold(first, |key, part| mac(&key, part.as_bytes()))
    }

    /// The canonical request, and the names of the headers in it.
    fn canonical(&self, request: &Signed<'_>) -> (String, String) {
        let headers = signed_headers(request);
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines = headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
        let (path, query) = (self.path(request.url), query(request.url));
        (format!("{}\n{path}\n{query}\n{lines}\n{names}\n{}", request.method, request.body), names)
    }

    /// Every service but S3 wants dots resolved (URLs have done that), slashes merged, and the encoded path encoded
    /// once more.
    fn path(&self, url: &Url) -> String {
        if is_s3(self.service) {
            return url.path().split('/').map(once_encoded).collect::<Vec<_>>().join("/");
        }
        let twice = |piece: &str| utf8_percent_encode(&once_encoded(piece), UNRESERVED).to_string();
        let segments: Vec<String> = url.path().split('/').filter(|piece| !piece.is_empty()).map(twice).collect();
        let end = if url.path().ends_with('/') && !segments.is_empty() { "/" } else { "" };
        format!("/{}{end}", segments.join("/"))
    }
}

/// A piece of a URL in the one spelling both sides agree on.
fn once_encoded(piece: &str) -> String {
    percent_decode_str(piece).fold(String::new(), |mut out, byte| {
        let _ = match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.write_char(char::from(b)),
            b => write!(out, "%{b:02X}"),
        };
        out
    })
}

/// Parameters sorted by encoded name, then value.
fn query(url: &Url) -> String {
    let pieces = url.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    let mut pairs: Vec<(String, String)> = pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (once_encoded(&name.replace('+', "%20")), once_encoded(&value.replace('+', "%20")))
        })
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Names sorted, runs of blanks folded, several of a name joined in their order.
fn signed_headers(request: &Signed<'_>) -> Vec<(String, String)> {
    let port = request.url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = format!("{}{port}", request.url.host_str().unwrap_or_default());
    let mut signed = vec![("host".to_owned(), host)];
    for (name, value) in request.headers.iter().filter(|(name, _)| !UNSIGNED.contains(&name.as_str())) {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match signed.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if name != "host" => {
                values.push(',');
                values.push_str(&value);
            }
            Some(_) => {}
            None => signed.push((name.clone(), value)),
        }
    }
    signed.sort();
    signed
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors, and what botocore makes of the same requests, stand with `[auth.aws_sigv4]` and in `tests/peers`.
    #[test]
    fn a_host_of_aws_tells_its_service_and_region() {
        for (host, told) in [
            ("ab12.execute-api.eu-west-1.amazonaws.com", Some(("execute-api", "eu-west-1"))),
            ("sqs.us-east-2.amazonaws.com", Some(("sqs", "us-east-2"))),
            ("sqs.cn-north-1.amazonaws.com.cn", Some(("sqs", "cn-north-1"))),
            ("bucket.s3.amazonaws.com", Some(("s3", "us-east-1"))),
            ("search-x.eu-west-1.es.amazonaws.com", Some(("es", "eu-west-1"))),
            ("search-x.cn-north-1.es.amazonaws.com.cn", Some(("es", "cn-north-1"))),
            ("bucket.s3.dualstack.eu-west-1.amazonaws.com", Some(("s3", "eu-west-1"))),
            ("s3.dualstack.us-gov-west-1.amazonaws.com", Some(("s3", "us-gov-west-1"))),
            ("my-bucket-2.s3.amazonaws.com", Some(("s3", "us-east-1"))),
            ("iam.amazonaws.com", Some(("iam", "us-east-1"))),
            ("us-east-1.amazonaws.com", None),
            ("api.example.com", None),
            ("amazonaws.com.evil.example", None),
        ] {
            assert_eq!(place(host), told, "{host}");
        }
    }
}
