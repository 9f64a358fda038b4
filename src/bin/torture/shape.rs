//! The shapes of flows that are tormented: one flow `copy` from the playground's orders to a strict destination.

use crate::stage::{ORDER_BODY, Stage};
use flowgate::playground::{Faults, Order, Playground, Settings};
use std::io;
use std::time::Duration;

/// A shape.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub records: u64,
    pub page: u64,
    pub batch: u64,
    pub level: u64,
    /// How long the destination takes.
    pub latency: Duration,
    /// Whether writes carry idempotency keys.
    pub keyed: bool,
    /// Whether inactive orders are filtered out.
    pub filtered: bool,
}

/// One record a request with a key; batches with a key and a filter; no key, sent again, to a slow destination.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "keyed",
        records: 600,
        page: 30,
        batch: 1,
        level: 4,
        latency: Duration::from_millis(4),
        keyed: true,
        filtered: false,
    },
    Shape {
        name: "batch",
        records: 6_000,
        page: 100,
        batch: 25,
        level: 2,
        latency: Duration::from_millis(8),
        keyed: true,
        filtered: true,
    },
    Shape {
        name: "unsafe",
        records: 200,
        page: 20,
        batch: 1,
        level: 4,
        latency: Duration::from_millis(20),
        keyed: false,
        filtered: false,
    },
];

impl Shape {
    /// A playground that judges it.
    pub fn playground(&self) -> io::Result<Playground> {
        Playground::start(self.settings())
    }

    /// Its settings.
    pub fn settings(&self) -> Settings {
        let sink = Faults { latency: self.latency, ..Faults::default() };
        Settings { records: self.records, sink, watch: true, limit: Some(self.level), ..Settings::default() }
    }

    /// Whether a record must arrive.
    pub fn wants(&self, id: u64) -> bool {
        !self.filtered || Order::of(id).is_active()
    }

    /// Records that must arrive.
    pub fn wanted(&self) -> u64 {
        (1..=self.records).filter(|id| self.wants(*id)).count() as u64
    }

    /// Writes the project.
    pub fn write(&self, stage: &Stage, playground: &Playground) -> io::Result<()> {
        let base = playground.base_uri();
        stage.write("connections/shop.toml", &format!("base_uri = \"{base}\"\n"))?;
        let retry = "[retry]\nmax_attempts = 3\nbackoff = { initial = \"50ms\", max = \"200ms\" }\n";
        let level = self.level;
        stage.write("connections/erp.toml", &format!("base_uri = \"{base}\"\nconcurrency_level = {level}\n{retry}"))?;
        stage.write("flows/copy.toml", &self.flow())
    }

    /// The flow.
    fn flow(&self) -> String {
        let keep = if self.filtered { "keep = \"record.status == 'A'\"\n" } else { "" };
        let import = match (self.keyed, self.batch) {
            (true, 1) => "idempotency_key = \"{{record.id}}-{{record.sku}}\"\n".to_owned(),
            (true, batch) => {
                format!("batch_size = {batch}\nidempotency_key = \"{{{{record.id}}}}/{{{{record.sku}}}}\"\n")
            }
            (false, _) => "method = \"PUT\"\nunknown_outcome = \"retry\"\n".to_owned(),
        };
        format!(
            "[export]\nconnection = \"shop\"\nrelative_uri = \"/page\"\nrecords = \"$.data[*]\"\n{keep}\n\
             [export.paging]\npages_path = \"$.pages\"\n\n\
             [export.paging.page]\nparam = \"page\"\nsize_param = \"per_page\"\nsize = {}\n\n\
             [import]\nconnection = \"erp\"\nrelative_uri = \"/orders\"\n{import}{ORDER_BODY}",
            self.page
        )
    }
}
