//! RSA signatures over SHA-1, which only OAuth 1 still asks for. `ring` makes none, so the `rsa` crate does: signing
//! alone, blinded with chance of the operating system. Never for decryption.

use crate::value::pki;
use getrandom::SysRng;
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rustls::pki_types::PrivateKeyDer;
use sha1::Sha1;
use std::ops::RangeInclusive;

/// Bytes of the modulus. Keys of 1024 bits are as old as the method, and what servers with it registered.
const SIZES: RangeInclusive<usize> = 128..=1024;

/// A key that signs with SHA-1. Errors say what is wrong with it, never what it is.
pub(super) struct RsaSha1Key(PrivateKey);

impl RsaSha1Key {
    /// Reads what `PrivateKey::from_pem` reads.
    pub(super) fn from_pem(pem: &str, passphrase: Option<&str>) -> Result<Self, String> {
        let der = pki::private_key(pem.as_bytes(), passphrase).map_err(|error| error.to_string())?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => PrivateKey::from_pkcs1_der(der.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(der) => PrivateKey::from_pkcs8_der(der.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let key = key.filter(|key| SIZES.contains(&key.size()));
        key.map(Self).ok_or_else(|| "is no RSA key of 1024 to 8192 bits that can be used".to_owned())
    }

    /// PKCS#1 v1.5.
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let made = self.0.pkcs1v15_sign_with_rng::<Sha1, _>(&mut SysRng, text);
        made.map_err(|_| "the key cannot sign".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::crypto::base64;
    use super::super::testing::{EC_KEY, EC_SEC1_KEY, ENCRYPTED_KEY, PHOTOS_KEY, RSA_KEY, RSA_PKCS1_KEY};
    use super::*;

    #[test]
    fn the_published_example_of_the_first_oauth_comes_out_each_time() {
        let base = "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacaction.jpg%26oauth_consumer_key%3D\
                    dpf43f3p2l4k3l03%26oauth_nonce%3D13917289812797014437%26oauth_signature_method%3DRSA-SHA1%26\
                    oauth_timestamp%3D1196666512%26oauth_version%3D1.0%26size%3Doriginal";
        let published = "jvTp/wX1TYtByB1m+Pbyo0lnCOLIsyGCH7wke8AUs3BpnwZJtAuEJkvQL2/9n4s5wUmUl4aCI4BwpraNx4RtEXMe5qg5T1\
                         LVTGliMRpKasKsW//e+RinhejgCuzoH26dyF8iY2ZZ/5D1ilgeijhV/vBka5twt399mXwaYdCwFYE=";
        let key = RsaSha1Key::from_pem(PHOTOS_KEY, None).unwrap();
        for _ in 0..2 {
            assert_eq!(base64(key.sign(base.as_bytes()).unwrap()), published, "blinding does not show");
        }
    }

    #[test]
    fn both_forms_of_one_key_sign_alike_and_other_keys_are_refused_unseen() {
        let signed = |pem| RsaSha1Key::from_pem(pem, None).unwrap().sign(b"text").unwrap();
        assert_eq!(signed(RSA_KEY), signed(RSA_PKCS1_KEY));
        for bad in ["hunter2", EC_KEY, EC_SEC1_KEY, ENCRYPTED_KEY] {
            let error = RsaSha1Key::from_pem(bad, None).err().unwrap();
            assert!(error.starts_with("is ") || error.starts_with("holds "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
