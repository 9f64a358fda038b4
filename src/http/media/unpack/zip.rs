//! Just enough of zip to take one file out: its directory is believed, its names are not even looked at but for the
//! slash that makes a folder.

use super::inflate;
use flate2::read::DeflateDecoder;

/// The directory's end, without its comment.
const END: usize = 22;
/// Longest comment behind it.
const LONGEST_COMMENT: usize = 65_535;

/// The content of the first entry that is a file.
pub(super) fn first_file(archive: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let end = end_of_directory(archive).ok_or("it is no zip archive, or it is cut off")?;
    let (entries, offset) = (short(archive, end + 10), long(archive, end + 16));
    if entries == Some(u16::MAX) || offset == Some(u32::MAX) {
        return Err("it is a zip64 archive, which is not read".to_owned());
    }
    let mut at = offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX);
    for _ in 0..entries.unwrap_or(0) {
        let entry = Entry::read(archive, at).ok_or("its directory is damaged")?;
        if !entry.is_folder {
            return entry.content(archive, most);
        }
        at = entry.next;
    }
    Err("it holds no file".to_owned())
}

struct Entry {
    encrypted: bool,
    method: u16,
    crc: u32,
    packed: usize,
    size: u64,
    header: usize,
    is_folder: bool,
    next: usize,
}

impl Entry {
    fn read(archive: &[u8], at: usize) -> Option<Self> {
        if archive.get(at..)?.get(..4)? != b"PK\x01\x02" {
            return None;
        }
        let length = |offset| short(archive, at + offset).map(usize::from);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let name_at = at + 46;
        Some(Self {
            encrypted: short(archive, at + 8)? & 1 == 1,
            method: short(archive, at + 10)?,
            crc: long(archive, at + 16)?,
            packed: usize::try_from(long(archive, at + 20)?).ok()?,
            size: u64::from(long(archive, at + 24)?),
            header: usize::try_from(long(archive, at + 42)?).ok()?,
            is_folder: archive.get(name_at..name_at + name)?.ends_with(b"/"),
            next: name_at + name + extra + comment,
        })
    }

    fn content(&self, archive: &[u8], most: u64) -> Result<Vec<u8>, String> {
        if self.encrypted {
            return Err("its file is encrypted".to_owned());
        }
        if self.size > most {
            return Err(format!("it unpacks to more than `max_response` ({most} bytes)"));
        }
        let packed = self.packed(archive).ok_or("its directory is damaged")?;
        let content = match self.method {
            0 => packed.to_vec(),
            8 => inflate(DeflateDecoder::new(packed), most)?,
            other => return Err(format!("its file is packed by method {other}; stored and deflated ones are read")),
        };
        if content.len() as u64 != self.size || crc32fast::hash(&content) != self.crc {
            return Err("its file is damaged: length or checksum is another".to_owned());
        }
        Ok(content)
    }

    fn packed<'a>(&self, archive: &'a [u8]) -> Option<&'a [u8]> {
        let header = archive.get(self.header..)?;
        if header.get(..4)? != b"PK\x03\x04" {
            return None;
        }
        let begin = 30 + usize::from(short(header, 26)?) + usize::from(short(header, 28)?);
        header.get(begin..begin.checked_add(self.packed)?)
    }
}

/// Where the end of the directory begins: it is looked for from behind, as a comment may follow.
fn end_of_directory(archive: &[u8]) -> Option<usize> {
    let last = archive.len().checked_sub(END)?;
    let first = last.saturating_sub(LONGEST_COMMENT);
    (first..=last).rev().find(|at| archive[*at..].starts_with(b"PK\x05\x06"))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let (found, _) = bytes.get(at..)?.split_first_chunk::<2>()?;
    Some(u16::from_le_bytes(*found))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let (found, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(u32::from_le_bytes(*found))
}
