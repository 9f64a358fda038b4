//! Ways to authenticate, judged by software that was not written here: Apache, nginx, oauthlib, PyJWT, botocore.
//!
//! `./test` installs them. A group whose peer is missing says that it skipped, and fails where `FLOWGATE_PEERS=required`
//! (continuous integration).

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod peer;
mod signed;
mod web;

use std::path::Path;
use std::process::{Command, Output};

/// Password and shared secret: quotes, `%`, beyond ASCII.
const SECRET: &str = "p%ss\"wörd+/=&";

/// A project with connection `api`, whose only flow reads `/records` below its base.
struct Project(tempfile::TempDir);

impl Project {
    fn new(base: &str, keys: &str, flow: &str) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("connections/api.toml", &format!("base_uri = \"{base}\"\n{keys}\n"));
        project.write("flows/copy.toml", &format!("[export]\nconnection = \"api\"\n{flow}\n"));
        project
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs the flow; the exit code and all output.
    fn run(&self, secret: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.arg("-C").arg(self.0.path()).args(["run", "copy"]).env("SECRET", secret).env("ACCESS", "AKID");
        let Output { status, stdout, stderr } = command.env("SESSION", "session+token==").output().unwrap();
        (status.code(), format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }

    #[track_caller]
    fn expect(&self, secret: &str, code: i32) {
        let (found, shown) = self.run(secret);
        assert_eq!(found, Some(code), "{shown}");
    }
}

/// A key made for tests of signing methods.
fn key(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/auth/testing").join(name);
    std::fs::read_to_string(path).unwrap()
}
