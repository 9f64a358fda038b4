//! The same kind of things in every media type: pages that are a pure function of their number, and a destination that
//! wants each of them back byte for byte, in the same type. What is on a page is hard to carry: quotes, line ends,
//! digits beyond a double, codes that look like numbers.

use super::record::Given;
use super::sink::refusal;
use super::tally::Tally;
use super::watch::Answered;
use hyper::StatusCode;
use std::borrow::Cow;

/// A media type, by the name that a flow has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media(&'static str);

/// All of them, with what they say they are.
const TYPES: [(&str, &str); 7] = [
    ("csv", "text/csv; charset=utf-8"),
    ("form", "application/x-www-form-urlencoded"),
    ("json", "application/json"),
    ("multipart", "multipart/form-data"),
    ("ndjson", "application/x-ndjson"),
    ("text", "text/plain; charset=utf-8"),
    ("xml", "application/xml"),
];

/// Stands before a page's number on the page itself.
const MARK: &str = "page-";
/// Separates the parts of a multipart page.
const BOUNDARY: &str = "----playground";

impl Media {
    pub(super) fn named(name: &str) -> Option<Self> {
        TYPES.iter().find(|(known, _)| *known == name).map(|(known, _)| Self(known))
    }

    /// The name of its destination.
    pub(super) fn account(self) -> String {
        format!("media/{}", self.0)
    }

    pub(super) fn content_type(self) -> String {
        let told = TYPES.iter().find(|(known, _)| *known == self.0).map_or("", |(_, told)| told);
        if self.0 == "multipart" { format!("{told}; boundary={BOUNDARY}") } else { told.to_owned() }
    }

    /// Page `number`, from 1.
    pub(super) fn page(self, number: u64) -> Vec<u8> {
        let mark = format!("{MARK}{number}");
        match self.0 {
            "csv" => csv(&mark).into_bytes(),
            "form" => form(&mark).into_bytes(),
            "json" => format!("[{},{}]", object(&mark), object("second")).into_bytes(),
            "ndjson" => format!("{}\n{}\n", object(&mark), object("second")).into_bytes(),
            "multipart" => multipart(&mark),
            "xml" => xml(&mark).into_bytes(),
            _ => format!("{mark}: \"Gruß\", 007 & 1E9;\r\n\ttabs <and> {{{{braces}}}}\n").into_bytes(),
        }
    }

    /// Compares what came with the page it says it is.
    pub(super) fn take(self, content_type: &str, body: &[u8], tally: &mut Tally, known: u64) -> Answered {
        let Some(number) = number(body) else {
            tally.unreadable("no page of ours");
            return Answered { status: StatusCode::BAD_REQUEST, body: refusal("no page of ours"), ids: Vec::new() };
        };
        let fault = self.fault(content_type, body, number);
        tally.take(Given { id: number, fault }, known);
        Answered { status: StatusCode::OK, body: b"{}".to_vec(), ids: vec![number] }
    }

    fn fault(self, content_type: &str, body: &[u8], number: u64) -> Option<String> {
        let (told, wanted) = (content_type.split("; boundary=").collect::<Vec<_>>(), self.content_type());
        if told.first() != wanted.split("; boundary=").next().as_ref() {
            return Some(format!("it says it is {content_type:?}, not {wanted:?}"));
        }
        // A sender chooses its boundary; everything else is the same.
        let body = match told.get(1) {
            Some(boundary) => Cow::Owned(replaced(body, boundary.as_bytes(), BOUNDARY.as_bytes())),
            None => Cow::Borrowed(body),
        };
        let page = self.page(number);
        if *body == *page {
            return None;
        }
        let same = body.iter().zip(&page).take_while(|(ours, theirs)| ours == theirs).count();
        let shown = |bytes: &[u8]| {
            let from = same.saturating_sub(20).min(bytes.len());
            String::from_utf8_lossy(&bytes[from..bytes.len().min(same + 40)]).into_owned()
        };
        Some(format!("page {number} differs at byte {same}: {:?} came of {:?}", shown(&body), shown(&page)))
    }
}

fn object(mark: &str) -> String {
    format!(
        "{{\"id\":\"{mark}\",\"n\":9007199254740993,\"price\":0.10,\"far\":1e400,\"code\":\"007\",\"name\":\"M\\u00fcller \\\"é\\\"\",\
         \"list\":[1,[],{{}}],\"none\":null,\"yes\":true}}"
    )
}

fn csv(mark: &str) -> String {
    format!(
        "id,code,note,empty\r\n{mark},007,\"Gift: \"\"Alles Gute\"\"\nCafé, Köln\",\r\nsecond,1E9,\"\r\n\",=1+1\r\n"
    )
}

fn form(mark: &str) -> String {
    format!(
        "id={mark}&code=007&name=M%C3%BCller+%26+S%C3%B6hne&tags=a+b&tags=c%3D%2B&empty=&address%5Bcity%5D=K%C3%B6ln\
         &address%5Blines%5D=1&address%5Blines%5D=2"
    )
}

fn xml(mark: &str) -> String {
    let order = |id: &str, currency: &str| {
        format!(
            "<order id=\"{id}\"><name>Müller &amp; Söhne &lt;1E9&gt;</name><line sku=\"a&quot;b\">007</line><line sku=\"c\">2\n3\
             </line><total currency=\"{currency}\">0.10</total><note/></order>"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<orders>{}{}</orders>",
        order(mark, "EUR"),
        order("second", "USD")
    )
}

fn multipart(mark: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut part = |head: &str, content: &[u8]| {
        out.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name={head}\r\n\r\n").as_bytes(),
        );
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    };
    part("\"id\"", mark.as_bytes());
    part("\"größe %22x%22\"", "007\r\n--\r\né".as_bytes());
    part("\"tags\"", b"a");
    part("\"tags\"", b"");
    part("\"meta\"\r\nContent-Type: application/json", b"{\"n\":9007199254740993,\"list\":[0.10]}");
    part("\"rows\"; filename=\"a %22b%22.csv\"\r\nContent-Type: text/csv", "x,y\r\né,\"1\n2\"\r\n".as_bytes());
    let bytes: Vec<u8> = (0..=255).collect();
    part("\"scan\"; filename=\"räksmörgås.bin\"\r\nContent-Type: application/octet-stream", &bytes);
    out.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    out
}

/// The number of the page these bytes say they are.
fn number(body: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(body, MARK.as_bytes())? + MARK.len();
    let digits = body.get(at..)?.iter().take(19).take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0')))
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(body, from).filter(|_| !from.is_empty()) {
        out.extend_from_slice(&body[done..at]);
        out.extend_from_slice(to);
        done = at + from.len();
    }
    out.extend_from_slice(&body[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(media: Media, content_type: &str, body: &[u8]) -> (u64, Option<String>) {
        let mut tally = Tally::new();
        media.take(content_type, body, &mut tally, 9);
        let report = tally.report(9);
        (report.wrong_mapping + report.unreadable, report.first_fault)
    }

    #[test]
    fn a_page_comes_back_as_it_was_or_is_a_fault() {
        for (name, _) in TYPES {
            let media = Media::named(name).unwrap();
            let (page, told) = (media.page(7), media.content_type());
            assert_eq!(faults(media, &told, &page), (0, None), "{name}");
            for at in [page.len() / 2, page.len() - 1] {
                let mut other = page.clone();
                other[at] ^= 1;
                assert_eq!(faults(media, &told, &other).0, 1, "{name}");
            }
            assert_eq!(faults(media, "application/octet-stream", &page).0, 1, "{name}");
            assert_eq!(faults(media, &told, b"else").0, 1, "{name}");
        }
        assert_eq!(Media::named("yaml"), None);
    }

    #[test]
    fn a_boundary_is_the_sender_s_to_choose() {
        let media = Media::named("multipart").unwrap();
        let other = replaced(&media.page(1), BOUNDARY.as_bytes(), b"other");
        assert_eq!(faults(media, "multipart/form-data; boundary=other", &other), (0, None));
    }
}
