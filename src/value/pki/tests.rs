//! Every form a key can have, made by OpenSSL 3.0, against the right, a wrong and no passphrase; and damaged files.

use super::*;

const FORMS: &str = include_str!("testing/forms.pem");
const CHAIN: &[u8] = include_bytes!("testing/chain.pem");
const MODERN: &[u8] = include_bytes!("testing/modern.pfx");
const LEGACY: &[u8] = include_bytes!("testing/legacy.pfx");
const PASSPHRASE: Option<&str> = Some("hunter2");

/// The key file of this name.
fn form(name: &str) -> &'static [u8] {
    let (_, rest) = FORMS.split_once(&format!("# {name}\n")).unwrap();
    rest.split("\n# ").next().unwrap().as_bytes()
}

const ENCRYPTED: [&str; 10] = [
    "aes256",
    "aes192",
    "aes128",
    "des3",
    "scrypt",
    "legacy-aes128",
    "legacy-aes192",
    "legacy-aes256",
    "legacy-des3",
    "legacy-des",
];

#[test]
fn a_key_is_read_in_every_form_and_belongs_to_its_certificate() {
    for name in ["sec1", "pkcs8"].iter().chain(&ENCRYPTED) {
        let identity = Identity::new(CHAIN, form(name), PASSPHRASE);
        assert!(identity.as_ref().is_ok_and(|identity| identity.certified().cert.len() == 2), "{name}: {identity:?}");
    }
    for name in ["sec1", "pkcs8"] {
        assert!(Identity::new(CHAIN, form(name), None).is_ok(), "{name}");
    }
}

#[test]
fn wrong_and_missing_passphrases_are_told_apart() {
    for name in ENCRYPTED {
        let with = |passphrase| Identity::new(CHAIN, form(name), passphrase).unwrap_err();
        assert_eq!(with(Some("another")), Unusable::WrongPassphrase, "{name}");
        assert_eq!(with(Some("")), Unusable::WrongPassphrase, "{name}");
        assert_eq!(with(None), Unusable::NoPassphrase, "{name}");
    }
    for pfx in [MODERN, LEGACY] {
        assert_eq!(Identity::from_pfx(pfx, Some("another")).unwrap_err(), Unusable::WrongPassphrase);
        assert_eq!(Identity::from_pfx(pfx, None).unwrap_err(), Unusable::NoPassphrase);
    }
}

#[test]
fn no_wrong_passphrase_passes_for_the_right_one() {
    // One in 256 leaves good padding behind.
    for attempt in 0..600 {
        let wrong = format!("wrong {attempt}");
        let read = Identity::new(CHAIN, form("legacy-des3"), Some(&wrong));
        assert_eq!(read.unwrap_err(), Unusable::WrongPassphrase, "{wrong}");
    }
}

#[test]
fn a_pfx_is_read_as_bytes_and_as_base64_its_own_certificate_first() {
    use base64::Engine;
    for pfx in [MODERN, LEGACY] {
        let text = base64::engine::general_purpose::STANDARD.encode(pfx);
        let broken_lines: String =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n").collect();
        for form in [pfx, text.as_bytes(), broken_lines.as_bytes()] {
            let identity = Identity::from_pfx(form, PASSPHRASE).unwrap();
            assert_eq!(identity.certified().cert, certificates(CHAIN).unwrap());
        }
    }
}

#[test]
fn the_certificate_of_the_key_goes_first_wherever_it_stood() {
    let chain = certificates(CHAIN).unwrap();
    let key = private_key(form("sec1"), None).unwrap();
    let backwards: Vec<_> = chain.iter().rev().cloned().collect();
    assert_eq!(Identity::of_any(&key, &backwards).unwrap().certified().cert, chain);
    let strangers = &chain[1..];
    assert_eq!(Identity::of_any(&key, strangers).unwrap_err(), Unusable::Mismatch);
}

#[test]
fn what_cannot_be_used_says_why() {
    let read = |key: &[u8]| Identity::new(CHAIN, key, PASSPHRASE).unwrap_err().to_string();
    for (key, why) in [
        (form("other"), "does not belong"),
        (form("p521"), "no RSA key of 2048 to 8192 bits, P-256"),
        (form("pbes1"), "in a way that is not read"),
        (form("costly"), "more work"),
        (CHAIN, "no private key in PEM form"),
        (b"hunter2", "no private key in PEM form"),
        (b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "damaged"),
        (b"-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n", "not used here"),
        (
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END RSA PRIVATE KEY-----\n",
            "DEK-Info",
        ),
        (
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: BF-CBC,00\n\nMAA=\n\
              -----END RSA PRIVATE KEY-----\n",
            "`BF-CBC`",
        ),
        (
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\nMAA=\n\
              -----END RSA PRIVATE KEY-----\n",
            "too short",
        ),
        (&[0x30, 0x80, 1, 2], "neither PEM nor"),
    ] {
        let error = read(key);
        assert!(error.contains(why) && !error.contains("hunter2"), "{why}: {error}");
    }
    for (bytes, why) in [
        (&b"none"[..], "holds no certificate"),
        (form("pkcs8"), "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "no certificate that can be read"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nMAA=\n-----END TRUSTED CERTIFICATE-----\n", "TRUSTED"),
        (&[0x30, 0], "no certificate that can be read"),
    ] {
        let error = certificates(bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(Identity::from_pfx(b"!", PASSPHRASE).unwrap_err().to_string().contains("neither PKCS#12"));
    assert!(Identity::from_pfx(&[0x30, 0], PASSPHRASE).unwrap_err().to_string().contains("no PKCS#12"));
}

#[test]
fn damaged_files_are_refused_and_nothing_worse() {
    for (number, pfx) in [MODERN, LEGACY].into_iter().enumerate() {
        for length in (0..pfx.len()).step_by(13) {
            assert!(Identity::from_pfx(&pfx[..length], PASSPHRASE).is_err(), "{number} cut at {length}");
        }
        for at in (0..pfx.len()).step_by(37) {
            let mut broken = pfx.to_vec();
            broken[at] ^= 0x55;
            // Some bytes (attributes outside the sum's reach, tags of the same kind) may not matter.
            let _ = Identity::from_pfx(&broken, PASSPHRASE);
        }
    }
    for name in ["aes256", "scrypt", "legacy-aes256"] {
        let whole = form(name);
        for length in (0..whole.len() - 1).step_by(7) {
            assert!(Identity::new(CHAIN, &whole[..length], PASSPHRASE).is_err(), "{name} cut at {length}");
        }
    }
}

#[test]
fn debug_shows_nothing() {
    let identity = Identity::new(CHAIN, form("sec1"), None).unwrap();
    assert_eq!(format!("{identity:?}"), "Identity(2 certificates)");
}
