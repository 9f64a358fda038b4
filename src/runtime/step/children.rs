//! `many`: the parts of a record a step works on, and the record with what became of them in their place.

use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef};
use crate::value::path::Path;
use crate::value::record::Record;
use std::ops::Range;

/// Most parts of one record.
const MOST: usize = 100_000;
/// Largest record that may come of them.
const MOST_BYTES: usize = 16 << 20;

/// The parts of a record, in the order they stand in its text.
pub struct Children<'r> {
    record: &'r Record,
    places: Vec<Range<usize>>,
}

impl<'r> Children<'r> {
    /// Finds them: an array is spread, an object is one, missing and null are none.
    pub fn of(record: &'r Record, many: &Path) -> Result<Self, EvalError> {
        let text = record.json().text();
        let found = many.select_record(record)?.spread();
        if found.len() > MOST {
            return Err(EvalError::Limit(format!("many: `{}` has more than {MOST} items", many.source())));
        }
        let mut places: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for part in found {
            let start = part.text().as_ptr().addr().wrapping_sub(text.as_ptr().addr());
            if text.get(start..start.saturating_add(part.text().len())) != Some(part.text()) {
                return Err(EvalError::Type(format!("many: `{}` gives what is no part of the record", many.source())));
            }
            places.push(start..start + part.text().len());
        }
        places.sort_by_key(|place| place.start);
        if places.windows(2).any(|pair| matches!(pair, [one, next] if next.start < one.end)) {
            return Err(EvalError::Type(format!("many: `{}` gives items that lie inside each other", many.source())));
        }
        Ok(Self { record, places })
    }

    /// Each as a record of its own that shares the text.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let json = self.record.json();
        let text = json.text();
        self.places.iter().map(move |place| {
            let part = text.get(place.clone()).unwrap_or("null");
            Record::new(json.share(JsonRef::trusted(part)))
        })
    }

    /// The record with these in their places; none = it leaves its list.
    pub fn replaced(&self, by: &[Option<Record>]) -> Result<Record, EvalError> {
        let text = self.record.json().text();
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (place, new) in self.places.iter().zip(by) {
            let end = match new {
                Some(new) => {
                    out.push_str(text.get(from..place.start).unwrap_or_default());
                    out.push_str(new.json().text());
                    place.end
                }
                None => left_out(text, from, place, &mut out)?,
            };
            from = end;
            if out.len() > MOST_BYTES {
                let message = format!("many: the record would be larger than {} MiB", MOST_BYTES >> 20);
                return Err(EvalError::Limit(message));
            }
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(Record::new(Json::trusted(out)))
    }
}

/// Writes what stands before an item that leaves its list, with one comma less. Gives where to go on.
fn left_out(text: &str, from: usize, place: &Range<usize>, out: &mut String) -> Result<usize, EvalError> {
    out.push_str(text.get(from..place.start).unwrap_or_default());
    let rest = text.get(place.end..).unwrap_or_default();
    let after = rest.trim_start();
    let before = out.trim_end().len();
    match out.as_bytes().get(before.wrapping_sub(1)) {
        // The next one follows what came before this one.
        Some(b'[' | b',') if after.starts_with(',') => Ok(text.len() - after.len() + 1),
        Some(b',') => {
            out.truncate(before - 1);
            Ok(place.end)
        }
        Some(b'[') => Ok(place.end),
        _ => Err(EvalError::Type(
            "keep: an item can leave a list only, and this one is a member of an object".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn each(record: &str, path: &str, change: impl Fn(usize, &str) -> Option<String>) -> Result<String, EvalError> {
        let record = Record::new(Json::parse(record).unwrap());
        let path = Path::compile(path).unwrap();
        let children = Children::of(&record, &path)?;
        let new: Vec<_> = children
            .records()
            .enumerate()
            .map(|(n, child)| change(n, child.json().text()).map(|text| Record::new(Json::parse(text).unwrap())))
            .collect();
        children.replaced(&new).map(|record| record.json().text().to_owned())
    }

    #[test]
    fn what_became_of_items_stands_in_their_places() {
        let record = r#"{"a" : 1.0, "lines": [ {"q":1} , {"q":2}], "z":"\ud800"}"#;
        let got = each(record, "$.lines[*]", |n, _| Some(format!("{{\"n\":{n}}}")));
        assert_eq!(got.unwrap(), r#"{"a" : 1.0, "lines": [ {"n":0} , {"n":1}], "z":"\ud800"}"#);
        assert_eq!(each(record, "$.lines", |_, text| Some(text.to_owned())).unwrap(), record);
        assert_eq!(each(record, "$.nothing[*]", |_, _| None).unwrap(), record);
    }

    #[test]
    fn items_leave_lists_and_no_other_place() {
        let got = each(r#"{"l":[1,2,3]}"#, "$.l[*]", |n, text| (n != 1).then(|| text.to_owned()));
        assert_eq!(got.unwrap(), r#"{"l":[1,3]}"#);
        assert!(each(r#"{"o":{"a":1}}"#, "$.o", |_, _| None).unwrap_err().to_string().contains("member of an object"));
    }

    #[test]
    fn items_inside_each_other_are_refused() {
        assert!(each(r#"{"a":{"a":{"a":1}}}"#, "$..a", |_, text| Some(text.to_owned())).is_err());
    }

    proptest! {
        #[test]
        fn any_of_the_items_may_leave_and_the_rest_is_as_it_was(
            keep in proptest::collection::vec(any::<bool>(), 0..9), wide in any::<bool>(),
        ) {
            let comma = if wide { " ,\n " } else { "," };
            let items: Vec<String> = (0..keep.len()).map(|n| format!("{{\"n\":{n}}}")).collect();
            let record = format!("{{\"x\":[0],\"l\":[ {} ],\"y\":[1]}}", items.join(comma));
            let got = each(&record, "$.l[*]", |n, text| keep[n].then(|| text.to_owned())).unwrap();
            let json = Json::parse(got).unwrap();
            let left: Vec<String> = json.as_ref().get("l").unwrap().items().map(|item| item.text().to_owned()).collect();
            let wanted: Vec<String> =
                items.into_iter().zip(&keep).filter(|(_, keep)| **keep).map(|(item, _)| item).collect();
            prop_assert_eq!(left, wanted);
            prop_assert_eq!(json.as_ref().get("x").map(JsonRef::text), Some("[0]"));
            prop_assert_eq!(json.as_ref().get("y").map(JsonRef::text), Some("[1]"));
        }
    }
}
