//! `proxy` against squid and microsocks, with logins, in front of nginx.

use crate::pki::{Pki, VALID};
use crate::support::{PATIENCE, now};
use crate::tls::{MUTUAL, Nginx, ping};
use crate::{Project, SECRET, free_port, peer, ready};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A proxy that knows `me` with the secret.
struct Proxy {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    /// Waits until its log has a line with all of these.
    #[track_caller]
    fn logged(&self, parts: &[&str]) {
        let until = now() + PATIENCE;
        while !self.log().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            assert!(now() < until, "no line with {parts:?}:\n{}", self.log());
            std::thread::yield_now();
        }
    }
}

/// squid may write and read its folder as the user it becomes.
fn open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn squid(pki: &Pki) -> Option<Proxy> {
    let program = peer::program("squid")?;
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    open(folder.path());
    // Its own files stand beside it where it was taken out of its package.
    let unpacked = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/proxies");
    let root = if unpacked.join("usr/sbin/squid").is_file() { unpacked } else { PathBuf::from("/") };
    let (root, place) = (root.display().to_string(), folder.path().display().to_string());
    let root = root.trim_end_matches('/');
    let hash = pki.command("passwd -apr1 -in secret").output().unwrap().stdout;
    let users = folder.path().join("users");
    std::fs::write(&users, format!("me:{}", String::from_utf8(hash).unwrap())).unwrap();
    let config = folder.path().join("squid.conf");
    let text = format!(
        "http_port 127.0.0.1:{port}\npid_filename {place}/pid\ncache_log {place}/cache.log\naccess_log stdio:{place}/access.log\n\
         coredump_dir {place}\ncache deny all\ncache_effective_user nobody\ncache_effective_group nogroup\npinger_enable off\n\
         shutdown_lifetime 0 seconds\nunlinkd_program /bin/cat\nmime_table {root}/usr/share/squid/mime.conf\n\
         icon_directory {root}/usr/share/squid/icons\nerror_directory {root}/usr/share/squid-langpack/templates\n\
         err_page_stylesheet {root}/etc/squid/errorpage.css\n\
         auth_param basic program {root}/usr/lib/squid/basic_ncsa_auth {place}/users\nauth_param basic children 1\n\
         auth_param basic utf8 on\nacl me proxy_auth REQUIRED\nhttp_access allow me\nhttp_access deny all\n"
    );
    std::fs::write(&config, text).unwrap();
    open(&users);
    let mut command = Command::new(program);
    command.arg("-N").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let proxy = Proxy { child: command.spawn().unwrap(), port, folder };
    ready(port, || std::fs::read_to_string(proxy.folder.path().join("cache.log")).unwrap_or_default());
    Some(proxy)
}

fn microsocks() -> Option<Proxy> {
    let (program, port) = (peer::program("microsocks")?, free_port());
    let mut command = Command::new(program);
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "me", "-P", SECRET]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let proxy = Proxy { child, port, folder: tempfile::tempdir().unwrap() };
    ready(port, String::new);
    Some(proxy)
}

/// A connection through this proxy, with a client certificate where it needs one.
fn project(pki: &Pki, base: &str, proxy: &str) -> Project {
    let keys = format!(
        "proxy = \"{proxy}\"\ntimeout = \"20s\"\n[secrets]\np = {{ env = \"PASS\" }}\n[tls]\nca = {{ file = \"root.pem\" }}\n\
         client_certificate = {{ file = \"both.pem\" }}\n"
    );
    let project = Project::new(base, &keys, "relative_uri = \"/records\"\nrecords = \"$.data[*]\"");
    project.write_bytes("root.pem", &pki.read("root.pem"));
    project.write_bytes("both.pem", &[pki.read("client.pem"), pki.read("client.key")].concat());
    project
}

/// nginx with client certificates, and in the clear.
fn behind(pki: &Pki) -> Option<Nginx> {
    pki.key("client", "P-256");
    pki.issue("client", "root", "extendedKeyUsage=clientAuth", VALID);
    Nginx::start(pki, &[MUTUAL, "listen 127.0.0.1:{port};\n"])
}

#[test]
fn squid_tunnels_tls_and_forwards_plain_http_for_whoever_logs_in() {
    let Some(pki) = Pki::new() else { return };
    let (Some(squid), Some(nginx)) = (squid(&pki), behind(&pki)) else { return };
    let place = format!("127.0.0.1:{}", squid.port);
    let through = format!("http://me:{{{{connection.secrets.p}}}}@{place}");
    let plain = format!("http://127.0.0.1:{}", nginx.ports[1]);
    let (code, answer) = ping(&project(&pki, &nginx.base(0), &through), SECRET);
    assert_eq!(code, Some(0), "{answer}");
    squid.logged(&["TCP_TUNNEL/200", "CONNECT", &nginx.ports[0].to_string(), " me "]);
    // The certificate went through the tunnel untouched.
    nginx.logged(|line| line.contains("SUCCESS CN=client"));
    let (code, answer) = ping(&project(&pki, &plain, &through), SECRET);
    assert_eq!(code, Some(0), "{answer}");
    squid.logged(&["/200", "GET", &plain, " me "]);
    for (base, scheme) in [(nginx.base(0), "TLS"), (plain.clone(), "plain")] {
        for (proxy, pass) in [(through.clone(), "another-secret"), (format!("http://{place}"), SECRET)] {
            let (code, answer) = ping(&project(&pki, &base, &proxy), pass);
            assert_eq!((code, &answer["verdict"]), (Some(69), &"unreachable".into()), "{scheme}: {answer}");
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains(&format!("through the proxy http://{place}")), "{message}");
            assert!(
                message.contains("proxy authorization required") && !message.contains("another-secret"),
                "{message}"
            );
        }
    }
    // What squid cannot reach is its own answer.
    let nowhere = format!("https://127.0.0.1:{}", free_port());
    let (code, answer) = ping(&project(&pki, &nowhere, &through), SECRET);
    assert!(code == Some(69) && answer["message"].as_str().unwrap().contains("through the proxy"), "{answer}");
}

#[test]
fn microsocks_carries_both_for_whoever_logs_in() {
    let Some(pki) = Pki::new() else { return };
    let (Some(socks), Some(nginx)) = (microsocks(), behind(&pki)) else { return };
    for scheme in ["socks5", "socks5h"] {
        let through = format!("{scheme}://me:{{{{connection.secrets.p}}}}@127.0.0.1:{}", socks.port);
        for base in [
            nginx.base(0),
            format!("http://127.0.0.1:{}", nginx.ports[1]),
            nginx.base(0).replace("127.0.0.1", "localhost"),
        ] {
            let (code, answer) = ping(&project(&pki, &base, &through), SECRET);
            assert_eq!(code, Some(0), "{scheme} {base}: {answer}");
            let (code, answer) = ping(&project(&pki, &base, &through), "another-secret");
            assert_eq!(code, Some(69), "{scheme} {base}: {answer}");
            let named = format!("through the proxy {scheme}://127.0.0.1:{}", socks.port);
            assert!(answer["message"].as_str().unwrap().contains(&named), "{answer}");
        }
    }
}
