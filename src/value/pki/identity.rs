//! A private key and the certificates that speak for it: what a client shows to a server.

use super::{Unusable, certificates, private_key, signing_key};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;

/// A key with its chain, known to belong together.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.cert.len())
    }
}

impl Identity {
    /// From a chain in PEM, its first certificate the key's, and a key.
    pub fn new(chain: &[u8], key: &[u8], passphrase: Option<&str>) -> Result<Self, Unusable> {
        Self::of(&private_key(key, passphrase)?, certificates(chain)?)
    }

    /// The two in the form TLS takes them.
    pub fn certified(&self) -> CertifiedKey {
        CertifiedKey::clone(&self.0)
    }

    fn of(key: &PrivateKeyDer<'_>, chain: Vec<CertificateDer<'static>>) -> Result<Self, Unusable> {
        let certified = CertifiedKey::new(chain, signing_key(key)?);
        if belongs(&certified)? { Ok(Self(Arc::new(certified))) } else { Err(Unusable::Mismatch) }
    }

    /// From certificates in any order: the key's goes first, the others follow as they stand.
    pub(super) fn of_any(key: &PrivateKeyDer<'_>, certificates: &[CertificateDer<'static>]) -> Result<Self, Unusable> {
        let mut last = Unusable::Mismatch;
        for first in 0..certificates.len() {
            let mut chain = certificates.to_vec();
            chain[..=first].rotate_right(1);
            match Self::of(key, chain) {
                Ok(identity) => return Ok(identity),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Whether the first certificate is for this key. Read as an anchor is, because servers take certificates of version 1
/// from clients while verifiers of servers do not.
fn belongs(certified: &CertifiedKey) -> Result<bool, Unusable> {
    let mut store = RootCertStore::empty();
    let first = certified.cert.first().ok_or_else(|| Unusable::other("holds no certificate"))?;
    if store.add(first.clone()).is_err() {
        return Err(Unusable::other("has a certificate that cannot be read"));
    }
    // A key that does not tell its public half cannot be compared.
    let Some(public) = certified.key.public_key() else { return Ok(true) };
    // The anchor's is without the outermost tag and length.
    Ok(store.roots.iter().all(|anchor| public.as_ref().ends_with(anchor.subject_public_key_info.as_ref())))
}
