//! `[server.tls]`: the certificate shown to those who come in. Another one can take its place while the server runs.

use crate::model::settings::ServerTls;
use crate::value::pki::{Identity, Unusable};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// What is shown now.
#[derive(Clone)]
pub struct Shown(Arc<RwLock<Arc<CertifiedKey>>>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(certificate)")
    }
}

impl Shown {
    pub(super) fn new(tls: &ServerTls) -> Result<Self, String> {
        Ok(Self(Arc::new(RwLock::new(certified(tls)?))))
    }

    /// Shows another one from now on. Who is here already stays.
    pub fn renew(&self, tls: &ServerTls) -> Result<(), String> {
        let certified = certified(tls)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    /// Ready to shake hands, or why not.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The two as they resolve now; `check` has said more where it could.
fn certified(tls: &ServerTls) -> Result<Arc<CertifiedKey>, String> {
    let certificate = tls.certificate.as_ref().map_err(|why| format!("`certificate`: {why}"))?;
    let key = tls.key.as_ref().map_err(|why| format!("`key`: {why}"))?;
    let read = Identity::new(certificate.as_bytes(), key.reveal().as_bytes(), None);
    let identity = read.map_err(|why| match why {
        Unusable::Mismatch => "`key` does not belong to the first certificate of `certificate`".to_owned(),
        other => format!("`certificate` and `key`: one of them {other}"),
    })?;
    Ok(Arc::new(identity.certified()))
}
