//! Armoured blocks (`-----BEGIN …-----`), and the certificates among them.

use super::Unusable;
use ::pem::Pem;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// More blocks than this are no chain and no bundle anybody uses.
const MOST_BLOCKS: usize = 2_000;

/// All blocks of a file. Text around them is passed over, as every tool that writes such files expects.
pub(super) fn blocks(bytes: &[u8]) -> Result<Vec<Pem>, Unusable> {
    let blocks = ::pem::parse_many(bytes).map_err(|_| Unusable::other("is damaged: a block of it is no valid PEM"))?;
    if blocks.len() > MOST_BLOCKS {
        return Err(Unusable::Other(format!("has more than {MOST_BLOCKS} blocks")));
    }
    Ok(blocks)
}

/// Whether a file holds a private key beside whatever else it holds.
pub fn holds_key(bytes: &[u8]) -> bool {
    bytes.windows(b"PRIVATE KEY-----".len()).any(|window| window == b"PRIVATE KEY-----")
}

/// The certificates of a file, one at least, each one readable: PEM, or a single one as DER.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found =
        if bytes.first() == Some(&0x30) { vec![CertificateDer::from(bytes.to_vec())] } else { armoured(bytes)? };
    for (number, certificate) in (1..).zip(&found) {
        // Reads what any verifier will read.
        if RootCertStore::empty().add(certificate.clone()).is_err() {
            return Err(Unusable::Other(match found.len() {
                1 => "is no certificate that can be read".to_owned(),
                all => format!("has {all} certificates, of which number {number} cannot be read"),
            }));
        }
    }
    Ok(found)
}

fn armoured(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let blocks = blocks(bytes)?;
    if blocks.iter().any(|block| block.tag() == "TRUSTED CERTIFICATE") {
        return Err(Unusable::other("holds OpenSSL's own `TRUSTED CERTIFICATE`; write it with `openssl x509 -in …`"));
    }
    let found: Vec<_> = blocks
        .into_iter()
        .filter(|block| matches!(block.tag(), "CERTIFICATE" | "X509 CERTIFICATE"))
        .map(|block| CertificateDer::from(block.into_contents()))
        .collect();
    if found.is_empty() {
        return Err(Unusable::other("holds no certificate (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(found)
}
