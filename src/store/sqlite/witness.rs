//! How many groups of batches were written, kept outside the database and never flushed. It may lag behind, but it is
//! never ahead of what is durable: when the database knows fewer, its log was cut or an old copy was put back.

use super::files::open_private;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Name of the file in the state directory.
pub(super) const NAME: &str = "state.seq";
const MAGIC: &[u8; 8] = b"FGSEQ\x00\x00\x01";
const LENGTH: usize = 20;

/// The file, when it can be had: it is a second opinion, not a condition.
pub(super) struct Witness(Option<File>);

impl Witness {
    pub fn open(dir: &Path) -> Self {
        Self(open_private(&dir.join(NAME)).ok())
    }

    /// The number, unless there is none or it is torn.
    pub fn read(&self) -> Option<u64> {
        let file = self.0.as_ref()?;
        let mut bytes = [0; LENGTH];
        file.read_exact_at(&mut bytes, 0).ok()?;
        parse(&bytes)
    }

    pub fn write(&self, applied: u64) {
        if let Some(file) = &self.0 {
            // Behind is harmless.
            let _ = file.write_all_at(&encode(applied), 0);
        }
    }
}

/// The number in the file of a directory that is only looked at.
pub(super) fn peek(dir: &Path) -> Option<u64> {
    let file = super::files::open_plain(&dir.join(NAME)).ok()?;
    parse(&super::files::read_at(&file, 0, LENGTH).ok()?)
}

fn encode(applied: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (head, sum) = bytes.split_at_mut(16);
    let (magic, number) = head.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    number.copy_from_slice(&applied.to_le_bytes());
    sum.copy_from_slice(&crc32fast::hash(head).to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let applied = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    (bytes == encode(applied)).then_some(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_makes_it_say_nothing() {
        let bytes = encode(77);
        assert_eq!(parse(&bytes), Some(77));
        for at in 0..LENGTH {
            let mut flipped = bytes;
            flipped[at] ^= 0xff;
            assert_eq!(parse(&flipped), None, "{at}");
            assert_eq!(parse(&bytes[..at]), None, "{at}");
        }
    }
}
