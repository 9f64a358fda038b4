//! `[tls]` against nginx and OpenSSL's own server: every form of key, servers that must not be believed, and a client
//! certificate that is renewed while the program runs.

use crate::pki::{CA, EXPIRED, LOOPBACK, Pki, VALID};
use crate::support::client;
use crate::support::command::{finish, flowgate, run};
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use crate::{Project, SECRET, free_port, peer, ready};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// nginx with one server for each block: `{port}` stands for a free port of its own.
pub struct Nginx {
    child: Child,
    pub ports: Vec<u16>,
    folder: tempfile::TempDir,
}

/// Asks for a client certificate and logs who came with which.
pub const MUTUAL: &str = "listen 127.0.0.1:{port} ssl;\nssl_certificate server.pem;\nssl_certificate_key server.key;\n\
    ssl_protocols TLSv1.2 TLSv1.3;\nssl_client_certificate root.pem;\nssl_verify_client on;\nssl_verify_depth 3;\n";

impl Nginx {
    pub fn start(pki: &Pki, servers: &[&str]) -> Option<Self> {
        let program = peer::program("nginx")?;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        let ports: Vec<u16> = servers.iter().map(|_| free_port()).collect();
        let servers: Vec<String> = servers
            .iter()
            .zip(&ports)
            .map(|(block, port)| {
                let block = block.replace("{port}", &port.to_string());
                format!("server {{\n{block}\ndefault_type application/json;\nreturn 200 '{{\"data\":[{{\"id\":1}}]}}';\n}}\n")
            })
            .collect();
        let servers = servers.concat();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};\n"));
        let config = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\nhttp {{\n\
             log_format who '$status $server_port $ssl_protocol $ssl_client_verify $ssl_client_s_dn $ssl_client_serial';\n\
             access_log {place}/access.log who;\n{}{servers}}}\n",
            temporary.concat()
        );
        let path = pki.path("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .args(["-p".as_ref(), pki.folder().as_os_str(), "-c".as_ref(), path.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, ports, folder };
        for port in &nginx.ports {
            ready(*port, || std::fs::read_to_string(nginx.folder.path().join("error.log")).unwrap_or_default());
        }
        Some(nginx)
    }

    pub fn base(&self, server: usize) -> String {
        format!("https://127.0.0.1:{}", self.ports[server])
    }

    /// Waits for a line of the access log that fits; a server writes it after it has answered.
    #[track_caller]
    pub fn logged(&self, fits: impl Fn(&str) -> bool) {
        let until = now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
            if log.lines().any(&fits) {
                return;
            }
            assert!(now() < until, "no such line:\n{log}");
            std::thread::yield_now();
        }
    }

    /// Lines so far.
    fn lines(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default().lines().count()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A project whose connection has these keys below `[tls]`, and these files.
fn project(base: &str, tls: &str, files: &[(&str, Vec<u8>)]) -> Project {
    let keys = format!("timeout = \"20s\"\n[tls]\n{tls}");
    let project = Project::new(base, &keys, "relative_uri = \"/records\"\nrecords = \"$.data[*]\"");
    for (name, content) in files {
        project.write_bytes(name, content);
    }
    project
}

/// `ping` with the secret in `PASS`: the exit code and the answer.
#[track_caller]
pub fn ping(project: &Project, pass: &str) -> (Option<i32>, Value) {
    let mut command = flowgate(project.path());
    command.args(["ping", "api", "--json"]).env("PASS", pass);
    let ended = finish(command, PATIENCE);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| Value::String(ended.stderr.clone()));
    (ended.code, document["pings"][0].clone())
}

#[track_caller]
fn expect(project: &Project, code: i32, told: &str) {
    let (found, answer) = ping(project, SECRET);
    assert_eq!(found, Some(code), "{told}: {answer}");
    assert!(answer["message"].as_str().unwrap_or_default().contains(told), "{told}: {answer}");
}

/// What `check` finds, as `code line:column`.
fn check(project: &Project, pass: &str) -> (Option<i32>, Vec<String>) {
    let mut command = flowgate(project.path());
    command.args(["check", "--json"]).env("PASS", pass);
    let ended = finish(command, PATIENCE);
    assert!(!ended.stdout.contains(SECRET), "{}", ended.stdout);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap().iter();
    let shown = |finding: &Value| {
        assert_eq!(finding["file"], "connections/api.toml");
        format!("{} {}:{}", finding["code"].as_str().unwrap(), finding["line"], finding["column"])
    };
    (ended.code, findings.map(shown).collect())
}

/// One form of key: its name, how it is written from `<name>.key`, and the keys that use it.
struct Form {
    name: &'static str,
    make: &'static str,
    encrypted: bool,
}

const FORMS: [Form; 12] = [
    Form { name: "pkcs8", make: "pkey -in NAME.key -out NAME.out", encrypted: false },
    Form { name: "traditional", make: "pkey -traditional -in NAME.key -out NAME.out", encrypted: false },
    Form {
        name: "aes-256",
        make: "pkcs8 -topk8 -v2 aes-256-cbc -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "aes-128 sha-512",
        make: "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "3des sha-1",
        make: "pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "scrypt",
        make: "pkcs8 -topk8 -scrypt -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "legacy aes-128",
        make: "pkey -traditional -aes128 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "legacy aes-192",
        make: "pkey -traditional -aes192 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "legacy aes-256",
        make: "pkey -traditional -aes256 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "legacy 3des",
        make: "pkey -traditional -des3 -in NAME.key -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "pfx",
        make: "pkcs12 -export -inkey NAME.key -in NAME.pem -certfile middle.pem -passout file:secret -out NAME.out",
        encrypted: true,
    },
    Form {
        name: "pfx legacy",
        make: "pkcs12 -export -legacy -inkey NAME.key -in NAME.pem -certfile middle.pem -passout file:secret -out NAME.out",
        encrypted: true,
    },
];

#[test]
fn nginx_takes_every_form_of_key_with_its_passphrase_and_check_refuses_any_other() {
    let Some(pki) = Pki::new() else { return };
    let Some(nginx) = Nginx::start(&pki, &[MUTUAL]) else { return };
    let mut tried = 0;
    for kind in ["RSA", "P-256", "P-384", "ED25519"] {
        let name = format!("client-{}", kind.to_lowercase());
        pki.key(&name, kind);
        // nginx knows the root only: without the chain nobody comes in.
        pki.issue(&name, "middle", "extendedKeyUsage=clientAuth", VALID);
        let alone = pki.read(&format!("{name}.pem"));
        for form in &FORMS {
            // OpenSSL has no traditional form of Ed25519.
            if kind == "ED25519" && form.make.contains("traditional") {
                continue;
            }
            std::fs::write(pki.path(&format!("{name}.pem")), &alone).unwrap();
            pki.openssl(&form.make.replace("NAME", &name));
            pki.chain(&name, "middle");
            let key = pki.read(&format!("{name}.out"));
            let pfx = form.name.starts_with("pfx");
            let given = if pfx {
                "pfx = { file = \"key\" }\n"
            } else {
                "client_certificate = { file = \"chain.pem\" }\nclient_key = { file = \"key\" }\n"
            };
            let passphrase = if form.encrypted { "passphrase = { env = \"PASS\" }\n" } else { "" };
            let files =
                [("key", key), ("chain.pem", pki.read(&format!("{name}.pem"))), ("root.pem", pki.read("root.pem"))];
            let ca = "ca = { file = \"root.pem\" }\n";
            let whole = project(&nginx.base(0), &format!("{ca}{given}{passphrase}"), &files);
            let (code, answer) = ping(&whole, SECRET);
            assert_eq!((code, &answer["tls"]), (Some(0), &"1.3".into()), "{kind} {}: {answer}", form.name);
            nginx.logged(|line| line.starts_with("200 ") && line.contains(&format!("SUCCESS CN={name} ")));
            tried += 1;
            if form.encrypted {
                let (at_key, at_passphrase) = if pfx { (5, 6) } else { (6, 7) };
                let column = if pfx { 7 } else { 14 };
                assert_eq!(check(&whole, SECRET), (Some(0), Vec::new()), "{kind} {}", form.name);
                let wrong = vec![format!("wrong-passphrase {at_passphrase}:14")];
                assert_eq!(check(&whole, "another"), (Some(78), wrong), "{kind} {}", form.name);
                let without = project(&nginx.base(0), &format!("{ca}{given}"), &files);
                let missing = vec![format!("missing-passphrase {at_key}:{column}")];
                assert_eq!(check(&without, ""), (Some(78), missing), "{kind} {}", form.name);
            }
        }
    }
    assert_eq!(tried, 12 * 3 + 7);
}

#[test]
fn a_key_may_stand_in_the_file_of_its_certificate_or_in_a_variable() {
    let Some(pki) = Pki::new() else { return };
    let Some(nginx) = Nginx::start(&pki, &[MUTUAL]) else { return };
    pki.key("client", "P-256");
    pki.issue("client", "root", "extendedKeyUsage=clientAuth", VALID);
    let both = [pki.read("client.pem"), pki.read("client.key")].concat();
    let root = ("root.pem", pki.read("root.pem"));
    let ca = "ca = { file = \"root.pem\" }\n";
    let one = project(
        &nginx.base(0),
        &format!("{ca}client_certificate = {{ file = \"both.pem\" }}\n"),
        &[("both.pem", both), root.clone()],
    );
    expect(&one, 0, "");
    let variable = format!("{ca}client_certificate = {{ file = \"client.pem\" }}\nclient_key = {{ env = \"PASS\" }}\n");
    let project = project(&nginx.base(0), &variable, &[("client.pem", pki.read("client.pem")), root.clone()]);
    let (code, answer) = ping(&project, &String::from_utf8(pki.read("client.key")).unwrap());
    assert_eq!(code, Some(0), "{answer}");
    // Whoever shows nothing gets an answer of nginx' own.
    let nobody = self::project(&nginx.base(0), ca, &[root]);
    assert_eq!(ping(&nobody, "").1["status"], 400);
}

#[test]
fn the_client_certificate_is_not_shown_to_origins_that_data_leads_to() {
    let Some(pki) = Pki::new() else { return };
    pki.key("client", "P-256");
    pki.issue("client", "root", "extendedKeyUsage=clientAuth", VALID);
    let optional = MUTUAL.replace("ssl_verify_client on", "ssl_verify_client optional");
    let Some(nginx) = Nginx::start(&pki, &[&optional, &optional]) else { return };
    let away = nginx.base(1);
    for (origin, seen) in
        [(format!("\"{away}\""), "NONE"), (format!("{{ origin = \"{away}\", auth = true }}"), "SUCCESS")]
    {
        let keys = format!(
            "allowed_origins = [{origin}]\n[tls]\nca = {{ file = \"root.pem\" }}\n\
             client_certificate = {{ file = \"both.pem\" }}\n"
        );
        let flow = format!("relative_uri = \"{away}/records\"\nrecords = \"$.data[*]\"\n");
        let project = Project::new(&nginx.base(0), &keys, &flow);
        project.write_bytes("root.pem", &pki.read("root.pem"));
        project.write_bytes("both.pem", &[pki.read("client.pem"), pki.read("client.key")].concat());
        project.expect(SECRET, 0);
        nginx.logged(|line| line.starts_with(&format!("200 {} TLSv1.3 {seen}", nginx.ports[1])));
        expect(&project, 0, "");
        nginx.logged(|line| line.starts_with(&format!("200 {} TLSv1.3 SUCCESS", nginx.ports[0])));
    }
}

#[test]
fn a_server_is_believed_by_issuer_name_and_date_and_what_is_wrong_is_told_with_the_key_to_change() {
    let Some(pki) = Pki::new() else { return };
    let server = |name: &str, more: &str| {
        format!("listen 127.0.0.1:{{port}} ssl;\nssl_certificate {name}.pem;\nssl_certificate_key {name}.key;\n{more}")
    };
    let self_made = format!("{CA}\n{LOOPBACK}");
    for (name, by, extensions, valid) in [
        ("expired", "root", LOOPBACK, EXPIRED),
        ("elsewhere", "root", "subjectAltName=DNS:other.example", VALID),
        ("made", "made", self_made.as_str(), VALID),
        ("made-expired", "made-expired", self_made.as_str(), EXPIRED),
        ("made-elsewhere", "made-elsewhere", &format!("{CA}\nsubjectAltName=DNS:other.example"), VALID),
    ] {
        pki.key(name, "P-256");
        pki.issue(name, by, extensions, valid);
    }
    let old = "ssl_protocols TLSv1 TLSv1.1;\nssl_ciphers DEFAULT:@SECLEVEL=0;\n";
    let servers = [
        server("server", ""),
        server("expired", ""),
        server("elsewhere", ""),
        server("made", ""),
        server("made-expired", ""),
        server("made-elsewhere", ""),
        server("server", old),
        server("server", "ssl_protocols TLSv1.2;\n"),
        "listen 127.0.0.1:{port};\n".to_owned(),
    ];
    let Some(nginx) = Nginx::start(&pki, &servers.each_ref().map(String::as_str)) else { return };
    let with = |server: usize, ca: &str| {
        let keys = if ca.is_empty() { String::new() } else { format!("ca = {{ file = \"{ca}\" }}\n") };
        let files =
            ["root.pem", "made.pem", "made-expired.pem", "made-elsewhere.pem"].map(|name| (name, pki.read(name)));
        project(&nginx.base(server), &keys, &files)
    };
    for (server, ca, code, told) in [
        (0, "root.pem", 0, ""),
        (
            0,
            "",
            69,
            "UnknownIssuer: this system does not know who issued it: give the issuer's certificate as `tls.ca`",
        ),
        (0, "made.pem", 69, "UnknownIssuer: neither `tls.ca` nor this system knows"),
        (1, "root.pem", 69, "the server's certificate has run out"),
        (2, "root.pem", 69, "`base_uri` must use a name that the server's certificate is made for"),
        (3, "made.pem", 0, ""),
        (3, "root.pem", 69, "the server made its certificate itself: give that as `tls.ca`"),
        (4, "made-expired.pem", 69, "the server's certificate has run out"),
        (5, "made-elsewhere.pem", 69, "`base_uri` must use a name"),
        (6, "root.pem", 69, "TLS 1.2 and 1.3 are spoken, and nothing older"),
        (7, "root.pem", 0, ""),
        (8, "root.pem", 69, "this port does not speak TLS"),
    ] {
        expect(&with(server, ca), code, told);
    }
    assert_eq!(ping(&with(7, "root.pem"), "").1["tls"], "1.2");
    for server in 1..=5 {
        let blind = project(&nginx.base(server), "verify = false\n", &[]);
        expect(&blind, 0, "");
    }
    // Not verifying does not make old protocols new.
    expect(&project(&nginx.base(6), "verify = false\n", &[]), 69, "TLS 1.2 and 1.3");
}

/// OpenSSL's own server, which ends a handshake without a good certificate.
fn strict(pki: &Pki, version: &str) -> (Child, u16) {
    let port = free_port();
    let words = format!(
        "s_server -accept 127.0.0.1:{port} -cert server.pem -key server.key -CAfile root.pem -Verify 3 \
         -verify_return_error -www -quiet -{version}"
    );
    let child = pki.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    ready(port, String::new);
    (child, port)
}

#[test]
fn a_server_that_refuses_the_client_certificate_is_unreachable_and_the_key_is_named() {
    let Some(pki) = Pki::new() else { return };
    for (name, by, valid) in [("good", "root", VALID), ("expired", "root", EXPIRED), ("stranger", "stranger", VALID)] {
        pki.key(name, "P-256");
        pki.issue(name, by, "extendedKeyUsage=clientAuth", valid);
    }
    let ca = "ca = { file = \"root.pem\" }\n";
    let with = |port: u16, name: &str| {
        let keys =
            format!("{ca}client_certificate = {{ file = \"client.pem\" }}\nclient_key = {{ file = \"client.key\" }}\n");
        let keys = if name.is_empty() { ca.to_owned() } else { keys };
        let read = |kind: &str| if name.is_empty() { Vec::new() } else { pki.read(&format!("{name}.{kind}")) };
        let files = [("client.pem", read("pem")), ("client.key", read("key")), ("root.pem", pki.read("root.pem"))];
        project(&format!("https://127.0.0.1:{port}"), &keys, &files)
    };
    for version in ["tls1_2", "tls1_3"] {
        let (mut child, port) = strict(&pki, version);
        for (name, told) in [
            ("", "give `tls.client_certificate` and `tls.client_key`, or `tls.pfx`"),
            ("expired", "the client certificate has run out: renew `tls.client_certificate`"),
            ("stranger", "the server does not know who issued `tls.client_certificate`"),
        ] {
            let (code, answer) = ping(&with(port, name), SECRET);
            assert_eq!((code, &answer["verdict"]), (Some(69), &"unreachable".into()), "{version} {name}: {answer}");
            let message = answer["message"].as_str().unwrap();
            // Under TLS 1.3 the refusal races with the request, and the kernel may throw it away with the connection. Where
            // it is heard, it is known that nothing was taken.
            let heard = message.starts_with("cannot connect") && message.contains(told);
            let lost = version == "tls1_3" && message.contains("broke") && !message.contains("alert");
            assert!(heard || lost, "{version} {name}: {answer}");
        }
        let good = ping(&with(port, "good"), SECRET).1;
        assert_eq!(good["status"], 200, "{good}");
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Serial number of a certificate, as nginx writes it.
fn serial(pki: &Pki, name: &str) -> String {
    let output = pki.command(&format!("x509 -in {name}.pem -noout -serial")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().trim_start_matches("serial=").to_owned()
}

fn replace(project: &Path, name: &str, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let fresh = project.join(format!("{name}.new"));
    std::fs::write(&fresh, content).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(fresh, project.join(name)).unwrap();
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart_and_a_broken_one_leaves_the_old_in_use() {
    let Some(pki) = Pki::new() else { return };
    let Some(nginx) = Nginx::start(&pki, &[MUTUAL]) else { return };
    pki.key("client", "P-256");
    let renewed = || {
        pki.issue("client", "root", "extendedKeyUsage=clientAuth", VALID);
        (serial(&pki, "client"), [pki.read("client.pem"), pki.read("client.key")].concat())
    };
    let (first, both) = renewed();
    let keys = "ca = { file = \"root.pem\" }\nclient_certificate = { file = \"both.pem\" }\n";
    let project = project(&nginx.base(0), keys, &[("both.pem", both), ("root.pem", pki.read("root.pem"))]);
    project.write("flowgate.toml", "[server]\nlisten = \"127.0.0.1:0\"\n");
    let flow = "schedule = \"* * * * * *\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\
                [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";
    project.write("flows/copy.toml", flow);
    let mut serving = Serving::start({
        let mut command = flowgate(project.path());
        command.arg("serve");
        command
    });
    serving.wait_until_listening();
    let came = |serial: &str, after: usize| {
        let until = now() + PATIENCE;
        while !nginx_lines(&nginx).skip(after).any(|line| line.starts_with("200 ") && line.ends_with(serial)) {
            assert!(now() < until, "nobody came with {serial}");
            std::thread::yield_now();
        }
    };
    came(&first, 0);
    let (second, both) = renewed();
    replace(project.path(), "both.pem", &both);
    serving.wait_for("reload applied");
    came(&second, 0);
    replace(project.path(), "both.pem", b"garbage");
    let rejected = serving.wait_for("reload rejected").to_string();
    assert!(rejected.contains("connections/api.toml:5:22") && rejected.contains("holds no certificate"), "{rejected}");
    came(&second, nginx.lines());
    let before = nginx.lines();
    let (third, both) = renewed();
    replace(project.path(), "both.pem", &both);
    came(&third, before);
    // Nobody comes with an old one any more.
    let after = nginx.lines();
    came(&third, after + 2);
    assert!(nginx_lines(&nginx).skip(after + 2).all(|line| line.ends_with(third.as_str())));
    let status = run(project.path(), &["status"]).expect_code(0).stdout;
    assert!(!status.contains("NOT in force"), "{status}");
}

#[test]
fn a_renewed_authority_pfx_and_passphrase_are_used_without_a_restart() {
    let Some(pki) = Pki::new() else { return };
    let Some(nginx) = Nginx::start(&pki, &[MUTUAL]) else { return };
    pki.key("client", "P-256");
    let renewed = |passphrase: &str| {
        pki.issue("client", "root", "extendedKeyUsage=clientAuth", VALID);
        pki.openssl(&format!(
            "pkcs12 -export -in client.pem -inkey client.key -passout pass:{passphrase} -out client.pfx"
        ));
        (serial(&pki, "client"), pki.read("client.pfx"))
    };
    let (first, pfx) = renewed("one-passphrase");
    let keys = "ca = { file = \"ca.pem\" }\npfx = { file = \"client.pfx\" }\npassphrase = { file = \"passphrase\" }\n";
    let project = project(
        &nginx.base(0),
        keys,
        &[("client.pfx", pfx), ("ca.pem", pki.read("root.pem")), ("passphrase", b"one-passphrase".to_vec())],
    );
    project.write("flowgate.toml", "[server]\nlisten = \"127.0.0.1:0\"\n");
    let mut serving = Serving::start({
        let mut command = flowgate(project.path());
        command.arg("serve");
        command
    });
    let addr = serving.wait_until_listening();
    let token = std::fs::read_to_string(project.path().join("state/api-token")).unwrap();
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token.trim());
    // The running process itself is asked: the command line reads the files first.
    let asked = |verdict: &str, told: &str| {
        let got = client::send(addr, "POST", "/api/v1/actions/ping", &headers, "{\"connection\":\"api\"}");
        assert!(
            got.body.contains(&format!("\"verdict\":\"{verdict}\"")) && got.body.contains(told),
            "{told}: {}",
            got.body
        );
    };
    asked("ok", "");
    nginx.logged(|line| line.starts_with("200 ") && line.ends_with(&first));
    // The passphrase alone does not open the file that is there: what was in use stays so.
    replace(project.path(), "passphrase", b"another-passphrase");
    let rejected = serving.wait_for("reload rejected").to_string();
    assert!(rejected.contains("passphrase") && !rejected.contains("another-passphrase"), "{rejected}");
    asked("ok", "");
    let (second, pfx) = renewed("another-passphrase");
    replace(project.path(), "client.pfx", &pfx);
    serving.wait_for("reload applied");
    asked("ok", "");
    nginx.logged(|line| line.starts_with("200 ") && line.ends_with(&second));
    // Another authority: the server is believed no more, until its own is back.
    pki.key("stranger", "P-256");
    pki.issue("stranger", "stranger", CA, VALID);
    replace(project.path(), "ca.pem", &pki.read("stranger.pem"));
    serving.wait_for("reload applied");
    asked("unreachable", "tls.ca");
    replace(project.path(), "ca.pem", &pki.read("root.pem"));
    serving.wait_for("reload applied");
    asked("ok", "");
    let lines = serving.lines_of("reload applied").len();
    assert_eq!(lines, 3, "each file was noticed once");
}

fn nginx_lines(nginx: &Nginx) -> impl Iterator<Item = String> {
    let log = std::fs::read_to_string(nginx.folder.path().join("access.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}
