//! The truth table of conditions (`keep`, `when`, `stop_when`): every form over everything that may stand in a field.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;

/// What `record.x` is, from left to right in the table below; nothing in the first.
const VALUES: [&str; 14] =
    ["", "null", "false", "true", "0", "0.0", "1", "2.5", "\"\"", "\"a\"", "\"0\"", "[]", "[1]", "{\"k\":1}"];

/// Condition, and for each value: `+` it holds, `-` it does not, `!` it is an error of the record.
const TABLE: &[(&str, &str)] = &[
    //                                -nft0.12" a0[]{
    ("record.x", "---+--++-++-++"),
    ("not record.x", "+++-++--+--+--"),
    ("record.x is defined", "-+++++++++++++"),
    ("record.x is undefined", "+-------------"),
    ("record.x is none", "-+------------"),
    ("record.x == none", "-+------------"),
    ("record.x != none", "+-++++++++++++"),
    ("record.x == true", "---+----------"),
    ("record.x == false", "--+-----------"),
    ("record.x == 0", "----++--------"),
    ("record.x == 1", "------+-------"),
    ("record.x == '0'", "----------+---"),
    ("record.x == ''", "--------+-----"),
    ("record.x in ['a', 1]", "------+--+----"),
    ("record.x not in ['a', 1]", "++++++-++-++++"),
    ("record.x > 0", "!!!!--++!!!!!!"),
    ("record.x <= 1", "!!!!+++-!!!!!!"),
    ("record.x >= '0'", "!!!!!!!!-++!!!"),
    ("record.x < 'b'", "!!!!!!!!+++!!!"),
    ("record.x + 1 == 2", "!!!!--+-!!!!!!"),
    ("record.x | length == 0", "!!!!!!!!+--+--"),
    ("record.x is number", "----++++------"),
    ("record.x is string", "--------+++---"),
    ("record.x is sequence", "-----------++-"),
    ("record.x is mapping", "-------------+"),
    ("record.x and true", "---+--++-++-++"),
    ("record.x or false", "---+--++-++-++"),
    ("record.x | default(1)", "+--+--++-++-++"),
    ("default(record.x, 1)", "++-+--++-++-++"),
    ("record.x.k == 1", "-------------+"),
    ("record.x is defined and record.x is number and record.x > 0", "------++------"),
];

#[test]
fn a_condition_holds_does_not_hold_or_is_an_error_as_the_table_says() {
    let mut wrong = Vec::new();
    for (text, row) in TABLE {
        let condition = Expression::compile(text).unwrap();
        let told: String = VALUES
            .iter()
            .map(|value| {
                let record = if value.is_empty() { "{}".to_owned() } else { format!("{{\"x\":{value}}}") };
                let record = Record::new(Json::parse(record).unwrap());
                match condition.test(&Context::new().with(Root::Record, Slot::Record(&record))) {
                    Ok(true) => '+',
                    Ok(false) => '-',
                    Err(_) => '!',
                }
            })
            .collect();
        if told != *row {
            wrong.push(format!("{text}: {told}, not {row}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(TABLE.len(), 31);
}
