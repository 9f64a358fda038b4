//! The sync as one would write it by hand for an afternoon: what a general runner is measured against.
//!
//! `value` reads pages into `serde_json::Value` and builds a new one for each record: no fixed schema, as
//! little code as possible. `splice` keeps values as JSON text and copies what passes unchanged: about the
//! least a program without a schema can do. Both send at most `level` requests at once, and fetch the next
//! page while they send.

use super::Failure;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The bodies to send for one page, and how many pages there are.
struct Mapped {
    bodies: Vec<Bytes>,
    pages: u64,
}

type Mapping = fn(&[u8], usize) -> Result<Mapped, serde_json::Error>;

/// Runs the whole sync.
pub fn run(way: &str, base: &str, per_page: u64, batch: u64, level: u64) -> Result<(), Failure> {
    let mapping: Mapping = match way {
        "value" => by_value,
        "splice" => by_splice,
        other => return Err(format!("no floor {other:?}; there are value and splice").into()),
    };
    // An error only says that another one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let sync = Sync { client, base: base.to_owned(), per_page };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(sync.run(mapping, usize::try_from(batch)?, usize::try_from(level)?))
}

#[derive(Clone)]
struct Sync {
    client: reqwest::Client,
    base: String,
    per_page: u64,
}

type Sent = Result<(), String>;

impl Sync {
    async fn run(self, mapping: Mapping, batch: usize, level: usize) -> Result<(), Failure> {
        let gate = Arc::new(Semaphore::new(level));
        let (mut pages, mut posts) = (JoinSet::new(), JoinSet::<Sent>::new());
        let orders: Arc<str> = format!("{}/orders", self.base).into();
        let mut number = 1;
        pages.spawn(self.clone().page(number));
        while let Some(page) = pages.join_next().await {
            let mapped = mapping(&page??, batch)?;
            if number < mapped.pages {
                number += 1;
                pages.spawn(self.clone().page(number));
            }
            for body in mapped.bodies {
                let permit = Arc::clone(&gate).acquire_owned().await?;
                let (client, orders) = (self.client.clone(), Arc::clone(&orders));
                posts.spawn(async move {
                    let sent = post(&client, &orders, body).await;
                    drop(permit);
                    sent
                });
                while let Some(sent) = posts.try_join_next() {
                    sent??;
                }
            }
        }
        while let Some(sent) = posts.join_next().await {
            sent??;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a floor trusts its loopback source")]
    async fn page(self, number: u64) -> Result<Bytes, String> {
        let url = format!("{}/page?page={number}&per_page={}", self.base, self.per_page);
        let answer = self.client.get(url).send().await.map_err(|e| e.to_string())?;
        answer.bytes().await.map_err(|e| e.to_string())
    }
}

#[expect(clippy::disallowed_methods, reason = "a floor trusts its loopback destination")]
async fn post(client: &reqwest::Client, url: &str, body: Bytes) -> Sent {
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|e| e.to_string())?;
    let status = answer.status();
    // Read to its end, so that the connection can be used again.
    let said = answer.bytes().await.map_err(|e| e.to_string())?;
    if status.is_success() { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&said))) }
}

fn by_value(page: &[u8], batch: usize) -> Result<Mapped, serde_json::Error> {
    let page: Value = serde_json::from_slice(page)?;
    let records = page["data"].as_array().map_or(&[][..], Vec::as_slice);
    let orders: Vec<Value> = records.iter().map(map_value).collect();
    let bodies = if batch == 1 {
        orders.iter().map(|order| serde_json::to_vec(order).map(Bytes::from)).collect::<Result<_, _>>()?
    } else {
        orders.chunks(batch).map(|some| serde_json::to_vec(some).map(Bytes::from)).collect::<Result<_, _>>()?
    };
    Ok(Mapped { bodies, pages: page["pages"].as_u64().unwrap_or(0) })
}

fn map_value(record: &Value) -> Value {
    let text = |key: &str| record[key].as_str().unwrap_or_default();
    let number = |key: &str| record[key].as_u64().unwrap_or_default();
    let mut order = Map::with_capacity(10);
    let mut put = |key: &str, value: Value| order.insert(key.to_owned(), value);
    put("ext_id", record["id"].clone());
    put("sku", record["sku"].clone());
    put("full_name", format!("{} {}", text("first_name"), text("last_name")).into());
    put("email", record["email"].clone());
    put("qty", record["qty"].clone());
    put("total_cents", json!(number("qty") * number("unit_cents")));
    put("state", json!(if text("status") == "A" { "active" } else { "inactive" }));
    put("city", record["address"]["city"].clone());
    put("country", record["address"]["country"].clone());
    put("note", record["note"].clone());
    Value::Object(order)
}

/// An object as its keys and the text of its values.
struct Fields<'a>(Vec<(Key<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.0.iter().find(|(name, _)| name.0 == key).map_or("null", |(_, value)| value.get())
    }
    /// A string's text without its quotes, escapes as they stand.
    fn inner(&self, key: &str) -> &'a str {
        self.text(key).strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
    }
    fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn by_splice(page: &[u8], batch: usize) -> Result<Mapped, serde_json::Error> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        data: Vec<Fields<'a>>,
        pages: u64,
    }
    let read: Page<'_> = serde_json::from_slice(page)?;
    let room = page.len() / read.data.len().max(1) + 64;
    let mut bodies = Vec::with_capacity(read.data.len().div_ceil(batch));
    for some in read.data.chunks(batch) {
        let mut body = Vec::with_capacity(room * some.len());
        for (i, record) in some.iter().enumerate() {
            if batch > 1 {
                body.push(if i == 0 { b'[' } else { b',' });
            }
            splice(&mut body, record)?;
        }
        if batch > 1 {
            body.push(b']');
        }
        bodies.push(body.into());
    }
    Ok(Mapped { bodies, pages: read.pages })
}

fn splice(body: &mut Vec<u8>, record: &Fields<'_>) -> Result<(), serde_json::Error> {
    let address: Fields<'_> = serde_json::from_str(record.text("address"))?;
    let total = record.number("qty") * record.number("unit_cents");
    let mut digits = itoa::Buffer::new();
    let state = if record.inner("status") == "A" { "active" } else { "inactive" };
    for part in [
        ["{\"ext_id\":", record.text("id")],
        [",\"sku\":", record.text("sku")],
        [",\"full_name\":\"", record.inner("first_name")],
        [" ", record.inner("last_name")],
        ["\",\"email\":", record.text("email")],
        [",\"qty\":", record.text("qty")],
        [",\"total_cents\":", digits.format(total)],
        [",\"state\":\"", state],
        ["\",\"city\":", address.text("city")],
        [",\"country\":", address.text("country")],
        [",\"note\":", record.text("note")],
        ["}", ""],
    ]
    .as_flattened()
    {
        body.extend_from_slice(part.as_bytes());
    }
    Ok(())
}
