//! Where a page comes from: its export, and for which of the `each` it was read; and what its records see of that.

use super::delta::Roots;
use crate::model::export::Export;
use crate::value::context::{Context, Root, Slot};
use crate::value::json::{Json, JsonError, write_string};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a page and its records come from. Shared by all pages of one place.
#[derive(Debug)]
pub struct Origin {
    /// The export.
    pub export: Arc<Export>,
    /// `export` root: `{"name": …}`.
    root: Json,
    kin: Option<(Json, Option<Json>)>,
    /// Of a delta export: the time that was asked for.
    time: Option<Roots>,
}

/// For which of the `each` something is read, as it is stored: JSON texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kin {
    /// `each` root: a key or a list of keys by name.
    pub each: String,
    /// `parent` root: records by name, where anything reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

impl Origin {
    /// An export that is read once.
    pub fn of(export: &Arc<Export>) -> Arc<Self> {
        Arc::new(Self { export: export.clone(), root: root(export), kin: None, time: None })
    }

    /// An export for one of its `each`.
    pub fn kin(export: &Arc<Export>, kin: Option<Kin>) -> Result<Arc<Self>, JsonError> {
        let read = |kin: Kin| Ok((Json::parse(kin.each)?, kin.parent.map(Json::parse).transpose()?));
        let kin = kin.map(read).transpose()?;
        Ok(Arc::new(Self { export: export.clone(), root: root(export), kin, time: None }))
    }

    /// The same, for what was read of this time.
    pub fn timed(&self, time: Roots) -> Arc<Self> {
        let Self { export, root, kin, .. } = self;
        Arc::new(Self { export: export.clone(), root: root.clone(), kin: kin.clone(), time: Some(time) })
    }

    /// The time that was asked for, as it is stored.
    pub fn of_time(&self) -> Option<String> {
        self.time.as_ref().map(Roots::text)
    }

    /// Whether both are of one place: the same export, for the same of its `each`.
    pub fn is_at(&self, other: &Self) -> bool {
        fn kin(of: &Origin) -> Option<(&str, Option<&str>)> {
            of.kin.as_ref().map(|(each, parent)| (each.text(), parent.as_ref().map(Json::text)))
        }
        std::ptr::eq(self, other) || (self.export.name == other.export.name && kin(self) == kin(other))
    }

    /// For which of the `each`; none where there is none.
    pub fn of_each(&self) -> Option<Kin> {
        let (each, parent) = self.kin.as_ref()?;
        Some(Kin { each: each.text().to_owned(), parent: parent.as_ref().map(|parent| parent.text().to_owned()) })
    }

    /// Bytes of what is carried for which of the `each` it is.
    pub fn weight(&self) -> usize {
        let text = |json: &Json| json.text().len();
        self.kin.as_ref().map_or(0, |(each, parent)| text(each) + parent.as_ref().map_or(0, text))
    }

    /// The keys, as a JSON object.
    pub fn keys(&self) -> Option<&str> {
        self.kin.as_ref().map(|(each, _)| each.text())
    }

    /// Offers what it knows.
    pub fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        let ctx = ctx.with(Root::Export, Slot::Json(self.root.as_ref()));
        let ctx = self.time.as_ref().map_or(ctx, |time| time.offer(ctx));
        let Some((each, parent)) = &self.kin else { return ctx };
        let ctx = ctx.with(Root::Each, Slot::Json(each.as_ref()));
        parent.as_ref().map_or(ctx, |parent| ctx.with(Root::Parent, Slot::Json(parent.as_ref())))
    }
}

fn root(export: &Export) -> Json {
    let mut root = b"{\"name\":".to_vec();
    write_string(&mut root, &export.name);
    root.push(b'}');
    Json::trusted(root)
}

/// What a request of a reader sees beyond what every request of its run sees: a lookup's record, say.
pub trait Beside: Send + Sync {
    /// Offers it.
    fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a>;
}
