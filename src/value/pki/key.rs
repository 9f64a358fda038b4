//! One private key, whatever form it comes in: PKCS#8, PKCS#1 or SEC1, in the clear or encrypted.

use super::{Unusable, legacy, pem, pkcs8};
use ::pem::Pem;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::SigningKey;
use std::sync::Arc;

/// The first private key of a file; other blocks (certificates, parameters of curves) are passed over.
pub fn private_key(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, Unusable> {
    if bytes.first() == Some(&0x30) {
        return bare(bytes, passphrase);
    }
    let blocks = pem::blocks(bytes)?;
    let block = blocks.iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
    let Some(block) = block else {
        return Err(Unusable::other("holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`)"));
    };
    armoured(block, passphrase)
}

/// A key that can sign.
pub fn signing_key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, Unusable> {
    any_supported_type(der).map_err(|_| {
        Unusable::other("is no RSA key of 2048 to 8192 bits, P-256, P-384 or Ed25519 key that can be used")
    })
}

fn armoured(block: &Pem, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, Unusable> {
    if block.tag() == "ENCRYPTED PRIVATE KEY" {
        return pkcs8::decrypt(block.contents(), passphrase.ok_or(Unusable::NoPassphrase)?);
    }
    let der = match legacy::Cipher::of(block)? {
        Some(cipher) => cipher.decrypt(block.contents(), passphrase.ok_or(Unusable::NoPassphrase)?)?,
        None => block.contents().to_vec(),
    };
    match block.tag() {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
        other => Err(Unusable::Other(format!(
            "is of a kind that is not used here, `{}`; write it with `openssl pkey -in …`",
            other.chars().take(40).collect::<String>().escape_debug()
        ))),
    }
}

/// Without armour.
fn bare(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, Unusable> {
    if let Ok(key) = PrivateKeyDer::try_from(bytes.to_vec()) {
        return Ok(key);
    }
    if !pkcs8::is_encrypted(bytes) {
        return Err(Unusable::other("is neither PEM nor a key in DER"));
    }
    pkcs8::decrypt(bytes, passphrase.ok_or(Unusable::NoPassphrase)?)
}
