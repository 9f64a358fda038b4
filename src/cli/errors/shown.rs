//! Everything that is known of an error record: for people, and as a document for programs.

use super::super::style::{Tone, paint};
use super::lines::{age, state_name};
use crate::app::status::time;
use crate::observe::logs::visible;
use crate::store::ErrorRow;
use crate::value::json::{Json, JsonRef, Kind, write_string};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::fmt::Write as _;

/// Version of the document.
const FORMAT: u32 = 1;

/// All of it, one thing a line.
pub fn text(row: &ErrorRow, now: DateTime<Utc>, colour: bool) -> String {
    let mut out = format!("error record {}: {}\n", row.id, state_name(row.state));
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{} {text}", paint(colour, Tone::Dim, format!("{:>15}", format!("{name}:"))));
        }
    };
    line("what", format!("{}: {}", visible(&row.class), visible(&row.message)));
    line("flow", row.flow.to_string());
    line(
        "where",
        format!("{}, page {}, record {}, step {}", visible(&row.export), row.page, row.record, visible(&row.step)),
    );
    line("run", visible(&row.run));
    line("opened", format!("{} ({} ago)", time(row.opened), age(row.opened, now)));
    line("changed", by(row));
    line("attempts", row.attempts.to_string());
    line("retries", row.retries.to_string());
    line("next retry", row.next_retry.map(time).unwrap_or_default());
    line("trace key", visible(row.trace_key.as_deref().unwrap_or_default()));
    line("link", visible(row.link.as_deref().unwrap_or_default()));
    line("idempotency key", visible(row.key.as_deref().unwrap_or_default()));
    line("fingerprint", visible(&row.fingerprint));
    line("status", row.status.map(|status| status.to_string()).unwrap_or_default());
    line("request", visible(row.request.as_deref().unwrap_or_default()));
    line("answer", visible(row.response.as_deref().unwrap_or_default()));
    let _ = writeln!(out, "{}", paint(colour, Tone::Dim, format!("{:>15}", "record:")));
    for shown in pretty(&row.payload).lines() {
        let _ = writeln!(out, "  {shown}");
    }
    out
}

fn by(row: &ErrorRow) -> String {
    if row.changed == row.opened && row.by.is_none() {
        return String::new();
    }
    let by = row.by.as_deref().map(|by| format!(" by {}", visible(by))).unwrap_or_default();
    format!("{}{by}", time(row.changed))
}

/// A document of error records. Records stand in it as they are, number for number; `whole` says that they are known.
pub fn document(rows: &[ErrorRow], more: bool, whole: bool) -> String {
    let mut out = format!("{{\"format\":{FORMAT},\"more\":{more},\"errors\":[");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let mut head = head(row, whole).to_string();
        if whole {
            head.truncate(head.len() - 1);
            let _ = write!(head, ",\"record\":{}}}", checked(&row.payload).text());
        }
        out.push_str(&head);
    }
    out.push_str("]}");
    out
}

fn head(row: &ErrorRow, whole: bool) -> serde_json::Value {
    let mut head = json!({
        "id": row.id,
        "flow": row.flow,
        "run": row.run,
        "export": row.export,
        "step": row.step,
        "page": row.page,
        "position": row.record,
        "class": row.class,
        "message": row.message,
        "status": row.status,
        "attempts": row.attempts,
        "state": row.state,
        "opened": time(row.opened),
        "changed": time(row.changed),
        "by": row.by,
        "retries": row.retries,
        "next_retry": row.next_retry.map(time),
        "trace_key": row.trace_key,
        "link": row.link,
        "idempotency_key": row.key,
        "fingerprint": row.fingerprint,
    });
    if whole {
        head["request"] = json!(row.request);
        head["response"] = json!(row.response);
    }
    head
}

/// What was stored was checked when it was written; should it be no JSON all the same, it is shown as text.
fn checked(payload: &str) -> Json {
    Json::parse(payload).unwrap_or_else(|_| Json::from_value(&payload.into()))
}

/// A record on lines, its tokens as they were written. Whatever could move a cursor is escaped as JSON escapes it.
pub fn pretty(payload: &str) -> String {
    let json = checked(payload);
    let mut out = Vec::with_capacity(payload.len() * 2);
    write(json.as_ref(), 0, &mut out);
    String::from_utf8_lossy(&out).chars().fold(String::with_capacity(out.len()), |mut text, c| {
        if c == '\n' || c == '\\' || visible(c.encode_utf8(&mut [0; 4])).chars().eq([c]) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    })
}

fn write(value: JsonRef<'_>, depth: usize, out: &mut Vec<u8>) {
    let (open, close, entries): (u8, u8, Vec<(Option<_>, JsonRef<'_>)>) = match value.kind() {
        Kind::Object => (b'{', b'}', value.members().map(|(key, member)| (Some(key), member)).collect()),
        Kind::Array => (b'[', b']', value.items().map(|item| (None, item)).collect()),
        _ => return out.extend_from_slice(value.text().as_bytes()),
    };
    out.push(open);
    for (at, (key, member)) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        line(depth + 1, out);
        if let Some(key) = key {
            write_string(out, key);
            out.extend_from_slice(b": ");
        }
        write(*member, depth + 1, out);
    }
    if !entries.is_empty() {
        line(depth, out);
    }
    out.push(close);
}

fn line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 2));
}

#[cfg(test)]
mod tests {
    use super::super::super::golden::golden;
    use super::*;
    use crate::store::ErrorState;
    use crate::value::id::FlowId;

    #[test]
    fn everything_of_one_error_record_is_told() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let row = ErrorRow {
            id: 12,
            flow: FlowId::parse("eu/orders").unwrap(),
            run: "20260101T020000Z-3-cccccc".to_owned(),
            export: "export".to_owned(),
            each: None,
            time: None,
            members: 0,
            step: "import".to_owned(),
            page: 3,
            record: 7,
            class: "rejected".to_owned(),
            message: "no such sku\u{1b}[2J".to_owned(),
            status: Some(422),
            attempts: 2,
            request: Some("POST https://erp.example/orders".to_owned()),
            response: Some("{\"error\":\"no such sku\"}".to_owned()),
            payload: "{\"id\":7,\"sku\":\"x\"}".to_owned(),
            exported: None,
            trace_key: Some("order-7".to_owned()),
            link: None,
            key: Some("k-7".to_owned()),
            fingerprint: "ab12cd34".to_owned(),
            state: ErrorState::Open,
            opened: at(0),
            changed: at(60),
            by: Some("retry".to_owned()),
            retries: 1,
            next_retry: Some(at(600)),
        };
        golden("errors-show.txt", &text(&row, at(7_500), false));
        golden("errors-list.txt", &super::super::lines::each(&[row], at(7_500), false));
    }

    #[test]
    fn a_record_is_shown_as_it_is_and_cannot_move_the_cursor() {
        let payload = "{\"id\":12345678901234567890123,\"rate\":1.50,\"a\\\"b\":[{},[],\"x\\n\u{202e}y\"]}";
        let shown = pretty(payload);
        assert_eq!(
            shown,
            "{\n  \"id\": 12345678901234567890123,\n  \"rate\": 1.50,\n  \"a\\\"b\": [\n    {},\n    [],\n    \
             \"x\\n\\u202ey\"\n  ]\n}"
        );
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(payload).unwrap(), serde_json::from_str(&shown).unwrap());
        assert_eq!(before, after, "escaped as JSON escapes it");
        assert_eq!(pretty("not json \u{1b}"), "\"not json \\u001b\"");
    }
}
