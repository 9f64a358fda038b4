//! A GraphQL source: orders behind Relay cursors. It reads the variables and nothing else: which fields a query names is
//! for a real server to know.

use super::record::Kind;
use super::settings::Settings;
use serde::Deserialize;
use std::io::Write as _;

/// The most records one answer carries.
const LARGEST: u64 = 10_000;

#[derive(Deserialize)]
struct Asked {
    query: String,
    #[serde(default)]
    variables: Variables,
}

#[derive(Deserialize, Default)]
struct Variables {
    first: Option<u64>,
    after: Option<String>,
}

/// The answer to one request, with the ids of its orders. What is wrong with the request is an answer too: errors of
/// GraphQL travel under 200.
pub(super) fn answer(settings: &Settings, body: &[u8]) -> (Vec<u8>, Vec<u64>) {
    match asked(body) {
        Ok((from, most)) => page(settings, from, most),
        Err(why) => {
            (serde_json::json!({"data": null, "errors": [{"message": why}]}).to_string().into_bytes(), Vec::new())
        }
    }
}

fn asked(body: &[u8]) -> Result<(u64, u64), String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| format!("no GraphQL request: {error}"))?;
    if !asked.query.contains("orders") {
        return Err("the query asks for no orders, which is all there is".to_owned());
    }
    let most = asked.variables.first.unwrap_or(100).min(LARGEST);
    let Some(cursor) = asked.variables.after else { return Ok((0, most)) };
    let number = cursor.strip_prefix("order:").and_then(|number| number.parse().ok());
    number.map(|from| (from, most)).ok_or_else(|| format!("{cursor:?} is no cursor of ours"))
}

fn page(settings: &Settings, from: u64, most: u64) -> (Vec<u8>, Vec<u64>) {
    let end = from.saturating_add(most).min(settings.records);
    let ids: Vec<u64> = (from + 1..=end).collect();
    let mut body = b"{\"data\":{\"orders\":{\"edges\":[".to_vec();
    for (n, id) in ids.iter().enumerate() {
        body.extend_from_slice(if n > 0 { b",{\"node\":" } else { b"{\"node\":" });
        Kind::Order.write(&mut body, *id, settings.record_size);
        body.push(b'}');
    }
    let cursor = ids.last().map_or("null".to_owned(), |id| format!("\"order:{id}\""));
    let more = end < settings.records;
    // Writing to a Vec cannot fail.
    let _ = write!(body, "],\"pageInfo\":{{\"hasNextPage\":{more},\"endCursor\":{cursor}}}}}}}}}");
    (body, ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ask(request: &Value) -> Value {
        let settings = Settings { records: 5, ..Settings::default() };
        serde_json::from_slice(&answer(&settings, request.to_string().as_bytes()).0).unwrap()
    }

    #[test]
    fn cursors_lead_through_all_orders() {
        let (mut after, mut seen) = (Value::Null, Vec::new());
        loop {
            let page = ask(&json!({"query": "{orders}", "variables": {"first": 2, "after": after}}));
            let orders = &page["data"]["orders"];
            seen.extend(orders["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["id"].as_u64().unwrap()));
            after = orders["pageInfo"]["endCursor"].clone();
            if orders["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_wrong_is_an_error_in_the_answer() {
        for request in [json!({}), json!({"query": "{x}"}), json!({"query": "{orders}", "variables": {"after": "1"}})] {
            let answer = ask(&request);
            assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{answer}");
        }
    }
}
