//! A web order, and the mapping of ten fields its destination demands.

use super::{Differences, FIRST, Given, LAST, LAST_JSON, PLACE, index, push, push_number, spread};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write as _;

const PLAIN: &str = "As usual. ";
const TRICKY: &str = "Gift: \"Alles Gute\"\nCafé. ";
const TRICKY_JSON: &str = "Gift: \\\"Alles Gute\\\"\\nCaf\\u00e9. ";
const NOTE: &str = "Please ring twice and leave the parcel with the neighbour on the second floor, thank you. ";

/// An order, known by its id.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    id: u64,
    spread: u64,
}

/// What the destination wants to be given; anything more or less is a wrong mapping.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped<'a> {
    ext_id: u64,
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    full_name: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    qty: u64,
    total_cents: u64,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    city: Cow<'a, str>,
    #[serde(borrow)]
    country: Cow<'a, str>,
    #[serde(borrow)]
    note: Cow<'a, str>,
}

impl Order {
    /// The order with this id.
    pub fn of(id: u64) -> Self {
        Self { id, spread: spread(id) }
    }
    /// Pieces ordered, 1 to 12.
    pub fn qty(self) -> u64 {
        1 + (self.spread >> 3) % 12
    }
    /// Price of a piece.
    pub fn unit_cents(self) -> u64 {
        95 + (self.spread >> 11) % 20_000
    }
    /// Whether its status is `A` (else `I`).
    pub fn is_active(self) -> bool {
        self.spread & 1 == 0
    }
    fn is_tricky(self) -> bool {
        self.id % 8 == 5
    }
    /// Ids of a destination are anything: no sum may overflow.
    fn article(self) -> u64 {
        10_000_000_u64.saturating_add(self.id)
    }
    fn first(self) -> &'static str {
        FIRST[index(self.spread, 27)]
    }
    fn last(self) -> usize {
        index(self.spread, 31)
    }
    fn place(self) -> (&'static str, &'static str) {
        PLACE[index(self.spread, 36)]
    }

    /// Writes the order as the shop shows it, about `size` bytes long.
    pub fn write(self, out: &mut Vec<u8>, size: usize) {
        let begin = out.len();
        push(out, &["{\"id\":"]);
        push_number(out, self.id);
        push(out, &[",\"sku\":\"ART-"]);
        push_number(out, self.article());
        push(out, &["\",\"first_name\":\"", self.first(), "\",\"last_name\":\"", LAST_JSON[self.last()]]);
        push(out, &["\",\"email\":\"buyer"]);
        push_number(out, self.id);
        push(out, &["@example.test\",\"qty\":"]);
        push_number(out, self.qty());
        push(out, &[",\"unit_cents\":"]);
        push_number(out, self.unit_cents());
        push(out, &[",\"status\":\"", if self.is_active() { "A" } else { "I" }, "\",\"created_at\":\"2026-"]);
        self.write_date(out);
        push(out, &["\",\"address\":{\"street\":\""]);
        push_number(out, 1 + self.id % 250);
        let (city, country) = self.place();
        push(out, &[" Station Road\",\"city\":\"", city, "\",\"zip\":\""]);
        push_number(out, 10_000 + self.spread % 90_000);
        push(out, &["\",\"country\":\"", country, "\"},\"tags\":[\"web\",\"week-"]);
        push_number(out, 1 + self.id % 52);
        push(out, &["\"],\"note\":\""]);
        let room = size.saturating_sub(out.len() - begin + 2);
        self.write_note(out, room);
        push(out, &["\"}"]);
    }

    /// When it was made, as the shop shows it. Orders are made in the order of their ids.
    pub fn created_at(self) -> String {
        let mut text = b"2026-".to_vec();
        self.write_date(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Month to second, one minute an order.
    fn write_date(self, out: &mut Vec<u8>) {
        let mut two = |number: u64, after: &str| {
            push(out, &[if number < 10 { "0" } else { "" }]);
            push_number(out, number);
            push(out, &[after]);
        };
        two(1 + self.id / 40_320 % 12, "-");
        two(1 + self.id / 1_440 % 28, "T");
        two(self.id / 60 % 24, ":");
        two(self.id % 60, ":00Z");
    }

    /// The note as JSON text, `room` bytes or a little more: every eighth has an escaped quote and a line end.
    fn write_note(self, out: &mut Vec<u8>, room: usize) {
        let opening = if self.is_tricky() { TRICKY_JSON } else { PLAIN };
        push(out, &[opening]);
        fill(room.saturating_sub(opening.len()), |piece| push(out, &[piece]));
    }

    /// The same note as it reads once parsed; `padding` bytes longer than its opening.
    fn is_note(self, given: &str, size: usize) -> bool {
        let (opening, written) = if self.is_tricky() { (TRICKY, TRICKY_JSON) } else { (PLAIN, PLAIN) };
        let Some(mut rest) = given.strip_prefix(opening) else { return false };
        let room = size.saturating_sub(self.length_without_note());
        let mut same = true;
        fill(room.saturating_sub(written.len()), |piece| match rest.strip_prefix(piece) {
            Some(after) => rest = after,
            None => same = false,
        });
        same && rest.is_empty()
    }

    fn length_without_note(self) -> usize {
        let (city, country) = self.place();
        let digits = |number: u64| itoa::Buffer::new().format(number).len();
        let fixed = "{\"id\":,\"sku\":\"ART-\",\"first_name\":\"\",\"last_name\":\"\",\"email\":\"buyer@example.test\",\
                     \"qty\":,\"unit_cents\":,\"status\":\"A\",\"created_at\":\"2026-00-00T00:00:00Z\",\
                     \"address\":{\"street\":\" Station Road\",\"city\":\"\",\"zip\":\"\",\"country\":\"\"},\
                     \"tags\":[\"web\",\"week-\"],\"note\":\"\"}";
        let numbers = [
            self.id,
            self.article(),
            self.id,
            self.qty(),
            self.unit_cents(),
            1 + self.id % 250,
            10_000 + self.spread % 90_000,
            1 + self.id % 52,
        ];
        fixed.len()
            + numbers.iter().map(|n| digits(*n)).sum::<usize>()
            + self.first().len()
            + LAST_JSON[self.last()].len()
            + city.len()
            + country.len()
    }
}

/// Calls `piece` with text of `length` bytes in all.
fn fill(length: usize, mut piece: impl FnMut(&str)) {
    let mut left = length;
    while left > 0 {
        let taken = left.min(NOTE.len());
        piece(&NOTE[..taken]);
        left -= taken;
    }
}

/// Reads a delivered order; an error when it has not the demanded shape.
pub(super) fn compare(json: &str, size: usize) -> Result<Given, String> {
    let mapped: Mapped<'_> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let order = Order::of(mapped.ext_id);
    let (city, country) = order.place();
    let mut scratch = String::with_capacity(64);
    let mut found = Differences::new();
    let mut text = |got: &str, field: &str, want: std::fmt::Arguments<'_>| {
        scratch.clear();
        // Writing to a String cannot fail.
        let _ = scratch.write_fmt(want);
        found.text(field, got, &scratch);
    };
    text(&mapped.sku, "sku", format_args!("ART-{}", order.article()));
    text(&mapped.full_name, "full_name", format_args!("{} {}", order.first(), LAST[order.last()]));
    text(&mapped.email, "email", format_args!("buyer{}@example.test", order.id));
    found.number("qty", mapped.qty, order.qty());
    found.number("total_cents", mapped.total_cents, order.qty() * order.unit_cents());
    found.text("state", &mapped.state, if order.is_active() { "active" } else { "inactive" });
    found.text("city", &mapped.city, city);
    found.text("country", &mapped.country, country);
    if !order.is_note(&mapped.note, size) {
        found.text("note", &mapped.note, "the order's note");
    }
    Ok(Given { id: mapped.ext_id, fault: found.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn mapped(id: u64, size: usize) -> Value {
        let mut text = Vec::new();
        Order::of(id).write(&mut text, size);
        let source: Value = serde_json::from_slice(&text).unwrap();
        json!({
            "ext_id": source["id"], "sku": source["sku"],
            "full_name": format!("{} {}", source["first_name"].as_str().unwrap(), source["last_name"].as_str().unwrap()),
            "email": source["email"], "qty": source["qty"],
            "total_cents": source["qty"].as_u64().unwrap() * source["unit_cents"].as_u64().unwrap(),
            "state": if source["status"] == "A" { "active" } else { "inactive" },
            "city": source["address"]["city"], "country": source["address"]["country"], "note": source["note"],
        })
    }

    #[test]
    fn every_order_is_json_of_the_asked_size_and_its_mapping_is_recognised() {
        for size in [0, 400, 1_000, 3_000] {
            for id in 1..=600 {
                let mut text = Vec::new();
                Order::of(id).write(&mut text, size);
                assert!(text.len() >= size && (size == 0 || text.len() < size + 400), "{id}: {}", text.len());
                let given = compare(&mapped(id, size).to_string(), size).unwrap();
                assert_eq!((given.id, given.fault), (id, None));
            }
        }
    }

    #[test]
    fn each_changed_field_is_named() {
        for field in ["sku", "full_name", "email", "state", "city", "country", "note"] {
            let mut wrong = mapped(5, 1_000);
            wrong[field] = json!(format!("{}!", wrong[field].as_str().unwrap()));
            assert!(compare(&wrong.to_string(), 1_000).unwrap().fault.unwrap().starts_with(field));
        }
        for field in ["qty", "total_cents"] {
            let mut wrong = mapped(5, 1_000);
            wrong[field] = json!(1_000_000);
            assert!(compare(&wrong.to_string(), 1_000).unwrap().fault.unwrap().starts_with(field));
        }
    }

    #[test]
    fn a_missing_or_additional_field_or_a_number_as_text_is_a_wrong_mapping() {
        let mut more = mapped(7, 0);
        more["zip"] = json!("12345");
        let mut less = mapped(7, 0);
        less.as_object_mut().unwrap().remove("city");
        let mut text = mapped(7, 0);
        text["qty"] = json!("3");
        for wrong in [more, less, text] {
            assert!(compare(&wrong.to_string(), 0).is_err());
        }
    }

    #[test]
    fn an_absurd_id_is_wrong_without_harm() {
        let mut wrong = mapped(7, 0);
        wrong["ext_id"] = json!(u64::MAX);
        assert!(compare(&wrong.to_string(), 0).unwrap().fault.is_some());
    }

    #[test]
    fn orders_vary_in_what_the_mapping_branches_on() {
        let active = (1..=1_000).filter(|id| Order::of(*id).is_active()).count();
        assert!((350..650).contains(&active), "{active}");
        let prices: std::collections::HashSet<u64> = (1..=1_000).map(|id| Order::of(id).unit_cents()).collect();
        assert!(prices.len() > 800);
    }
}
