//! What systemd wants to hear from a service of `Type=notify`: that it is ready, that it stops.
//!
//! One datagram to the socket that `NOTIFY_SOCKET` names; where it names none, nobody listens and nothing is said.

use crate::config::Env;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub(super) struct Systemd(Option<(UnixDatagram, SocketAddr)>);

impl Systemd {
    pub(super) fn of(env: &dyn Env) -> Self {
        let connect = |name: String| Some((UnixDatagram::unbound().ok()?, address(&name)?));
        Self(env.var("NOTIFY_SOCKET").and_then(connect))
    }

    pub(super) fn ready(&self) {
        self.say("READY=1\nSTATUS=running flows");
    }

    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining: requests in flight finish, nothing new begins");
    }

    fn say(&self, state: &str) {
        if let Some((socket, to)) = &self.0
            && let Err(error) = socket.send_to_addr(state.as_bytes(), to)
        {
            tracing::warn!(%error, "systemd not told");
        }
    }
}

/// A path, or after `@` a name that is in no file system.
fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok(),
        #[cfg(not(target_os = "linux"))]
        Some(_) => None,
        None => SocketAddr::from_pathname(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    struct Variables(HashMap<&'static str, String>);

    impl Env for Variables {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }

    fn heard(listening: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = listening.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn whoever_listens_at_a_path_or_under_a_name_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").to_str().unwrap().to_owned();
        let name = format!("@flowgate-test-{}", std::process::id());
        for place in [path, name] {
            let listening = UnixDatagram::bind_addr(&address(&place).unwrap()).unwrap();
            let systemd = Systemd::of(&Variables([("NOTIFY_SOCKET", place)].into()));
            systemd.ready();
            systemd.stopping();
            assert_eq!([heard(&listening), heard(&listening)], ["READY=1", "STOPPING=1"]);
        }
    }

    #[test]
    fn without_a_listener_nothing_happens() {
        Systemd::of(&Variables(HashMap::new())).ready();
        for nobody in ["/nowhere/at/all", "", "@"] {
            Systemd::of(&Variables([("NOTIFY_SOCKET", nobody.to_owned())].into())).ready();
        }
    }
}
