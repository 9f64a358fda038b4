//! Keys and certificates made by `openssl`, in a folder of their own.

use crate::{SECRET, peer};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const VALID: &str = "20200101000000Z 20990101000000Z";
pub const EXPIRED: &str = "20200101000000Z 20210101000000Z";
/// Extensions of a CA.
pub const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature";
/// Extensions of a server on loopback.
pub const LOOPBACK: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

pub struct Pki {
    folder: tempfile::TempDir,
    openssl: PathBuf,
}

impl Pki {
    /// With a `root` that issued `middle` and a certificate `server` for loopback. None where there is no OpenSSL.
    pub fn new() -> Option<Self> {
        let pki = Self { folder: tempfile::tempdir().unwrap(), openssl: peer::program("openssl")? };
        pki.write("secret", SECRET);
        pki.write("index", "");
        let database = "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\n\
                        default_md = sha256\npolicy = p\nunique_subject = no\nemail_in_dn = no\n[p]\ncommonName = supplied\n\
                        [req]\ndistinguished_name = n\n[n]\n";
        pki.write("ca.conf", database);
        pki.key("root", "P-256");
        pki.issue("root", "root", CA, VALID);
        pki.key("middle", "P-256");
        pki.issue("middle", "root", CA, VALID);
        pki.key("server", "P-256");
        pki.issue("server", "root", LOOPBACK, VALID);
        Some(pki)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// `openssl` with these words, in the folder.
    #[track_caller]
    pub fn openssl(&self, words: &str) {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The same, not yet run.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.openssl);
        command.current_dir(self.folder.path()).args(words.split(' ')).stdin(Stdio::null());
        command
    }

    /// `<name>.key`: `RSA`, `P-256`, `P-384` or `ED25519`.
    pub fn key(&self, name: &str, kind: &str) {
        let kind = match kind {
            "RSA" => "RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
            "ED25519" => kind.to_owned(),
            curve => format!("EC -pkeyopt ec_paramgen_curve:{curve}"),
        };
        self.openssl(&format!("genpkey -algorithm {kind} -out {name}.key"));
    }

    /// `<name>.pem`: a certificate for `<name>.key`, named after it; a self-made one where `by` is the same.
    pub fn issue(&self, name: &str, by: &str, extensions: &str, valid: &str) {
        self.write("extensions", &format!("{extensions}\n"));
        self.openssl(&format!("req -new -config ca.conf -key {name}.key -subj /CN={name} -out {name}.csr"));
        let (from, until) = valid.split_once(' ').unwrap();
        let by = if name == by {
            format!("-selfsign -keyfile {by}.key")
        } else {
            format!("-cert {by}.pem -keyfile {by}.key")
        };
        self.openssl(&format!(
            "ca -batch -notext -config ca.conf {by} -startdate {from} -enddate {until} -extfile extensions \
             -in {name}.csr -out {name}.pem"
        ));
    }

    /// `<name>.pem` with the certificate of `by` behind its own.
    pub fn chain(&self, name: &str, by: &str) {
        let chain = [self.read(&format!("{name}.pem")), self.read(&format!("{by}.pem"))].concat();
        std::fs::write(self.path(&format!("{name}.pem")), chain).unwrap();
    }
}
