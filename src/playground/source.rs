//! The paged source: the same records behind five styles of paging, and the two feeds of the shop.

use super::ledger::Ledger;
use super::record::Kind;
use super::settings::Settings;
use std::io::Write as _;

/// The most records one page carries, whatever is asked for.
const LARGEST_PAGE: u64 = 10_000;

/// How a path pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `?page=&per_page=`
    Page,
    /// `?offset=&limit=`
    Offset,
    /// `?cursor=&limit=`, the next cursor in the body
    Cursor,
    /// `?page=&per_page=`, the next URL in the body
    NextUrl,
    /// `?page=&per_page=`, a bare list and a `Link` header
    Link,
}

/// One page as it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    pub(super) link: Option<String>,
    pub(super) ids: Vec<u64>,
}

/// What a source request asks for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    from: u64,
    most: u64,
}

/// Where the records come from.
pub(super) enum Shelf<'a> {
    /// All of them, the same on every read.
    All(&'a Settings),
    /// The shop's open ones.
    Open(&'a Ledger, &'a Settings, Kind),
    /// So many orders, from one on, each so far from the one before.
    Row { settings: &'a Settings, first: u64, step: u64, count: u64 },
}

/// Answers one page; the error is what is wrong with the query.
pub(super) fn page(shelf: &Shelf<'_>, style: Style, path: &str, query: &str, host: &str) -> Result<Page, String> {
    let asked = Asked::read(style, query)?;
    let (ids, total, kind, size) = match shelf {
        Shelf::All(settings) => {
            let from = asked.from.min(settings.records);
            let end = from.saturating_add(asked.most).min(settings.records);
            ((from + 1..=end).collect(), settings.records, Kind::Order, settings.record_size)
        }
        Shelf::Open(ledger, settings, kind) => {
            let (ids, total) = ledger.open_records(*kind, asked.from, asked.most);
            (ids, total, *kind, settings.record_size)
        }
        Shelf::Row { settings, first, step, count } => {
            let (from, end) = (asked.from.min(*count), asked.from.saturating_add(asked.most).min(*count));
            let ids = (from..end).map(|place| first + place * step).collect();
            (ids, *count, Kind::Order, settings.record_size)
        }
    };
    let mut body = Vec::with_capacity(ids.len() * (size + 420) + 256);
    if style != Style::Link {
        body.extend_from_slice(b"{\"data\":");
    }
    body.push(b'[');
    for (i, id) in ids.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        kind.write(&mut body, *id, size);
    }
    body.push(b']');
    let after = asked.from.saturating_add(ids.len() as u64);
    let number = asked.from / asked.most + 1;
    let next = (after < total && !ids.is_empty())
        .then(|| format!("http://{host}{path}?page={}&per_page={}", number + 1, asked.most));
    if style == Style::Link {
        let link = next.map(|url| format!("<{url}>; rel=\"next\""));
        return Ok(Page { body, link, ids });
    }
    let pages = total.div_ceil(asked.most);
    // Writing to a Vec cannot fail.
    let _ = match (style, next) {
        (Style::Offset, _) => write!(body, ",\"offset\":{}", asked.from),
        (Style::Cursor, Some(_)) => write!(body, ",\"next_cursor\":\"after-{after:x}\""),
        (Style::Cursor, None) => write!(body, ",\"next_cursor\":null"),
        (Style::NextUrl, Some(url)) => write!(body, ",\"next_url\":\"{url}\""),
        (Style::NextUrl, None) => write!(body, ",\"next_url\":null"),
        _ => write!(body, ",\"page\":{number}"),
    };
    let _ = write!(body, ",\"pages\":{pages},\"total\":{total}}}");
    Ok(Page { body, link: None, ids })
}

impl Asked {
    fn read(style: Style, query: &str) -> Result<Self, String> {
        let mut asked = Self { from: 0, most: 100 };
        let mut number = 1;
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let whole = || value.parse::<u64>().map_err(|_| format!("{key}: {value:?} is not a whole number"));
            match (style, key.as_ref()) {
                (Style::Page | Style::NextUrl | Style::Link, "per_page") | (Style::Offset | Style::Cursor, "limit") => {
                    asked.most = whole()?;
                }
                (Style::Page | Style::NextUrl | Style::Link, "page") => number = whole()?,
                (Style::Offset, "offset") => asked.from = whole()?,
                (Style::Cursor, "cursor") if value.is_empty() => {}
                (Style::Cursor, "cursor") => {
                    let after = value.strip_prefix("after-").and_then(|hex| u64::from_str_radix(hex, 16).ok());
                    asked.from = after.ok_or_else(|| format!("cursor: {value:?} is none of ours"))?;
                }
                _ => {}
            }
        }
        if number == 0 || asked.most == 0 {
            return Err("pages and page sizes begin at 1".to_owned());
        }
        asked.most = asked.most.min(LARGEST_PAGE);
        if number > 1 {
            asked.from = (number - 1).saturating_mul(asked.most);
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(style: Style, query: &str) -> (Value, Option<String>) {
        let settings = Settings { records: 25, ..Settings::default() };
        let page = page(&Shelf::All(&settings), style, "/x", query, "host:1").unwrap();
        (serde_json::from_slice(&page.body).unwrap(), page.link)
    }

    fn ids(list: &Value) -> Vec<u64> {
        list.as_array().unwrap().iter().map(|r| r["id"].as_u64().unwrap()).collect()
    }

    #[test]
    fn numbered_pages_give_all_records_once_with_totals() {
        let (first, _) = read(Style::Page, "page=1&per_page=10");
        assert_eq!(
            (first["page"].as_u64(), first["pages"].as_u64(), first["total"].as_u64()),
            (Some(1), Some(3), Some(25))
        );
        let (last, _) = read(Style::Page, "page=3&per_page=10");
        assert_eq!(ids(&last["data"]), [21, 22, 23, 24, 25]);
        let (beyond, _) = read(Style::Page, "page=4&per_page=10");
        assert!(ids(&beyond["data"]).is_empty());
    }

    #[test]
    fn an_offset_skips_records() {
        let (page, _) = read(Style::Offset, "offset=23&limit=10");
        assert_eq!(ids(&page["data"]), [24, 25]);
        let (beyond, _) = read(Style::Offset, "offset=99&limit=10");
        assert!(ids(&beyond["data"]).is_empty());
    }

    #[test]
    fn a_cursor_leads_through_all_records_and_ends_with_null() {
        let (mut seen, mut query) = (Vec::new(), "limit=10".to_owned());
        loop {
            let (page, _) = read(Style::Cursor, &query);
            seen.extend(ids(&page["data"]));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("limit=10&cursor={cursor}");
        }
        assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    }

    #[test]
    fn a_next_url_and_a_link_header_name_the_next_page_until_the_last() {
        let (page, _) = read(Style::NextUrl, "per_page=20");
        assert_eq!(page["next_url"], "http://host:1/x?page=2&per_page=20");
        assert!(read(Style::NextUrl, "page=2&per_page=20").0["next_url"].is_null());
        let (list, link) = read(Style::Link, "per_page=20");
        assert_eq!(
            (ids(&list).len(), link.as_deref()),
            (20, Some("<http://host:1/x?page=2&per_page=20>; rel=\"next\""))
        );
        assert_eq!(read(Style::Link, "page=2&per_page=20").1, None);
    }

    #[test]
    fn a_wrong_query_is_refused() {
        let settings = Settings::default();
        for (style, query) in [
            (Style::Page, "page=0"),
            (Style::Page, "per_page=0"),
            (Style::Page, "page=x"),
            (Style::Cursor, "cursor=me"),
        ] {
            assert!(page(&Shelf::All(&settings), style, "/x", query, "h").is_err(), "{query}");
        }
        assert!(page(&Shelf::All(&settings), Style::Page, "/x", "page=18446744073709551615", "h").is_ok());
    }
}
