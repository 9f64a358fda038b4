//! Name resolution that never leads to link-local addresses: those are where clouds keep machine credentials.

pub(super) use crate::value::target::is_link_local;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

/// The system's resolver without link-local answers.
pub(super) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (refused, usable): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|a| is_link_local(a.ip()));
            if usable.is_empty() && !refused.is_empty() {
                return Err("the name leads to a link-local address, which is refused".into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}
