//! The records of the playground: a pure function of their id, so that a destination can check what it
//! is given without knowing what the source sent.

mod customer;
mod order;

pub use customer::Customer;
pub use order::Order;

use super::settings::Verify;
use serde::Deserialize;

/// What kind of record a path deals in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A web order.
    Order,
    /// A customer of the shop.
    Customer,
}

/// One record the destination was given: its id, and what is wrong with it.
#[derive(Debug)]
pub struct Given {
    /// `ext_id` (or `id` where only ids are looked at).
    pub id: u64,
    /// Why the mapping is wrong, when it is.
    pub fault: Option<String>,
}

/// The id alone, wherever the flow put it.
#[derive(Deserialize)]
struct Id {
    #[serde(alias = "id")]
    ext_id: u64,
}

impl Kind {
    /// Writes the source record `id` as JSON, padded to about `size` bytes where the kind can be.
    pub fn write(self, out: &mut Vec<u8>, id: u64, size: usize) {
        match self {
            Self::Order => Order::of(id).write(out, size),
            Self::Customer => Customer::of(id).write(out),
        }
    }

    /// Reads one delivered record and compares it with what the mapping should have given.
    pub fn check(self, json: &str, size: usize, verify: Verify) -> Result<Given, String> {
        let id_of = || serde_json::from_str::<Id>(json).map(|r| r.ext_id).map_err(|e| e.to_string());
        match verify {
            Verify::Ids => return Ok(Given { id: id_of()?, fault: None }),
            Verify::Some => {
                let id = id_of()?;
                if id % 64 != 5 {
                    return Ok(Given { id, fault: None });
                }
            }
            Verify::All => {}
        }
        let compared = match self {
            Self::Order => order::compare(json, size),
            Self::Customer => customer::compare(json),
        };
        match compared {
            Ok(given) => Ok(given),
            // Wrong in shape: still count whose record it was, when it says so.
            Err(fault) => id_of().map(|id| Given { id, fault: Some(fault.clone()) }).map_err(|_| fault),
        }
    }
}

const FIRST: [&str; 8] = ["Amara", "Bjørn", "Chloé", "Dmitri", "Elif", "Femi", "Grete", "Hana"];
/// As JSON text: two of them arrive escaped, to catch who copies text without reading it.
const LAST_JSON: [&str; 8] =
    ["Ito", "Jansen", "Kowalska", "Lund", "M\\u00fcller", "Nakamura", "O\\u0027Neil", "Pereira"];
const LAST: [&str; 8] = ["Ito", "Jansen", "Kowalska", "Lund", "Müller", "Nakamura", "O'Neil", "Pereira"];
const PLACE: [(&str, &str); 8] = [
    ("Bergen", "NO"),
    ("Cusco", "PE"),
    ("Dakar", "SN"),
    ("Gdańsk", "PL"),
    ("Hobart", "AU"),
    ("Kyoto", "JP"),
    ("Łódź", "PL"),
    ("Pécs", "HU"),
];

/// Spreads an id over 64 bits, so that neighbours differ in every field.
fn spread(id: u64) -> u64 {
    let mixed = id.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Three bits of a spread id as an index into eight names.
fn index(spread: u64, shift: u32) -> usize {
    usize::from((spread >> shift).to_le_bytes()[0] & 7)
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Remembers the first field that differs.
struct Differences(Option<String>);

impl Differences {
    fn new() -> Self {
        Self(None)
    }
    fn text(&mut self, field: &str, got: &str, want: &str) {
        if got != want && self.0.is_none() {
            let (got, want) = (excerpt(got), excerpt(want));
            self.0 = Some(format!("{field} is {got:?}, should be {want:?}"));
        }
    }
    fn number(&mut self, field: &str, got: u64, want: u64) {
        if got != want && self.0.is_none() {
            self.0 = Some(format!("{field} is {got}, should be {want}"));
        }
    }
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
