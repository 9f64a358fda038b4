//! Hashes and keyed hashes.

use super::{Call, Function, Outcome};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest as _, Md5};
use ring::{digest, hmac};

const ALGORITHMS: &str = "`md5`, `sha1`, `sha256`, `sha384` or `sha512`";
const KEYED: &str = "`sha1`, `sha256`, `sha384` or `sha512`";
const ENCODINGS: &str = "`hex`, `base64` or `base64url`";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("hash", "algorithm: text, encoding: text, s: text", hash)
        .checked(check_hash)
        .says("the hash (`md5`, `sha1`, `sha256`, `sha384`, `sha512`) of the text as UTF-8, in `hex`, `base64` or `base64url`")
        .example(
            r#"["sha256","hex","HelloWorld"]"#,
            "872e4e50ce9990d8b041330c47c9ddd11bec6b503ae9386a99da8584e9bb12c4",
        ),
    Function::new("hmac", "algorithm: text, key: text, encoding: text, s: text, keyEncoding?: text", hmac)
        .checked(check_hmac)
        .says("the hash of the text with a key (`sha1`, `sha256`, `sha384`, `sha512`); the key is `utf8`, or written in `base64` or `hex`")
        .example(
            r#"["sha256","key","hex","The quick brown fox jumps over the lazy dog"]"#,
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        ),
];

fn algorithm(name: &str) -> Option<&'static digest::Algorithm> {
    Some(match name.to_ascii_lowercase().replace('-', "").as_str() {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => return None,
    })
}

fn keyed(name: &str) -> Option<hmac::Algorithm> {
    Some(match name.to_ascii_lowercase().replace('-', "").as_str() {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha384" => hmac::HMAC_SHA384,
        "sha512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn encoded(encoding: &str, bytes: &[u8]) -> Option<String> {
    Some(match encoding {
        "hex" => super::encode::hex(bytes),
        "base64" => STANDARD.encode(bytes),
        "base64url" => URL_SAFE_NO_PAD.encode(bytes),
        _ => return None,
    })
}

fn check_hash(n: usize, text: &str) -> Result<(), String> {
    match n {
        0 if !text.eq_ignore_ascii_case("md5") && algorithm(text).is_none() => {
            Err(format!("the algorithm is {ALGORITHMS}"))
        }
        1 if encoded(text, b"").is_none() => Err(format!("the encoding is {ENCODINGS}")),
        _ => Ok(()),
    }
}

fn check_hmac(n: usize, text: &str) -> Result<(), String> {
    match n {
        0 if keyed(text).is_none() => Err(format!("the algorithm is {KEYED}")),
        2 if encoded(text, b"").is_none() => Err(format!("the encoding is {ENCODINGS}")),
        4 if !matches!(text, "utf8" | "base64" | "hex") => {
            Err("the encoding of a key is `utf8`, `base64` or `hex`".to_owned())
        }
        _ => Ok(()),
    }
}

fn hash<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (name, encoding, text) = (call.text(0)?, call.text(1)?, call.text(2)?);
    call.budget.spend(text.len() / 1024)?;
    let made = if name.eq_ignore_ascii_case("md5") {
        encoded(&encoding, &Md5::digest(text.as_bytes()))
    } else {
        let Some(algorithm) = algorithm(&name) else {
            return Err(call.refused(&format!("the algorithm is {ALGORITHMS}")));
        };
        encoded(&encoding, digest::digest(algorithm, text.as_bytes()).as_ref())
    };
    match made {
        Some(made) => call.made(made),
        None => Err(call.refused(&format!("the encoding is {ENCODINGS}"))),
    }
}

fn hmac<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (name, key, encoding, text) = (call.text(0)?, call.text(1)?, call.text(2)?, call.text(3)?);
    call.budget.spend(text.len() / 1024)?;
    let Some(algorithm) = keyed(&name) else {
        return Err(call.refused(&format!("the algorithm is {KEYED}")));
    };
    let key = match &*call.text_or(4, "utf8")? {
        "utf8" => Some(key.as_bytes().to_vec()),
        "base64" => super::encode::from_base64(&key),
        "hex" => super::encode::from_hex(&key),
        _ => return Err(call.refused("the encoding of a key is `utf8`, `base64` or `hex`")),
    };
    let Some(key) = key else {
        return Err(call.refused("its key is not in the encoding given"));
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, &key), text.as_bytes());
    match encoded(&encoding, tag.as_ref()) {
        Some(made) => call.made(made),
        None => Err(call.refused(&format!("the encoding is {ENCODINGS}"))),
    }
}
