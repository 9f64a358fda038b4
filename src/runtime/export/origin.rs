//! Which export a page is of, and what its records see of that.

use crate::model::export::Export;
use crate::value::context::{Context, Root, Slot};
use crate::value::json::{Json, write_string};
use std::sync::Arc;

/// Where a page and its records come from. Shared by all pages of one place.
#[derive(Debug)]
pub struct Origin {
    /// The export.
    pub export: Arc<Export>,
    /// `export` root: `{"name": …}`.
    root: Json,
}

impl Origin {
    /// An export itself.
    pub fn of(export: &Arc<Export>) -> Arc<Self> {
        let mut root = b"{\"name\":".to_vec();
        write_string(&mut root, &export.name);
        root.push(b'}');
        Arc::new(Self { export: export.clone(), root: Json::trusted(root) })
    }

    /// Offers what it knows.
    pub fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        ctx.with(Root::Export, Slot::Json(self.root.as_ref()))
    }
}

/// What a request of a reader sees beyond what every request of its run sees: a lookup's record, say.
pub trait Beside: Send + Sync {
    /// Offers it.
    fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a>;
}
