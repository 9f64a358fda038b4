//! Certificates made by `openssl`, and a server that speaks TLS in front of a scripted API.

use super::project::Project;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// `certs/ca.pem`, `certs/server.pem` and `secrets/server.key` in a project; the certificate is for these addresses.
pub fn certificates(project: &Project, addresses: &str) {
    project.write("certs/.keep", "").write("secrets/.keep", "");
    let script = format!(
        "set -e; umask 077
         new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
         openssl req -x509 $new -keyout secrets/ca.key -out certs/ca.pem -days 2 -subj '/CN=private authority'
         openssl req $new -keyout secrets/server.key -out certs/server.csr -subj /CN=server \
             -addext 'subjectAltName={addresses}'
         openssl x509 -req -in certs/server.csr -CA certs/ca.pem -CAkey secrets/ca.key -CAcreateserial -days 2 \
             -copy_extensions copy -out certs/server.pem"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(project.dir()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Relays to a plain HTTP server behind TLS with the project's certificate; the address. Ends with the test's process.
pub fn in_front_of(project: &Project, api: SocketAddr) -> SocketAddr {
    use rustls::pki_types::pem::PemObject;
    let read = |name: &str| std::fs::read(project.path(name)).unwrap();
    let chain =
        rustls::pki_types::CertificateDer::pem_slice_iter(&read("certs/server.pem")).map(Result::unwrap).collect();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(&read("secrets/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            std::thread::spawn(move || one_request(stream, config, api));
        }
    });
    at
}

/// One request of a connection, whole, and its answer.
fn one_request(stream: TcpStream, config: Arc<rustls::ServerConfig>, api: SocketAddr) -> Option<()> {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).ok()?, stream);
    let mut said = Vec::new();
    let mut buffer = [0; 4_096];
    let whole = |said: &[u8]| {
        let text = String::from_utf8_lossy(said).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        (body.len() >= length.unwrap_or(0)).then_some(head.len())
    };
    let head = loop {
        let count = tls.read(&mut buffer).ok().filter(|count| *count > 0)?;
        said.extend_from_slice(&buffer[..count]);
        if let Some(head) = whole(&said) {
            break head;
        }
    };
    let mut plain = TcpStream::connect(api).ok()?;
    plain.write_all(&[&said[..head], b"\r\nconnection: close", &said[head..]].concat()).ok()?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok()?;
    tls.write_all(&answer).ok()?;
    tls.conn.send_close_notify();
    tls.flush().ok()
}

/// A relay that remembers every byte that passes, both ways.
pub struct Recorder {
    pub addr: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(to) else { continue };
                for (from, into) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    let heard = all.clone();
                    std::thread::spawn(move || {
                        let mut buffer = [0; 16_384];
                        while let Some(count) = from.read(&mut buffer).ok().filter(|count| *count > 0) {
                            heard.lock().unwrap().extend_from_slice(&buffer[..count]);
                            if into.write_all(&buffer[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = into.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { addr, heard }
    }

    /// Whether this passed, and how many bytes did.
    pub fn heard(&self, text: &str) -> (bool, usize) {
        let heard = self.heard.lock().unwrap();
        (heard.windows(text.len()).any(|part| part == text.as_bytes()), heard.len())
    }
}
