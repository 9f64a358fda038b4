//! Whom a connection believes, and what it shows for itself: `[tls]` as rustls takes it. TLS 1.2 and 1.3 only.

use crate::value::pki::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// `[tls]`
#[derive(Debug, Clone)]
pub struct Tls {
    /// `verify`
    pub verify: bool,
    /// `ca`: believed beside what the system believes.
    pub ca: Vec<CertificateDer<'static>>,
    /// `client_certificate` and `client_key`, or `pfx`.
    pub identity: Option<Identity>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, ca: Vec::new(), identity: None }
    }
}

impl Tls {
    /// For one client. `used` says whether TLS can occur at all: without it the system's roots are not loaded, which
    /// is most of the time a client takes to build.
    pub(super) fn config(&self, used: bool) -> Result<ClientConfig, String> {
        let told = |error: Error| format!("TLS cannot be set up: {error}");
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(told)?;
        let builder = if used {
            let verifier: Arc<dyn ServerCertVerifier> = if self.verify {
                Arc::new(Known::new(&self.ca, provider).map_err(told)?)
            } else {
                Arc::new(Anybody(provider))
            };
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(RootCertStore::empty())
        };
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Believes what the system believes, what `ca` issued, and the certificates of `ca` themselves.
#[derive(Debug)]
struct Known {
    all: Verifier,
    own: Vec<CertificateDer<'static>>,
}

impl Known {
    fn new(own: &[CertificateDer<'static>], provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let all = Verifier::new_with_extra_roots(own.iter().cloned(), provider)?;
        Ok(Self { all, own: own.to_vec() })
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.all.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // A device that made its own certificate made it a CA's, as `openssl req -x509` does. Given as `ca` it is
            // meant: its dates were looked at before this error, its name was not.
            Err(error) if is_self_made(&error) && self.own.iter().any(|own| own == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.supported_verify_schemes()
    }
}

/// Whether a server shows a CA's certificate as its own.
pub(super) fn is_self_made(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(other)) if other.0.to_string() == "CaUsedAsEndEntity")
}

/// `verify = false`: any certificate will do. That whoever shows it also holds its key is still asked for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
