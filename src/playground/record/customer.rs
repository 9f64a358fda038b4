//! A customer of the shop, and the five fields its destination demands.

use super::{Differences, FIRST, Given, LAST, LAST_JSON, PLACE, index, push, push_number, spread};
use serde::Deserialize;
use std::borrow::Cow;

/// A customer, known by its id.
#[derive(Debug, Clone, Copy)]
pub struct Customer {
    id: u64,
    spread: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped<'a> {
    ext_id: u64,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    country: Cow<'a, str>,
    newsletter: bool,
}

impl Customer {
    /// The customer with this id.
    pub fn of(id: u64) -> Self {
        // Another sequence than the orders', so that a mixed-up flow is noticed.
        Self { id, spread: spread(id ^ 0x00c5_0000_0000) }
    }
    fn newsletter(self) -> bool {
        self.spread.is_multiple_of(4)
    }
    fn names(self) -> (&'static str, usize) {
        (FIRST[index(self.spread, 21)], index(self.spread, 25))
    }
    fn place(self) -> (&'static str, &'static str) {
        PLACE[index(self.spread, 30)]
    }

    /// Writes the customer as the shop shows it.
    pub fn write(self, out: &mut Vec<u8>) {
        let ((first, last), (city, country)) = (self.names(), self.place());
        push(out, &["{\"id\":"]);
        push_number(out, self.id);
        push(out, &[",\"first_name\":\"", first, "\",\"last_name\":\"", LAST_JSON[last], "\",\"email\":\"customer"]);
        push_number(out, self.id);
        push(out, &["@example.test\",\"address\":{\"city\":\"", city, "\",\"country\":\"", country]);
        push(out, &["\"},\"consents\":{\"newsletter\":", if self.newsletter() { "true" } else { "false" }, "}}"]);
    }
}

/// Reads a delivered customer; an error when it has not the demanded shape.
pub(super) fn compare(json: &str) -> Result<Given, String> {
    let mapped: Mapped<'_> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let customer = Customer::of(mapped.ext_id);
    let (first, last) = customer.names();
    let mut found = Differences::new();
    found.text("name", &mapped.name, &format!("{first} {}", LAST[last]));
    found.text("email", &mapped.email, &format!("customer{}@example.test", customer.id));
    found.text("country", &mapped.country, customer.place().1);
    found.number("newsletter", u64::from(mapped.newsletter), u64::from(customer.newsletter()));
    Ok(Given { id: mapped.ext_id, fault: found.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_customer_mapped_as_asked_is_recognised_and_a_wrong_one_is_not() {
        for id in 1..=300 {
            let mut text = Vec::new();
            Customer::of(id).write(&mut text);
            let source: Value = serde_json::from_slice(&text).unwrap();
            let name = format!("{} {}", source["first_name"].as_str().unwrap(), source["last_name"].as_str().unwrap());
            let mut mapped = json!({
                "ext_id": source["id"], "name": name, "email": source["email"],
                "country": source["address"]["country"], "newsletter": source["consents"]["newsletter"],
            });
            assert_eq!(compare(&mapped.to_string()).unwrap().fault, None);
            mapped["country"] = json!("XX");
            assert!(compare(&mapped.to_string()).unwrap().fault.unwrap().starts_with("country"));
        }
    }
}
