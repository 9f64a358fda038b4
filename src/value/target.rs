//! `host:port`: what a connection asks an agent to reach, and what an agent allows. Also which addresses are never
//! reached by a name that merely leads there.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host and a port, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Lower case, without brackets and without the root's dot.
    host: String,
    port: u16,
}

/// Longest name of a host.
const LONGEST: usize = 253;

impl Target {
    /// Reads `erp.internal:443`, `10.0.0.7:8443`, `[fd00::1]:443`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("it has no port, as in \"erp.internal:443\"")?;
        let port = if port.bytes().all(|byte| byte.is_ascii_digit()) { port.parse().ok() } else { None };
        Self::new(host, port.filter(|port| *port > 0).ok_or("its port is no port number")?)
    }

    /// From the parts; an IPv6 address may stand in brackets.
    pub fn new(host: &str, port: u16) -> Result<Self, &'static str> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(host).parse::<IpAddr>() {
            if bare.is_none() && ip.is_ipv6() {
                return Err("an IPv6 address stands in brackets, as in \"[fd00::1]:443\"");
            }
            return Ok(Self { host: ip.to_canonical().to_string(), port });
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.contains('*') {
            return Err("each host is named in full: there are no patterns");
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || host.len() > LONGEST || !host.chars().all(fits) {
            return Err("it names no host");
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address, where the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// `169.254/16`, `fe80::/10`, the metadata address of IPv6 clouds, and the first ones mapped into IPv6: where clouds
/// keep machine credentials.
pub fn is_link_local(ip: IpAddr) -> bool {
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
    fn one_target_has_one_spelling() {
        for (text, shown) in [
            ("ERP.Internal.:443", "erp.internal:443"),
            ("10.0.0.7:8443", "10.0.0.7:8443"),
            ("[FD00::0:1]:443", "[fd00::1]:443"),
            ("[::ffff:10.0.0.7]:80", "10.0.0.7:80"),
            ("my_host:1", "my_host:1"),
        ] {
            assert_eq!(Target::parse(text).map(|target| target.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_reason() {
        for (text, why) in [
            ("erp.internal", "no port"),
            ("erp.internal:", "port number"),
            ("erp.internal:0", "port number"),
            ("erp.internal:+80", "port number"),
            ("erp.internal:65536", "port number"),
            ("*.internal:443", "no patterns"),
            ("fd00::1:443", "brackets"),
            (":443", "no host"),
            ("a b:443", "no host"),
            ("https://erp:443", "no host"),
            ("erp/x:443", "no host"),
            ("erp\r\n:443", "no host"),
        ] {
            assert!(Target::parse(text).is_err_and(|error| error.contains(why)), "{text:?}");
        }
        assert!(Target::parse(&format!("{}:1", "a".repeat(254))).is_err());
    }

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
