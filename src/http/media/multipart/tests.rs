//! What comes as parts, and what must not pass as parts.

use super::read::read;
use super::write;
use crate::value::json::Json;

const FORM: &str = "multipart/form-data; boundary=B";
const MIXED: &str = "multipart/mixed; boundary=\"B\"";
const MOST: usize = 1 << 20;

fn got(content_type: &str, body: impl AsRef<[u8]>) -> Result<String, String> {
    read(body.as_ref(), content_type, MOST).map(|document| document.text().to_owned())
}

/// Parts of heads and contents, lines ending in CRLF.
fn parts(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| {
        let end = if head.is_empty() { "" } else { "\r\n" };
        format!("--B\r\n{head}{end}\r\n{content}\r\n")
    };
    format!("{}--B--\r\n", parts.iter().map(part).collect::<String>())
}

const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";

#[test]
fn fields_repeats_json_and_files_are_members() {
    let body = parts(&[
        (NAMED, "1.50"),
        ("content-disposition: form-data; name=\"gr\u{f6}\u{df}e %22x%22\"", "é\r\n--Bx\r\n--"),
        (NAMED, ""),
        ("Content-Disposition: form-data; name=m\r\nContent-Type: application/json", "{\"n\": 9007199254740993}"),
        ("Content-Disposition: form-data; name=t; filename=\"a.csv\"\r\nContent-Type: text/csv", "x,y\r\n"),
        ("Content-Disposition: form-data; name=o; filename=\"o\"\r\nContent-Type: application/octet-stream", "a\0"),
        ("Content-Disposition: form-data; name=u; filename=\"\"", "a"),
        ("Content-Disposition: form-data; name=i\r\nContent-Type: image/png", "a"),
    ]);
    let expected = "{\"a\":[\"1.50\",\"\"],\"größe \\\"x\\\"\":\"é\\r\\n--Bx\\r\\n--\",\"m\":{\"n\": 9007199254740993},\
         \"t\":{\"filename\":\"a.csv\",\"content_type\":\"text/csv\",\"content\":\"x,y\\r\\n\"},\
         \"o\":{\"filename\":\"o\",\"content_type\":\"application/octet-stream\",\"base64\":\"YQA=\"},\
         \"u\":{\"filename\":\"\",\"base64\":\"YQ==\"},\"i\":{\"content_type\":\"image/png\",\"base64\":\"YQ==\"}}";
    assert_eq!(got(FORM, &body).unwrap(), expected);
    assert_eq!(got(FORM, body.replace("\r\n", "\n")).unwrap(), expected.replace("\\r\\n", "\\n"), "bare line feeds");
}

#[test]
fn what_is_written_reads_the_same() {
    for json in [
        r#"{"a":"1","b":["x","y"],"m":{"k":[1.0,null]},"f":{"filename":"n \"q\"\r\n","content_type":"text/plain","content":"t"}}"#,
        r#"{"bin":{"filename":"x","content_type":"application/octet-stream","base64":"AAECAw=="},"e":""}"#,
        "{}",
    ] {
        let encoded = write(Json::parse(json).unwrap().as_ref()).unwrap();
        let content_type = encoded.content_type.to_str().unwrap();
        assert_eq!(got(content_type, &encoded.bytes).unwrap(), json);
    }
}

#[test]
fn other_kinds_are_lists_with_their_encodings_undone() {
    let body = parts(&[
        ("Content-Type: application/json; charset=utf-8", "{\"id\":1}"),
        ("Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64", "Y2Fm\r\n6Q=="),
        ("Content-Type: text/plain\r\nContent-Transfer-Encoding: Quoted-Printable", "caf=C3=A9 =\r\n= 1=zz"),
        ("Content-Disposition: attachment; filename=a.json\r\nContent-Type: application/json", "{ }"),
        ("", "bare"),
        ("Content-Type: image/png", "x"),
    ]);
    let expected = "[{\"content_type\":\"application/json\",\"content\":{\"id\":1}},\
         {\"content_type\":\"text/plain\",\"content\":\"café\"},{\"content_type\":\"text/plain\",\"content\":\"café = 1=zz\"},\
         {\"filename\":\"a.json\",\"content_type\":\"application/json\",\"content\":\"{ }\"},{\"content\":\"bare\"},\
         {\"content_type\":\"image/png\",\"base64\":\"eA==\"}]";
    assert_eq!(got(MIXED, format!("This is for old readers.\r\n--Bx\r\n{body}and after")).unwrap(), expected);
    assert_eq!(got(MIXED, "--B--").unwrap(), "[]");
    assert_eq!(got(FORM, "--B--\r\n").unwrap(), "{}");
    assert_eq!(got(MIXED, "--B  \r\n\r\n--B\r\n--B--").unwrap(), "[{\"content\":\"\"},{\"content\":\"\"}]");
}

#[test]
fn an_answer_that_was_cut_off_or_has_no_boundary_is_an_error() {
    let whole = parts(&[(NAMED, "1"), (NAMED, "2")]);
    for end in 0..whole.len() - 4 {
        assert!(got(FORM, &whole[..end]).is_err(), "cut at {end}");
    }
    for (content_type, why) in [
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=", "printable"),
        ("multipart/form-data; boundary=\"a\tb\"", "printable"),
        (&format!("multipart/form-data; boundary={}", "b".repeat(71)), "1 to 70"),
        ("multipart/form-data; boundary=other", "no boundary begins"),
    ] {
        let error = got(content_type, &whole).unwrap_err();
        assert!(error.contains(&why.replace("1 to", "one to")), "{content_type}: {error}");
    }
    let error = got(FORM, parts(&[(NAMED, "1"), (NAMED, "2")]).replace("--B--", "--B")).unwrap_err();
    assert!(error.contains("part 3: ") && error.contains("cut off"), "{error}");
}

#[test]
fn line_ends_cannot_smuggle_a_part_in() {
    let content = "x\n--B\nContent-Disposition: form-data; name=\"admin\"\n\n1\n--B--\n";
    assert_eq!(got(FORM, parts(&[(NAMED, content)])).unwrap().matches("admin").count(), 1);
    assert!(!got(FORM, parts(&[(NAMED, content)])).unwrap().contains("\"admin\":"), "line feeds end no part here");
    let error = got(FORM, parts(&[("Content-Disposition: form-data; name=\"a\rX: y\"", "1")])).unwrap_err();
    assert!(error.starts_with("part 1: ") && error.contains("carriage return"), "{error}");
    assert!(got(FORM, parts(&[("X: form-data; name=a", "1")])).unwrap_err().contains("no name"));
}

#[test]
fn parts_that_lie_are_named() {
    for (head, content, why) in [
        ("Content-Type: application/json", "{", "part 1: `a`: it is not JSON"),
        ("Content-Type: text/plain", "\u{0}", ""),
        ("Content-Type: text/plain; charset=klingon", "x", "klingon"),
        ("Content-Transfer-Encoding: base64", "?", "not base64"),
        ("Content-Transfer-Encoding: x-uuencode", "x", "x-uuencode"),
    ] {
        let read = got(FORM, parts(&[(&format!("{NAMED}\r\n{head}"), content)]));
        match why {
            "" => assert_eq!(read.unwrap(), "{\"a\":\"\\u0000\"}"),
            why => assert!(read.as_ref().unwrap_err().contains(why), "{read:?}"),
        }
    }
    let error = got(FORM, [b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--B--".as_slice()].concat());
    assert!(error.as_ref().unwrap_err().contains("`a`: the text is not UTF-8"), "{error:?}");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(got(FORM, parts(&[(&format!("{NAMED}\r\nContent-Type: application/json"), &deep)])).is_err());
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(got(FORM, parts(&[(&format!("{NAMED}\r\nContent-Type: application/json"), &deep)])).is_err(), "129 in all");
}

#[test]
fn bombs_end_at_their_bounds() {
    let many = format!("{}--B--", format!("--B\r\n{NAMED}\r\n\r\nx\r\n").repeat(100_000));
    assert!(got(FORM, &many).unwrap_err().contains("more than 10000 parts"));
    let empty = format!("{}--B--", "--B\r\n".repeat(100_000));
    assert!(got(MIXED, &empty).unwrap_err().contains("more than 10000 parts"));
    let lines = format!("--B\r\n{}\r\n\r\n--B--", "X: y\r\n".repeat(100_000));
    assert!(got(FORM, &lines).unwrap_err().contains("part 1: its head"));
    let head = format!("--B\r\nX: {}\r\n\r\n--B--", "y".repeat(1 << 20));
    assert!(got(FORM, &head).unwrap_err().contains("part 1: its head is longer"));
    // Almost-boundaries: each is looked at once.
    let nearly = parts(&[(NAMED, &"\r\n--Bx--B--B".repeat(100_000))]);
    assert!(got(FORM, &nearly).unwrap_err().contains("more than 1048576 bytes"));
    let padded = parts(&[(NAMED, &format!("\r\n--B{}x", " ".repeat(500_000)))]);
    assert!(got(FORM, &padded).is_ok());
    let grown = parts(&[(NAMED, &"\u{1}".repeat(300_000))]);
    assert!(got(FORM, &grown).unwrap_err().contains("as a record"), "six bytes for each");
}
