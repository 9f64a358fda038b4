//! Where the requests of a run belong: steps, and the pages these work on. A step's span lasts from its first request to
//! the end of its last, and so does a page's within it.

use super::span::Attributes;
use crate::value::time::Mono;
use std::collections::{BTreeMap, HashMap};

/// Pages of a step that are kept open. One that is let go before its last request gets another span.
const MOST_PAGES: usize = 256;

/// What lasts.
#[derive(Debug)]
pub struct Lasting {
    pub id: u64,
    pub start: Mono,
    pub end: Mono,
    pub requests: u64,
    under_way: u32,
}

impl Lasting {
    fn new(id: u64, now: Mono) -> Self {
        Self { id, start: now, end: now, requests: 0, under_way: 0 }
    }

    fn enter(&mut self) -> u64 {
        self.requests += 1;
        self.under_way += 1;
        self.id
    }

    fn leave(&mut self, now: Mono) {
        self.under_way = self.under_way.saturating_sub(1);
        self.end = self.end.max(now);
    }
}

struct Step {
    lasts: Lasting,
    pages: BTreeMap<u64, Lasting>,
}

/// All steps of a run.
#[derive(Default)]
pub struct Places(HashMap<String, Step>);

/// A span of a step or page that is over.
pub struct Over {
    pub lasted: Lasting,
    /// The step it is part of; none for a step.
    pub parent: Option<u64>,
    pub name: String,
    pub attributes: Attributes,
}

impl Places {
    /// A request begins; what it is part of. `over` hears of pages that are let go.
    pub fn enter(
        &mut self,
        step: &str,
        page: Option<u64>,
        now: Mono,
        mut id: impl FnMut() -> u64,
        over: impl FnMut(Over),
    ) -> u64 {
        if !self.0.contains_key(step) {
            self.0.insert(step.to_owned(), Step { lasts: Lasting::new(id(), now), pages: BTreeMap::new() });
        }
        let Some(Step { lasts, pages }) = self.0.get_mut(step) else { return 0 };
        let of_step = lasts.enter();
        let Some(page) = page else { return of_step };
        let entered = pages.entry(page).or_insert_with(|| Lasting::new(id(), now)).enter();
        if pages.len() > MOST_PAGES {
            let idle = pages.iter().find(|(_, page)| page.under_way == 0).map(|(number, _)| *number);
            let idle = idle.and_then(|number| Some((number, pages.remove(&number)?)));
            idle.map(|(number, lasted)| page_over(step, of_step, number, lasted)).into_iter().for_each(over);
        }
        entered
    }

    /// A request ended.
    pub fn leave(&mut self, step: &str, page: Option<u64>, now: Mono) {
        let Some(step) = self.0.get_mut(step) else { return };
        step.lasts.leave(now);
        if let Some(page) = page.and_then(|page| step.pages.get_mut(&page)) {
            page.leave(now);
        }
    }

    /// The run is over, and with it all that is left.
    pub fn close(self, now: Mono, mut over: impl FnMut(Over)) {
        // What is still under way lasts until now; what is not has its own end.
        let ended = |mut lasting: Lasting| {
            if lasting.under_way > 0 {
                lasting.end = now;
            }
            lasting
        };
        for (name, Step { lasts, pages }) in self.0 {
            let id = lasts.id;
            for (number, page) in pages {
                over(page_over(&name, id, number, ended(page)));
            }
            let attributes = vec![("flowgate.step", name.as_str().into())];
            over(Over { lasted: ended(lasts), parent: None, name: format!("step {name}"), attributes });
        }
    }
}

fn page_over(step: &str, parent: u64, number: u64, lasted: Lasting) -> Over {
    let attributes = vec![("flowgate.step", step.into()), ("flowgate.page", number.into())];
    Over { lasted, parent: Some(parent), name: "page".to_owned(), attributes }
}
