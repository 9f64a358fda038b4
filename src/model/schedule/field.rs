//! One field of a cron line, read as crontab reads it: numbers, names, ranges, lists, steps.
//!
//! The result is a plain set of numbers, so that nothing depends on how the stepping crate reads a field
//! (it counts Sunday as 1 and refuses 0).

use crate::value::issue::Issue;
use std::ops::Range;

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

pub(super) const SECOND: Kind = Kind { name: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Kind = Kind { name: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Kind = Kind { name: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Kind = Kind { name: "day of month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Kind = Kind {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 0 and 7 are Sunday; a parsed field holds 0 only.
pub(super) const WEEKDAY: Kind =
    Kind { name: "weekday", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The numbers a field matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n: the number n matches.
    bits: u64,
    /// Whether it was written with a star: an interval, not a fixed list.
    pub(super) star: bool,
}

impl Field {
    /// A field that matches one number.
    pub(super) const fn only(number: u32) -> Self {
        Self { bits: 1 << number, star: false }
    }

    /// The numbers, ascending.
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |n| self.bits & (1 << n) != 0)
    }
}

impl Kind {
    /// Parses one field; `at` is its place in the line.
    pub(super) fn parse(&self, text: &str, at: &Range<usize>) -> Result<Field, Issue> {
        let mut field = Field { bits: 0, star: false };
        let mut start = at.start;
        for item in text.split(',') {
            let place = start..start + item.len();
            self.item(item, &mut field).map_err(|fault| fault.at(place.clone(), at, self))?;
            start = place.end + 1;
        }
        if self.max == 7 && field.bits & (1 << 7) != 0 {
            field.bits = field.bits & !(1 << 7) | 1;
        }
        Ok(field)
    }

    fn item(&self, item: &str, field: &mut Field) -> Result<(), Fault> {
        let (body, step) = match item.split_once('/') {
            Some((body, step)) => (body, Some(self.step(step)?)),
            None => (item, None),
        };
        let (low, high) = if body == "*" || (body == "?" && self.takes_question_mark()) {
            field.star = true;
            // Weekday 7 is 0 again: a star counts each day once.
            (self.min, if self.max == 7 { 6 } else { self.max })
        } else if let Some((low, high)) = body.split_once('-') {
            let low = self.number(low)?;
            (low, self.range_end(low, high)?)
        } else {
            let low = self.number(body)?;
            (low, if step.is_some() { self.max } else { low })
        };
        if low > high {
            return Err(Fault::Backwards(low, high));
        }
        for number in (low..=high).step_by(step.unwrap_or(1)) {
            field.bits |= 1 << number;
        }
        Ok(())
    }

    /// `fri-sun` ends the week, `sun-tue` begins it.
    fn range_end(&self, low: u32, high: &str) -> Result<u32, Fault> {
        let number = self.number(high)?;
        let named = !high.starts_with(|c: char| c.is_ascii_digit());
        Ok(if self.max == 7 && named && number == 0 && low > 0 { 7 } else { number })
    }

    fn step(&self, text: &str) -> Result<usize, Fault> {
        let span = if self.max == 7 { 7 } else { self.max - self.min + 1 };
        let step = digits(text).ok_or(Fault::Step)?;
        match usize::try_from(step) {
            Ok(0) | Err(_) => Err(Fault::Step),
            Ok(_) if step > span => Err(Fault::LongStep(step)),
            Ok(step) => Ok(step),
        }
    }

    fn number(&self, text: &str) -> Result<u32, Fault> {
        if let Some(number) = digits(text) {
            return if (self.min..=self.max).contains(&number) { Ok(number) } else { Err(Fault::OutOfRange(number)) };
        }
        let lower = text.to_ascii_lowercase();
        match self.names.iter().position(|name| *name == lower) {
            Some(index) => u32::try_from(index).map(|n| n + self.min).map_err(|_| Fault::Unknown),
            None => Err(Fault::Unknown),
        }
    }

    /// Day fields take Quartz's `?` as a star.
    fn takes_question_mark(&self) -> bool {
        self.name == DAY.name || self.name == WEEKDAY.name
    }
}

/// At most six digits, nothing else: no sign, no overflow.
fn digits(text: &str) -> Option<u32> {
    let plain = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

enum Fault {
    Backwards(u32, u32),
    OutOfRange(u32),
    Step,
    LongStep(u32),
    Unknown,
}

impl Fault {
    fn at(self, place: Range<usize>, field: &Range<usize>, kind: &Kind) -> Issue {
        let Kind { name, min, max, names } = kind;
        let numbers = format!("the {name} field takes {min}-{max}");
        // An empty item has no width to underline.
        let place = if place.is_empty() { field.clone() } else { place };
        match self {
            Self::Backwards(low, high) => Issue::new(place, format!("the {name} range {low}-{high} runs backwards"))
                .help(format!("write it as two ranges: {low}-{max},{min}-{high}")),
            Self::OutOfRange(number) => Issue::new(place, format!("{number} is not a valid {name}")).help(numbers),
            Self::Step => Issue::new(place, format!("the step in the {name} field must be a number of at least 1"))
                .help("write for example */5"),
            Self::LongStep(step) => Issue::new(place, format!("a step of {step} is longer than the {name} field"))
                .help(format!(
                    "{numbers} and starts anew each time; put longer intervals into the next field to the right"
                )),
            Self::Unknown => {
                let names = match names {
                    [] => String::new(),
                    [first, .., last] | [first @ last] => format!(", {first}-{last}"),
                };
                Issue::new(place, format!("this is not a valid {name}"))
                    .help(format!("{numbers}{names}, *, lists (a,b), ranges (a-b) and steps (*/n)"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &Kind, text: &str) -> Result<Vec<u32>, Issue> {
        kind.parse(text, &(10..10 + text.len())).map(|field| field.numbers().collect())
    }

    #[test]
    fn lists_ranges_steps_and_names_become_numbers() {
        let cases: [(&Kind, &str, &[u32]); 11] = [
            (&MINUTE, "0,30", &[0, 30]),
            (&MINUTE, "*/20", &[0, 20, 40]),
            (&MINUTE, "50/5", &[50, 55]),
            (&HOUR, "8-18/4", &[8, 12, 16]),
            (&HOUR, "22-23,0-1", &[0, 1, 22, 23]),
            (&MONTH, "jan-MAR,Dec", &[1, 2, 3, 12]),
            (&WEEKDAY, "7", &[0]),
            (&WEEKDAY, "0-7", &[0, 1, 2, 3, 4, 5, 6]),
            (&WEEKDAY, "5-7", &[0, 5, 6]),
            (&WEEKDAY, "sat-sun", &[0, 6]),
            (&WEEKDAY, "?", &[0, 1, 2, 3, 4, 5, 6]),
        ];
        for (kind, text, numbers) in cases {
            assert_eq!(parse(kind, text).unwrap(), numbers, "{text}");
        }
    }

    #[test]
    fn faults_name_the_place_and_the_remedy() {
        let cases: [(&Kind, &str, Range<usize>, &str); 14] = [
            (&MINUTE, "60", 10..12, "60 is not a valid minute"),
            (&MINUTE, "1,2,99", 14..16, "99 is not a valid minute"),
            (&HOUR, "24", 10..12, "24 is not a valid hour"),
            (&HOUR, "22-2", 10..14, "runs backwards"),
            (&DAY, "0", 10..11, "0 is not a valid day of month"),
            (&WEEKDAY, "8", 10..11, "8 is not a valid weekday"),
            (&MINUTE, "*/0", 10..13, "at least 1"),
            (&MINUTE, "*/90", 10..14, "longer than the minute field"),
            (&MINUTE, "*/x", 10..13, "at least 1"),
            (&DAY, "L", 10..11, "not a valid day of month"),
            (&MINUTE, "?", 10..11, "not a valid minute"),
            (&MINUTE, "-5", 10..12, "not a valid minute"),
            (&MINUTE, "1,,2", 10..14, "not a valid minute"),
            (&MINUTE, "99999999999", 10..21, "not a valid minute"),
        ];
        for (kind, text, place, message) in cases {
            let issue = parse(kind, text).unwrap_err();
            assert!(issue.message.contains(message), "{text}: {}", issue.message);
            assert_eq!(issue.at, place, "{text}");
            assert!(issue.help.is_some(), "{text}");
        }
    }

    #[test]
    fn only_a_star_makes_an_interval() {
        let star = |text: &str| MINUTE.parse(text, &(0..text.len())).unwrap().star;
        assert!(star("*") && star("*/5") && star("7,*/30"));
        assert!(!star("0-59") && !star("0/5") && !star("1,2"));
    }
}
