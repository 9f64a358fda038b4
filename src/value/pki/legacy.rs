//! The old encryption of PEM itself (`Proc-Type: 4,ENCRYPTED`), as OpenSSL wrote keys for twenty years.

use super::Unusable;
use ::pem::Pem;
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::{Des, TdesEde3};
use md5::{Digest, Md5};

/// How a block is encrypted.
pub(super) struct Cipher {
    kind: Kind,
    iv: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
    Des,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "AES-128-CBC" => Self::Aes128,
            "AES-192-CBC" => Self::Aes192,
            "AES-256-CBC" => Self::Aes256,
            "DES-EDE3-CBC" => Self::TripleDes,
            "DES-CBC" => Self::Des,
            _ => return None,
        })
    }

    /// Bytes of the key.
    fn width(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
            Self::Des => 8,
        }
    }
}

impl Cipher {
    /// The cipher the block's headers name; none when it is in the clear.
    pub(super) fn of(block: &Pem) -> Result<Option<Self>, Unusable> {
        if !block.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED")) {
            return Ok(None);
        }
        let info = block.headers().get("DEK-Info").and_then(|info| info.split_once(','));
        let Some((name, iv)) = info else {
            return Err(Unusable::other("is encrypted, but `DEK-Info` does not say how"));
        };
        let Some(kind) = Kind::named(name.trim()) else {
            return Err(Unusable::Other(format!(
                "is encrypted with `{}`, which is not read; write it anew with `openssl pkey -aes256 -in …`",
                name.chars().take(40).collect::<String>().escape_debug()
            )));
        };
        let iv = from_hex(iv.trim()).ok_or_else(|| Unusable::other("is damaged: `DEK-Info` holds no valid IV"))?;
        Ok(Some(Self { kind, iv }))
    }

    /// Opens the block. A wrong passphrase shows as bad padding; one in 256 passes that, so what comes out must look
    /// like a key too.
    pub(super) fn decrypt(&self, content: &[u8], passphrase: &str) -> Result<Vec<u8>, Unusable> {
        let salt = self.iv.get(..8).ok_or_else(|| Unusable::other("is damaged: its IV is too short"))?;
        let key = derive(passphrase.as_bytes(), salt, self.kind.width());
        let opened = match self.kind {
            Kind::Aes128 => open::<Decryptor<Aes128>>(&key, &self.iv, content),
            Kind::Aes192 => open::<Decryptor<Aes192>>(&key, &self.iv, content),
            Kind::Aes256 => open::<Decryptor<Aes256>>(&key, &self.iv, content),
            Kind::TripleDes => open::<Decryptor<TdesEde3>>(&key, &self.iv, content),
            Kind::Des => open::<Decryptor<Des>>(&key, &self.iv, content),
        };
        opened.filter(|der| is_one_sequence(der)).ok_or(Unusable::WrongPassphrase)
    }
}

fn open<C: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    C::new_from_slices(key, iv).ok()?.decrypt_padded_vec::<Pkcs7>(content).ok()
}

/// The key is a chain of MD5 sums over the one before, passphrase and salt.
fn derive(passphrase: &[u8], salt: &[u8], width: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(width + 16);
    let mut last: Vec<u8> = Vec::new();
    while key.len() < width {
        last = Md5::new().chain_update(&last).chain_update(passphrase).chain_update(salt).finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(width);
    key
}

/// Whether this is one ASN.1 sequence and nothing behind it.
fn is_one_sequence(der: &[u8]) -> bool {
    let (length, at) = match der {
        [0x30, 0x82, high, low, ..] => (usize::from(*high) << 8 | usize::from(*low), 4),
        [0x30, 0x81, length, ..] => (usize::from(*length), 3),
        [0x30, length @ 0..=0x7f, ..] => (usize::from(*length), 2),
        _ => return false,
    };
    der.len() == at + length
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= 64)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
