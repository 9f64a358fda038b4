//! What the wire says when it fails, in words: all causes, which proxy it was, and which key of the connection to
//! look at. Never a URL: those carry query credentials.

use super::network::Wiring;
use super::proxy::ProxyServer;
use super::tls::is_self_made;
use super::{Phase, WireError};
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a request was sent with.
pub(super) struct Sent {
    pub(super) wiring: Arc<Wiring>,
    /// The one it went through.
    pub(super) proxy: Option<ProxyServer>,
}

impl Sent {
    /// The one place where reqwest's errors become text.
    pub(super) fn explain(&self, error: reqwest::Error, phase: Phase) -> WireError {
        let refused = causes(&error).find_map(tls_error);
        let phase = match phase {
            // Under TLS 1.3 a server refuses a certificate after the client has begun to send: what it has read of
            // that it has not looked at.
            Phase::Sent if error.is_connect() || error.is_builder() || refused.is_some_and(is_refusal) => {
                Phase::Connect
            }
            Phase::Body if refused.is_none() && bad_encoding(&error) => Phase::Decode,
            other => other,
        };
        let what = match phase {
            Phase::Connect | Phase::Barred => "cannot connect",
            Phase::Sent => "the connection broke before the answer",
            Phase::Body if packed_ends_early(&error) => "the answer is packed (content-encoding) and ends too early",
            Phase::Body => "the connection broke within the answer",
            Phase::Decode => "the answer is not encoded as its content-encoding says",
        };
        let mut text = what.to_owned();
        if let Some(proxy) = &self.proxy {
            let _ = write!(text, " through the proxy {proxy}");
        }
        let hint = refused.and_then(|error| self.hint(error)).or_else(|| self.proxy_hint(&error));
        let error = error.without_url();
        let causes = error.source().map(chain).unwrap_or_default();
        for part in [Some(causes.as_str()), hint.as_deref()].into_iter().flatten().filter(|part| !part.is_empty()) {
            let _ = write!(text, ": {part}");
        }
        WireError::new(phase, text)
    }

    /// Which key of `[tls]` to look at.
    fn hint(&self, error: &TlsError) -> Option<String> {
        let text = match error {
            TlsError::InvalidCertificate(why) => return self.certificate_hint(why, error).map(str::to_owned),
            TlsError::AlertReceived(alert) => return self.alert_hint(*alert).map(str::to_owned),
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "this port does not speak TLS: `base_uri` may have to begin with `http://`, or name another port"
            }
            TlsError::PeerIncompatible(_) => "TLS 1.2 and 1.3 are spoken, and nothing older",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn certificate_hint(&self, why: &CertificateError, error: &TlsError) -> Option<&'static str> {
        Some(match why {
            CertificateError::UnknownIssuer if self.wiring.tls.ca.is_empty() => {
                "this system does not know who issued it: give the issuer's certificate as `tls.ca`"
            }
            CertificateError::UnknownIssuer => "neither `tls.ca` nor this system knows who issued it",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has run out and must be renewed there"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet, or the clock of this machine is slow"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "`base_uri` must use a name that the server's certificate is made for"
            }
            _ if is_self_made(error) => "the server made its certificate itself: give that as `tls.ca`",
            _ => return None,
        })
    }

    fn alert_hint(&self, alert: AlertDescription) -> Option<&'static str> {
        use AlertDescription as A;
        Some(match (alert, self.wiring.tls.identity.is_some()) {
            (A::ProtocolVersion, _) => "TLS 1.2 and 1.3 are spoken, and nothing older",
            (A::HandshakeFailure | A::InsufficientSecurity, true) => {
                "the server refuses `tls.client_certificate`, or shares no cipher with TLS 1.2 or 1.3"
            }
            (A::HandshakeFailure | A::InsufficientSecurity | A::BadCertificate, false) => {
                "the server may want a client certificate: give `tls.client_certificate` and `tls.client_key`, or `tls.pfx`"
            }
            (A::CertificateRequired, false) => {
                "the server wants a client certificate: give `tls.client_certificate` and `tls.client_key`, or `tls.pfx`"
            }
            (A::CertificateExpired, true) => "the client certificate has run out: renew `tls.client_certificate`",
            (A::CertificateRevoked, true) => "the client certificate was revoked: replace `tls.client_certificate`",
            (A::UnknownCA, true) => {
                "the server does not know who issued `tls.client_certificate`; its file may lack the chain"
            }
            (_, true) if is_refusal(&TlsError::AlertReceived(alert)) => "the server refuses `tls.client_certificate`",
            _ => return None,
        })
    }

    fn proxy_hint(&self, error: &reqwest::Error) -> Option<String> {
        self.proxy.as_ref()?;
        let wants_login = causes(error).any(|cause| cause.to_string().contains("proxy authorization required"));
        wants_login.then(|| LOGIN.to_owned())
    }

    /// A proxy that was asked to forward answers that it wants a login.
    pub(super) fn wants_login(&self) -> WireError {
        let proxy = self.proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        WireError::new(Phase::Connect, format!("cannot connect{proxy}: 407, proxy authorization required: {LOGIN}"))
    }
}

const LOGIN: &str = "give the login in `proxy`, as in \"http://user:{{connection.secrets.name}}@host:port\"";

/// Alerts by which a server ends a handshake it does not like.
fn is_refusal(error: &TlsError) -> bool {
    use AlertDescription as A;
    matches!(
        error,
        TlsError::AlertReceived(
            A::HandshakeFailure
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
                | A::ProtocolVersion
                | A::InsufficientSecurity
                | A::CertificateRequired
        )
    )
}

/// rustls hides its errors inside errors of input and output.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut io = cause.downcast_ref::<std::io::Error>();
    let mut found = cause.downcast_ref::<TlsError>();
    while let Some(inner) = io.and_then(std::io::Error::get_ref) {
        let inner: &(dyn Error + 'static) = inner;
        found = found.or_else(|| inner.downcast_ref::<TlsError>());
        io = inner.downcast_ref::<std::io::Error>();
    }
    found
}

fn bad_encoding(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput))
    })
}

/// Whether all of the answer came, and what it is packed in misses its end.
fn packed_ends_early(error: &reqwest::Error) -> bool {
    let of_the_wire = |cause: &(dyn Error + 'static)| cause.is::<hyper::Error>();
    let early = |cause: &(dyn Error + 'static)| {
        let Some(io) = cause.downcast_ref::<std::io::Error>() else { return false };
        let inner = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        io.kind() == std::io::ErrorKind::UnexpectedEof && !inner.is_some_and(|inner| causes(inner).any(of_the_wire))
    };
    causes(error).any(early) && !causes(error).any(of_the_wire)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// All causes: the first alone says nothing about TLS failures.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        let _ = write!(text, "{}{cause}", if text.is_empty() { "" } else { ": " });
    }
    text
}
