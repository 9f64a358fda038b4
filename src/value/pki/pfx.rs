//! PKCS#12 (`.pfx`, `.p12`): a key and its certificates in one file.

use super::{Identity, Unusable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

impl Identity {
    /// Reads PKCS#12, or its base64: what comes from a variable is text.
    pub fn from_pfx(bytes: &[u8], passphrase: Option<&str>) -> Result<Self, Unusable> {
        let decoded;
        let der = if bytes.first() == Some(&0x30) {
            bytes
        } else {
            let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            decoded = STANDARD.decode(text).map_err(|_| Unusable::other("is neither PKCS#12 nor its base64"))?;
            &decoded
        };
        let archive = Pkcs12Archive::from_pkcs12(der, passphrase.unwrap_or_default())
            .map_err(|error| explain(&error, passphrase.is_some()))?;
        let chain: Vec<_> = archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
        if chain.is_empty() {
            return Err(Unusable::other("holds no certificate"));
        }
        let mut last = Unusable::other("holds no private key");
        for bag in &archive.keys {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()));
            match Self::of_any(&key, &chain) {
                Ok(identity) => return Ok(identity),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn explain(error: &Error, given: bool) -> Unusable {
    match error {
        // Without a sum over the whole, a wrong passphrase shows later.
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError | Error::InvalidPrivateKey if given => {
            Unusable::WrongPassphrase
        }
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError | Error::InvalidPrivateKey => {
            Unusable::NoPassphrase
        }
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => Unusable::other(
            "is encrypted in a way that is not read; write it anew with `openssl pkcs12 -export -certpbe aes-256-cbc \
             -keypbe aes-256-cbc -macalg sha256`",
        ),
        Error::InvalidParameters => Unusable::other("is damaged, or asks for more work to open it than any key does"),
        _ => Unusable::other("is no PKCS#12 file that can be read"),
    }
}
