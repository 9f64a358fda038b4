//! One page: an API answer turned into records, with what the next request may need of it.

use super::origin::Origin;
use super::paging::links;
use crate::value::context::{Context, Root, Slot};
use crate::value::document::Document;
use crate::value::record::Record;
use std::sync::Arc;
use url::Url;

/// One answer and its records. Cheap to clone: records share the body's buffer.
#[derive(Clone)]
pub struct Page {
    /// In its run, from 1.
    pub number: u64,
    /// In what it was read by, from 1; of a delta with windows, in its window.
    pub place: u64,
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// The body, when there was one.
    pub body: Option<Document>,
    /// Its records, shared by whoever works on them and the next request.
    pub records: Arc<[Record]>,
    /// Status.
    pub status: u16,
    /// Response headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Where it came from.
    pub url: Url,
    /// Bytes received.
    pub bytes: usize,
    /// Its first group (`group_by`) goes on with the last one of the page before it.
    pub joins: bool,
}

impl Page {
    /// Offers this page as `previous` while `then` runs.
    pub fn as_previous<T>(&self, ctx: Context<'_>, then: impl FnOnce(&Context<'_>) -> T) -> T {
        self.as_previous_of(None, ctx, then)
    }

    /// The same, with the answer to the order of a report as `previous.created`.
    pub fn as_previous_of<T>(
        &self,
        created: Option<&Self>,
        ctx: Context<'_>,
        then: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let mut beside = Vec::new();
        if let Some(created) = created {
            beside.extend([
                ("headers", Slot::Headers(&created.headers)),
                ("status", Slot::Number(created.status.into())),
            ]);
            beside.extend(created.body.as_ref().map(|body| ("body", Slot::Json(body.view()))));
        }
        let found = links(self.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str()));
        let link_parts: Vec<_> = found.iter().map(|(rel, target)| (rel.as_str(), Slot::Text(target))).collect();
        let mut parts = vec![
            ("records", Slot::Records(&self.records)),
            ("headers", Slot::Headers(&self.headers)),
            ("links", Slot::Map(&link_parts)),
            ("status", Slot::Number(i64::from(self.status))),
            ("number", Slot::Number(i64::try_from(self.place).unwrap_or(i64::MAX))),
        ];
        if let Some(body) = &self.body {
            parts.push(("body", Slot::Json(body.view())));
        }
        if created.is_some() {
            parts.push(("created", Slot::Map(&beside)));
        }
        if let Some(last) = self.records.last() {
            parts.push(("last_record", Slot::Record(last)));
        }
        then(&ctx.with(Root::Previous, Slot::Map(&parts)))
    }
}
