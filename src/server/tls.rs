//! `[server.tls]`: the server's certificate.

use crate::model::settings::ServerTls;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Ready to shake hands, or why not.
pub(super) fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor, String> {
    let certificate = tls.certificate.as_ref().map_err(|why| format!("`certificate`: {why}"))?;
    let key = tls.key.as_ref().map_err(|why| format!("`key`: {why}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("`certificate` is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("`certificate` holds no PEM certificate".to_owned());
    }
    // Its errors never show the key.
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
        .map_err(|error| format!("`key` holds no private key in PEM that is not encrypted: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("`certificate` and `key`: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
