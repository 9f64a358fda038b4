//! The reader of a delta export: when it begins, which window is next, and what its end means for the mark.

use super::{Watch, mark_key};
use crate::observe::event;
use crate::runtime::export::origin::Origin;
use crate::runtime::export::paging::Pager;
use crate::runtime::export::{Course, ReadError, Reader};
use crate::value::context::Context;
use std::sync::Arc;

impl Reader<'_> {
    /// Finds out which time a delta export covers.
    pub(in crate::runtime::export) async fn begin(&mut self) -> Result<(), ReadError> {
        let Course { scope, export, .. } = self.course;
        let Some(delta) = export.delta.as_ref().filter(|_| self.watch.is_none()) else { return Ok(()) };
        let mark = scope.marks.read(&self.course.mark()).await?;
        if mark.is_none() && delta.start.is_none() && scope.asked.since.is_none() {
            event::delta_from_the_beginning(&scope.flow.id, &self.course.origin.export.name);
        }
        let now = scope.now();
        let watch = Watch::begin(delta, mark, scope.asked, scope.started, &self.course.context(&now))?;
        self.watch = Some(watch);
        Ok(())
    }

    /// Goes on to the next window of a delta; false when there is none.
    pub(in crate::runtime::export) fn next_window(&mut self) -> bool {
        let is_there = self.watch.as_mut().is_some_and(Watch::advance);
        if is_there {
            self.pager = Pager::new(&self.course.export.paging);
            self.previous = None;
        }
        is_there
    }

    /// The export is over. Its mark may move when nothing but its own end ended it.
    pub(in crate::runtime) fn over(&self) {
        let scope = self.course.scope;
        let cut = self.course.quota.is_spent() || scope.limit.is_some() || !scope.asked.is_nothing();
        if let Some(watch) = self.watch.as_ref().filter(|_| !cut) {
            watch.ended(&scope.marks, self.course.mark(), scope.started);
        }
    }

    /// Offers the time that is asked for while `then` runs.
    pub(in crate::runtime::export) fn timed<T>(&self, ctx: &Context<'_>, then: impl FnOnce(&Context<'_>) -> T) -> T {
        match self.watch.as_ref().map(Watch::roots) {
            Some(roots) => then(&roots.offer(*ctx)),
            None => then(ctx),
        }
    }

    /// Where the records of the page at hand come from: with the time that is asked for now.
    pub(in crate::runtime::export) fn origin(&self) -> Arc<Origin> {
        let origin = &self.course.origin;
        self.watch.as_ref().map_or_else(|| origin.clone(), |watch| origin.timed(watch.roots()))
    }
}

impl Course<'_> {
    /// Under what its delta's mark is stored.
    fn mark(&self) -> String {
        let per_value = self.export.delta.as_ref().is_none_or(|delta| delta.per_value);
        let (flow, export) = (&self.scope.flow.id, &self.origin.export.name);
        match &self.block {
            None => mark_key(flow, export, self.origin.keys().filter(|_| per_value)),
            Some(block) => {
                let name = format!("{export} each.{}", block.name);
                mark_key(flow, &name, block.keys.as_deref().filter(|_| per_value))
            }
        }
    }
}
