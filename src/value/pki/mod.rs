//! Certificates and private keys as files hold them: read, decrypted, and known to fit each other.
//!
//! - [`pem`]: armoured blocks, and certificates
//! - [`key`]: one private key in any form
//! - [`pkcs8`], [`legacy`]: its encrypted forms
//! - [`pfx`]: PKCS#12, which holds both
//! - [`identity`]: a key with its chain
//!
//! Whom to believe is not decided here; that is `http::transport::tls`.

mod identity;
mod key;
mod legacy;
mod pem;
mod pfx;
mod pkcs8;
#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use key::{private_key, signing_key};
pub use pem::{certificates, holds_key};

/// Why a key or certificate cannot be used. Never says what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is encrypted and there is no passphrase.
    #[error("is encrypted, and there is no passphrase")]
    NoPassphrase,
    /// The passphrase does not open it.
    #[error("is not opened by the passphrase")]
    WrongPassphrase,
    /// The key belongs to another certificate.
    #[error("does not belong to the certificate")]
    Mismatch,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Unusable {
    fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}
