//! Name resolution that never leads to link-local addresses: those are where clouds keep machine credentials.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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

/// `169.254/16`, `fe80::/10`, the metadata address of IPv6 clouds, and the first ones mapped into IPv6.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip == METADATA || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_link_local_in_every_spelling() {
        for bad in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(is_link_local(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "10.0.0.1", "::1", "192.0.2.1", "fd00::1"] {
            assert!(!is_link_local(good.parse().unwrap()), "{good}");
        }
    }
}
