//! `decode`: what an answer is packed in, from the outside in. Every layer is bounded like the answer itself.

mod zip;

use super::MediaType;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// Most layers.
pub const MOST: usize = 4;

/// `decode`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decode {
    /// The layers, the outermost first.
    pub layers: Vec<Layer>,
    /// What is inside, where the list ends with a media type.
    pub media: Option<MediaType>,
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `gzip`
    Gzip,
    /// `zip`: the first file of the archive.
    Zip,
    /// `base64`, in either alphabet, padded or not.
    Base64,
}

impl Layer {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::Base64 => "base64",
        }
    }

    fn unpack(self, body: &[u8], most: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Gzip if !body.starts_with(&[0x1f, 0x8b]) => {
                Err("it does not begin as gzip does (HTTP's own compression is undone before `decode`)".to_owned())
            }
            Self::Gzip => inflate(MultiGzDecoder::new(body), most),
            Self::Zip => zip::first_file(body, most),
            Self::Base64 => base64(body),
        }
    }
}

/// All layers, or which one could not be undone and why.
pub(super) fn unpack(body: &[u8], layers: &[Layer], most: u64) -> Result<Vec<u8>, String> {
    let mut unpacked: Option<Vec<u8>> = None;
    for layer in layers {
        let inner = layer.unpack(unpacked.as_deref().unwrap_or(body), most);
        unpacked = Some(inner.map_err(|why| format!("`decode`: {}: {why}", layer.name()))?);
    }
    Ok(unpacked.unwrap_or_else(|| body.to_vec()))
}

/// Reads to the end, or to one byte more than is allowed.
fn inflate(packed: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let read = packed.take(most.saturating_add(1)).read_to_end(&mut out);
    if out.len() as u64 > most {
        return Err(format!("it unpacks to more than `max_response` ({most} bytes)"));
    }
    read.map_err(|error| format!("it is damaged or cut off ({error})"))?;
    Ok(out)
}

fn base64(body: &[u8]) -> Result<Vec<u8>, String> {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let alphabet = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
