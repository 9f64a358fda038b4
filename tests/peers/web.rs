//! Digest and Basic against Apache, Basic against nginx.

use crate::{Project, SECRET, peer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const USER: &str = "jürgen";

/// A web server that runs in the background, with its configuration, pages and log in one folder.
struct Web {
    folder: tempfile::TempDir,
    base: String,
    stop: Command,
}

impl Web {
    /// Three pages, each naming the next, below `/basic` and `/digest`.
    fn start(program: &Path, config: impl Fn(&Path, u16) -> String, args: impl Fn(&Path, &str) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for area in ["basic", "digest"] {
            for page in 1..=3 {
                let next = if page < 3 { format!("\"/{area}/{}.json\"", page + 1) } else { "null".to_owned() };
                write(&format!("www/{area}/{page}.json"), format!("{{\"data\":[{{\"id\":{page}}}],\"next\":{next}}}"));
            }
        }
        let sha = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        write("basic.users", format!("{USER}:{{SHA}}{}\n", STANDARD.encode(sha)));
        let hashed = format!("{:x}", md5::Md5::digest(format!("{USER}:peers:{SECRET}")));
        write("digest.users", format!("{USER}:peers:{hashed}\n"));
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        write("server.conf", config(folder.path(), port));
        let command = |what: &str| {
            let mut command = Command::new(program);
            command.args(args(folder.path(), what));
            command
        };
        let started = command("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        // It listens before it goes into the background.
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let stop = command("stop");
        Self { base: format!("http://127.0.0.1:{port}"), folder, stop }
    }

    /// Statuses in the access log, each with the scheme that was sent, once there are so many: a server writes its log
    /// after it has answered.
    fn log(&self, lines: usize) -> Vec<String> {
        let path = self.folder.path().join("access.log");
        for _ in 0..1_000_000 {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.ends_with('\n') && text.lines().count() >= lines {
                return text.lines().map(str::to_owned).collect();
            }
            std::thread::yield_now();
        }
        panic!("the log never had {lines} lines: {:?}", std::fs::read_to_string(&path))
    }

    fn project(&self, method: &str) -> Project {
        let keys = format!("[auth.{method}]\nusername = \"{USER}\"\npassword = {{ env = \"SECRET\" }}\n");
        let flow = format!(
            "relative_uri = \"/{method}/1.json\"\nrecords = \"data\"\n[export.paging.next_url]\npath = \"next\"\n"
        );
        Project::new(&self.base, &keys, &flow)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.stop.output();
    }
}

fn apache() -> Option<Web> {
    let program = peer::program("apache2")?;
    let modules = PathBuf::from("/usr/lib/apache2/modules");
    let config = |folder: &Path, port: u16| {
        let load = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest"]
            .iter()
            .map(|name| format!("LoadModule {name}_module {}", modules.join(format!("mod_{name}.so")).display()))
            .collect::<Vec<_>>()
            .join(
                "
",
            );
        let area = |name: &str, kind: &str, more: &str| {
            format!(
                "<Location /{name}>\nAuthType {kind}\nAuthName peers\nAuth{kind}Provider file\nAuthUserFile {folder}/{name}.users\n\
                 {more}Require valid-user\n</Location>\n",
                folder = folder.display()
            )
        };
        format!(
            "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n\
             {load}\nUser nobody\nGroup nogroup\nDocumentRoot {folder}/www\n\
             LogFormat \"%>s %{{Authorization}}i\" short\nCustomLog {folder}/access.log short\n{basic}{digest}",
            folder = folder.display(),
            basic = area("basic", "Basic", ""),
            digest = area("digest", "Digest", "AuthDigestQop auth\n"),
        )
    };
    let args = |folder: &Path, what: &str| {
        ["-f", &folder.join("server.conf").display().to_string(), "-k", what].map(str::to_owned).to_vec()
    };
    Some(Web::start(&program, config, args))
}

#[test]
fn apache_takes_three_pages_under_digest_in_four_requests() {
    let Some(web) = apache() else { return };
    web.project("digest").expect(SECRET, 0);
    let log = web.log(4);
    let statuses: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(statuses, ["401", "200", "200", "200"], "{log:#?}");
    assert!(log[1].starts_with("200 Digest ") && log[3].contains("nc=00000003"), "{log:#?}");
    web.project("digest").expect("wrong", 77);
    let log = web.log(6);
    assert_eq!(log.len(), 6, "one challenge and one refusal: {log:#?}");
    assert!(log.iter().all(|line| !line.contains("Basic")), "{log:#?}");
}

#[test]
fn apache_gets_no_password_in_clear_where_it_asks_for_basic_instead_of_digest() {
    let Some(web) = apache() else { return };
    let keys = format!("[auth.digest]\nusername = \"{USER}\"\npassword = {{ env = \"SECRET\" }}\n");
    let project = Project::new(&web.base, &keys, "relative_uri = \"/basic/1.json\"\n");
    project.expect(SECRET, 77);
    assert_eq!(web.log(1), ["401 -"]);
}

#[test]
fn apache_and_nginx_take_basic_in_utf8() {
    for web in [apache(), nginx()].into_iter().flatten() {
        web.project("basic").expect(SECRET, 0);
        web.project("basic").expect("wrong", 77);
        let log = web.log(4);
        let statuses: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(statuses, ["200", "200", "200", "401"], "{log:#?}");
    }
}

fn nginx() -> Option<Web> {
    let program = peer::program("nginx")?;
    let config = |folder: &Path, port: u16| {
        format!(
            "pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\nlog_format short '$status $http_authorization';\n\
             access_log {folder}/access.log short;\nclient_body_temp_path {folder}/t1;\nproxy_temp_path {folder}/t2;\n\
             fastcgi_temp_path {folder}/t3;\nuwsgi_temp_path {folder}/t4;\nscgi_temp_path {folder}/t5;\n\
             server {{\nlisten 127.0.0.1:{port};\nroot {folder}/www;\n\
             location /basic {{ auth_basic peers; auth_basic_user_file {folder}/basic.users; }}\n}}\n}}\n",
            folder = folder.display()
        )
    };
    let args = |folder: &Path, what: &str| {
        let mut args = vec!["-c".to_owned(), folder.join("server.conf").display().to_string()];
        if what == "stop" {
            args.extend(["-s", "stop"].map(str::to_owned));
        }
        args
    };
    Some(Web::start(&program, config, args))
}
