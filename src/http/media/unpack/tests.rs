//! Tests of `decode`.

use super::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use std::io::Write;
use std::path::Path;

const MOST: u64 = 1 << 20;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An archive of these files; each is deflated unless its name ends with `.raw`.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let stored = Path::new(name).extension().is_some_and(|ending| ending == "raw");
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(content).unwrap();
        let packed = if stored { content.to_vec() } else { deflate.finish().unwrap() };
        let mut fields = vec![20, 0, 0, 0, if stored { 0 } else { 8 }, 0, 0, 0, 0, 0];
        fields.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        fields.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_le_bytes());
        fields.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
        fields.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend_from_slice(&[0, 0]);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&fields);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&u32::try_from(out.len()).unwrap().to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&fields);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&packed);
    }
    let offset = u32::try_from(out.len()).unwrap();
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    out.extend_from_slice(&[count, count].concat());
    out.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn undone(body: &[u8], layers: &[Layer]) -> Result<String, String> {
    unpack(body, layers, MOST).map(|content| String::from_utf8(content).unwrap())
}

#[test]
fn layers_come_off_from_the_outside_in() {
    let engine = base64::engine::general_purpose::STANDARD;
    let packed = gzip(&zip(&[("a.csv", b"id\n1\n")]));
    let wrapped: Vec<u8> = engine.encode(&packed).into_bytes().chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..]);
    assert_eq!(undone(&wrapped, &[Layer::Base64, Layer::Gzip, Layer::Zip]).unwrap(), "id\n1\n");
    for text in ["_-8", "/+8=", "/+8"] {
        assert_eq!(unpack(text.as_bytes(), &[Layer::Base64], MOST).unwrap(), [0xff, 0xef], "{text}");
    }
    assert_eq!(undone(&[gzip(b"a"), gzip(b"b")].concat(), &[Layer::Gzip]).unwrap(), "ab", "members follow each other");
}

#[test]
fn of_an_archive_the_first_file_is_taken_whatever_its_name() {
    let files: &[(&str, &[u8])] = &[("folder/", b""), ("../../etc/passwd", b"first"), ("b", b"second")];
    assert_eq!(undone(&zip(files), &[Layer::Zip]).unwrap(), "first");
    let with_comment = |text: &[u8]| {
        let mut archive = zip(&[("a.raw", b"stored")]);
        let length = archive.len();
        archive[length - 2..].copy_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        [archive, text.to_vec()].concat()
    };
    assert_eq!(undone(&with_comment(b"hello"), &[Layer::Zip]).unwrap(), "stored");
    assert!(undone(&zip(&[("folder/", b"")]), &[Layer::Zip]).unwrap_err().contains("no file"));
    assert!(undone(&zip(&[]), &[Layer::Zip]).unwrap_err().contains("no file"));
}

#[test]
fn bombs_stop_at_the_cap_in_every_layer() {
    let zeros = vec![0; 8 << 20];
    for (body, layers) in [
        (gzip(&zeros), &[Layer::Gzip][..]),
        (gzip(&gzip(&zeros)), &[Layer::Gzip, Layer::Gzip]),
        (zip(&[("a", &zeros)]), &[Layer::Zip]),
    ] {
        assert!(body.len() < 16 << 10);
        let error = undone(&body, layers).unwrap_err();
        assert!(error.contains("more than `max_response` (1048576 bytes)"), "{error}");
    }
    // The directory lies about the size.
    let mut liar = zip(&[("a", &zeros)]);
    let directory = liar.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    liar[directory + 24..directory + 28].copy_from_slice(&7_u32.to_le_bytes());
    assert!(undone(&liar, &[Layer::Zip]).unwrap_err().contains("max_response"));
}

#[test]
fn what_is_damaged_says_so() {
    let whole = gzip(b"some content that is long enough");
    let mut flipped = zip(&[("a.raw", b"content")]);
    let at = flipped.windows(7).position(|part| part == b"content").unwrap();
    flipped[at] ^= 1;
    let mut encrypted = zip(&[("a", b"x")]);
    let directory = encrypted.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    encrypted[directory + 8] = 1;
    for (body, layer, why) in [
        (&whole[..whole.len() - 9], Layer::Gzip, "damaged or cut off"),
        (b"<html>", Layer::Gzip, "does not begin as gzip"),
        (b"<html>", Layer::Zip, "no zip archive"),
        (b"a?b", Layer::Base64, "Invalid"),
        (&flipped, Layer::Zip, "checksum"),
        (&encrypted, Layer::Zip, "encrypted"),
    ] {
        let error = undone(body, &[layer]).unwrap_err();
        assert!(error.starts_with(&format!("`decode`: {}: ", layer.name())) && error.contains(why), "{error}");
    }
    let archive = zip(&[("a", b"content")]);
    for cut in 0..archive.len() {
        assert!(undone(&archive[..cut], &[Layer::Zip]).is_err(), "{cut}");
    }
}

proptest::proptest! {
    #[test]
    fn no_change_of_an_archive_makes_it_panic(at in 0_usize..150, byte in proptest::num::u8::ANY) {
        let mut archive = zip(&[("folder/", b""), ("a.csv", b"id\n1\n")]);
        let at = at % archive.len();
        archive[at] = byte;
        let _ = unpack(&archive, &[Layer::Zip], MOST);
    }
}
