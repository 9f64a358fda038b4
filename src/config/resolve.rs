//! Checks that need every file: borrowing, former ids; and drafts made whole.

use super::decode::connection::{Draft, Named};
use super::decode::file::{File, Finding};
use super::{place, suggest};
use crate::model::connection::Connection;
use crate::model::flow::Flow;
use crate::model::settings::{Public, Settings};
use crate::queue::limits::{Level, Limits};
use crate::value::id::ConnectionId;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What a lender must look like, by id.
struct Lender<'d> {
    level: Option<NonZeroU32>,
    borrows: Option<&'d ConnectionId>,
    readable: bool,
}

/// Reports every borrowing that cannot work.
pub(super) fn borrowing(drafts: &[(&File<'_>, &Draft)], unreadable: &[ConnectionId]) {
    let mut lenders: BTreeMap<&ConnectionId, Lender<'_>> = BTreeMap::new();
    for (_, draft) in drafts {
        // A level that is there but wrong was reported.
        let readable = draft.level.is_some() || !draft.level_given;
        let borrows = draft.borrow.as_ref().map(|named| &named.value);
        lenders.insert(&draft.id, Lender { level: draft.level, borrows, readable });
    }
    for id in unreadable {
        lenders.insert(id, Lender { level: None, borrows: None, readable: false });
    }
    for (file, draft) in drafts {
        if let Some(borrow) = &draft.borrow
            && let Some(finding) = judge(&draft.id, &borrow.value, &lenders)
        {
            file.report(finding.at(borrow.at.clone()).key(&borrow.key));
        }
    }
}

fn judge(
    borrower: &ConnectionId,
    lender: &ConnectionId,
    lenders: &BTreeMap<&ConnectionId, Lender<'_>>,
) -> Option<Finding> {
    if borrower == lender {
        let finding = Finding::error("borrow-self", format!("`{borrower}` cannot borrow from itself"));
        return Some(finding.help("set `concurrency_level` here, or name another connection"));
    }
    let Some(found) = lenders.get(lender) else {
        let known: Vec<&str> = lenders.keys().filter(|id| **id != borrower).map(|id| id.as_str()).collect();
        let finding = Finding::error("unknown-connection", format!("there is no connection `{lender}` to borrow from"));
        let none = || format!("add `connections/{lender}.toml`, with a `concurrency_level` to share");
        return Some(finding.help(suggest::help(lender.as_str(), &known).unwrap_or_else(none)));
    };
    if let Some(next) = found.borrows {
        let finding = Finding::error("borrow-chain", format!("`{lender}` borrows itself, from `{next}`"));
        return Some(finding.help(if next == borrower {
            "one of the two must have a `concurrency_level` of its own".to_owned()
        } else {
            format!("borrowing is one hop: borrow from `{next}`")
        }));
    }
    if found.level.is_none() && found.readable {
        let finding = Finding::error("borrow-without-level", format!("`{lender}` has no `concurrency_level` to share"));
        return Some(finding.help(format!("set `concurrency_level` in `connections/{lender}.toml`")));
    }
    None
}

/// Reports every agent that `flowgate.toml` does not know.
pub(super) fn agents(drafts: &[(&File<'_>, &Draft)], settings: &Settings) {
    let known: Vec<&str> = settings.agents.iter().map(|agent| agent.name.as_str()).collect();
    for (file, draft) in drafts {
        let Some(agent) = draft.agent.as_ref().filter(|agent| !known.contains(&agent.value.as_str())) else { continue };
        let finding = Finding::error("unknown-agent", format!("`flowgate.toml` has no `[agents.{}]`", agent.value));
        let help = suggest::nearest(&agent.value, known.iter().copied()).map_or_else(
            || format!("add `[agents.{}]` with `token = {{ file = \"secrets/…\" }}` there", agent.value),
            |near| format!("did you mean `{near}`?"),
        );
        file.report(finding.help(help).at(agent.at.clone()).key(&agent.key));
    }
}

/// Former ids must be free: neither in use nor claimed twice.
pub(super) fn former_ids<'d, T: Ord + Display + 'd>(
    kind: &str,
    claims: impl Iterator<Item = (&'d File<'d>, &'d T, &'d [Named<T>])>,
    taken: &[&T],
) {
    let mut claimed: BTreeMap<&T, &T> = BTreeMap::new();
    for (file, owner, formerly) in claims {
        for former in formerly {
            let finding = if taken.contains(&&former.value) {
                let message = format!("`{}` is the id of a {kind} that exists", former.value);
                Finding::error("formerly-clash", message).help("name an id that is no longer used")
            } else if let Some(other) = claimed.get(&former.value) {
                let message = format!("`{other}` says that it was formerly `{}` too", former.value);
                Finding::error("formerly-clash", message).help("only one of them can carry its history over")
            } else {
                claimed.insert(&former.value, owner);
                continue;
            };
            file.report(finding.at(former.at.clone()).key(&former.key));
        }
    }
}

/// Each path has one webhook; and whoever calls needs the server's token where `public` does not name webhooks.
pub(super) fn hooks<'d>(flows: impl Iterator<Item = (&'d File<'d>, &'d Flow)>, settings: Option<&Settings>) {
    let mut taken: BTreeMap<&str, &Flow> = BTreeMap::new();
    for (file, flow) in flows {
        let Some(webhook) = &flow.webhook else { continue };
        let finding = if let Some(other) = taken.get(webhook.path.as_str()) {
            let message = format!("flow `{}` has the webhook `/hooks/{}` already", other.id, webhook.path);
            Some(Finding::error("webhook-clash", message).help("give each flow a path of its own"))
        } else {
            taken.insert(&webhook.path, flow);
            let closed = |one: &Settings| one.token.is_some() && !one.public.contains(&Public::Webhooks);
            settings.is_some_and(closed).then(|| {
                let message = "callers need the token of `[server]` as well as what `verify` asks for";
                let help = "where they have none, add \"webhooks\" to `[server] public` in `flowgate.toml`";
                Finding::warning("webhook-behind-token", message).help(help)
            })
        };
        if let Some(finding) = finding {
            let at = place::of_value(file.text(), "path", &webhook.path);
            let finding = finding.key("webhook.path");
            file.report(if let Some(at) = at { finding.at(at) } else { finding });
        }
    }
}

/// Connections with their limits and the level of their pool. Drafts with errors are left out.
pub(super) fn connections(
    drafts: Vec<(Draft, String)>,
    settings: &Settings,
) -> BTreeMap<ConnectionId, Arc<Connection>> {
    let levels: BTreeMap<ConnectionId, NonZeroU32> =
        drafts.iter().map(|(draft, _)| (draft.id.clone(), draft.level.unwrap_or(settings.burst))).collect();
    let mut whole = BTreeMap::new();
    for (draft, hash) in drafts {
        let Some(mut http) = draft.http else { continue };
        let pool = draft.borrow.as_ref().map_or(&draft.id, |lender| &lender.value);
        http.level = levels.get(pool).copied().unwrap_or(settings.burst).get();
        let level = match (draft.borrow, draft.level) {
            (Some(lender), _) => Level::Borrow(lender.value),
            (None, Some(most)) if draft.adaptive => Level::Adaptive(most),
            (None, Some(level)) => Level::Fixed(level),
            (None, None) => Level::Burst(settings.burst),
        };
        let limits = Limits { level, wait_time: draft.wait_time, rate: draft.rate, order: draft.order };
        let connection = Connection {
            id: draft.id.clone(),
            title: draft.title,
            formerly: draft.formerly.into_iter().map(|named| named.value).collect(),
            limits,
            agent: draft.agent.map(|named| named.value),
            http: Arc::new(http),
            hash,
        };
        whole.insert(draft.id, Arc::new(connection));
    }
    whole
}
