//! What texts see of a delta export's time: `last_export`, `this_export` and `window`, as they are sent.

use crate::model::delta::format::Format;
use crate::value::context::{Context, Root, Slot};
use crate::value::json::{Json, write_string};
use chrono::{DateTime, Utc};

/// The time that was asked for when a page was read.
#[derive(Debug, Clone)]
pub struct Roots {
    last: Json,
    this: Json,
    window: Json,
}

/// An instant as it is sent: a number or a text.
fn written(format: &Format, at: DateTime<Utc>) -> String {
    format.number(at).map_or_else(|| quoted(&format.write(at)), |number| number.to_string())
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

impl Roots {
    /// Of the whole time, and of the window in it.
    pub(super) fn of(format: &Format, [since, until, start, end]: [DateTime<Utc>; 4]) -> Self {
        let at = |at| written(format, at);
        let window = format!("{{\"start\":{},\"end\":{}}}", at(start), at(end));
        Self { last: Json::trusted(at(since)), this: Json::trusted(at(until)), window: Json::trusted(window) }
    }

    /// Offers them.
    pub fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        let ctx = ctx.with(Root::LastExport, Slot::Json(self.last.as_ref()));
        let ctx = ctx.with(Root::ThisExport, Slot::Json(self.this.as_ref()));
        ctx.with(Root::Window, Slot::Json(self.window.as_ref()))
    }

    /// As they are stored with an error record: a list.
    pub fn text(&self) -> String {
        format!("[{},{},{}]", self.last.text(), self.this.text(), self.window.text())
    }

    /// Reads what was stored.
    pub fn read(text: &str) -> Option<Self> {
        let list = Json::parse(text).ok()?;
        let part = |at| Some(list.share(list.as_ref().at(at)?));
        Some(Self { last: part(0)?, this: part(1)?, window: part(2)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::template::{Place, Template};

    fn seen(roots: &Roots) -> String {
        let template = "{{last_export}} {{this_export}} {{window.start}} {{window.end}}";
        let mut text = String::new();
        let template = Template::compile(template, Place::Plain).unwrap();
        template.render(&roots.offer(Context::new()), &mut text).unwrap();
        text
    }

    #[test]
    fn the_time_is_seen_as_it_is_sent_also_after_it_was_stored() {
        let at = [1, 20, 3, 10].map(|day| DateTime::from_timestamp(86_400 * day, 0).unwrap());
        for (format, expected) in [
            ("rfc3339", "1970-01-02T00:00:00Z 1970-01-21T00:00:00Z 1970-01-04T00:00:00Z 1970-01-11T00:00:00Z"),
            ("epoch_s", "86400 1728000 259200 864000"),
            ("\"%d\"", "\"02\" \"21\" \"04\" \"11\""),
        ] {
            let roots = Roots::of(&Format::named(format).unwrap(), at);
            assert_eq!(seen(&roots), expected);
            assert_eq!(seen(&Roots::read(&roots.text()).unwrap()), expected);
        }
        assert!(Roots::read("[1]").is_none() && Roots::read("{").is_none());
    }
}
