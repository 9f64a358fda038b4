//! Encrypted PKCS#8 (`ENCRYPTED PRIVATE KEY`): PBES2 with PBKDF2 or scrypt.

use super::Unusable;
use ::pkcs8::pkcs5::pbes2::Kdf;
use ::pkcs8::pkcs5::{EncryptionScheme, Error as SchemeError};
use ::pkcs8::{EncryptedPrivateKeyInfoRef, Error};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What opening a key may cost: a file is not to hold a process up for minutes.
const MOST_ITERATIONS: u32 = 10_000_000;
/// Bytes scrypt may take; what `openssl` writes takes 16 MiB.
const MOST_MEMORY: u64 = 256 << 20;

/// Whether these bytes are an encrypted key at all.
pub(super) fn is_encrypted(der: &[u8]) -> bool {
    EncryptedPrivateKeyInfoRef::try_from(der).is_ok()
}

/// Opens a key.
pub(super) fn decrypt(der: &[u8], passphrase: &str) -> Result<PrivateKeyDer<'static>, Unusable> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unknown("it names no known scheme"))?;
    match &info.encryption_algorithm {
        EncryptionScheme::Pbes2(parameters) if !affordable(&parameters.kdf) => {
            return Err(Unusable::other("asks for more work to open it than any key does"));
        }
        EncryptionScheme::Pbes2(_) => {}
        _ => return Err(unknown("PBES1 is not read")),
    }
    match info.decrypt(passphrase) {
        Ok(document) => Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into()),
        Err(Error::EncryptedPrivateKey(SchemeError::UnsupportedAlgorithm { oid })) => {
            Err(unknown(&format!("algorithm {oid} is not read")))
        }
        Err(Error::EncryptedPrivateKey(SchemeError::AlgorithmParametersInvalid { oid })) => {
            Err(Unusable::Other(format!("is damaged: the parameters of algorithm {oid} are not valid")))
        }
        // A wrong passphrase shows as bad padding, or, by chance, as something that is no key.
        Err(_) => Err(Unusable::WrongPassphrase),
    }
}

fn affordable(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Pbkdf2(parameters) => parameters.iteration_count <= MOST_ITERATIONS,
        Kdf::Scrypt(parameters) => {
            let (block, lanes) = (u64::from(parameters.block_size), u64::from(parameters.parallelization));
            let memory = parameters.cost_parameter.saturating_mul(block).saturating_mul(128);
            memory > 0 && memory.saturating_mul(lanes) <= MOST_MEMORY
        }
        _ => false,
    }
}

fn unknown(why: &str) -> Unusable {
    Unusable::Other(format!(
        "is encrypted in a way that is not read ({why}); write it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in …`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::pkcs8::pkcs5::pbes2::ScryptParams;

    #[test]
    fn scrypt_may_take_what_keys_take_and_not_a_machine() {
        let scrypt = |cost_parameter, block_size, parallelization| {
            let salt = [0; 8].as_slice().try_into().unwrap();
            affordable(&Kdf::Scrypt(ScryptParams {
                salt,
                cost_parameter,
                block_size,
                parallelization,
                key_length: None,
            }))
        };
        assert!(scrypt(1 << 14, 8, 1) && scrypt(1 << 17, 8, 1));
        assert!(!scrypt(1 << 20, 8, 1) && !scrypt(1 << 14, 8, 1000) && !scrypt(1 << 63, 8, 1) && !scrypt(0, 8, 1));
    }
}
