//! Digest, OAuth 1, JWT, SigV4, WSSE and fields made of the request, judged by `verifier.py`; WSSE in hexadecimal by `wsse.mjs`.

use crate::{Project, SECRET, key, peer};
use std::process::{Command, Stdio};

struct Verifier {
    server: peer::Server,
    _keys: tempfile::TempDir,
}

impl Verifier {
    /// None where there is no Python for it.
    fn start() -> Option<Self> {
        let python = peer::python()?;
        let keys = tempfile::tempdir().unwrap();
        let public = |name: &str| {
            let script = "import sys; from cryptography.hazmat.primitives import serialization as s; \
                 k = s.load_pem_private_key(sys.stdin.buffer.read(), None).public_key(); \
                 print(k.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode())";
            let path = keys.path().join(name);
            let mut child = Command::new(&python)
                .args(["-c", script])
                .stdin(Stdio::piped())
                .stdout(std::fs::File::create(&path).unwrap())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), key(name).as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
            path
        };
        let mut command = Command::new(&python);
        command.arg(peer::script("verifier.py")).env("PEER_SECRET", SECRET);
        command
            .env("PEER_RSA", public("rsa.pem"))
            .env("PEER_EC", public("p256.pem"))
            .env("PEER_EC384", public("p384.pem"));
        Some(Self { server: peer::Server::start(&mut command), _keys: keys })
    }

    #[track_caller]
    fn judge(&self, path: &str, keys: &str) {
        judge(&format!("{}/{path}", self.server.base), keys);
    }
}

/// A flow that reads and then writes what it read, with queries and bodies that are hard to sign.
#[track_caller]
fn judge(base: &str, keys: &str) {
    let flow = "relative_uri = \"/records\"\nquery = { q = \"a b+c/ü&=\", list = [\"z\", \"a\"], empty = \"\" }\n\
                [import]\nconnection = \"api\"\nrelative_uri = \"/taken/{{record.id}}/x%20y\"\nmethod = \"PUT\"\n";
    let project = Project::new(base, keys, flow);
    for name in ["rsa.pem", "p256.pem", "p384.pem"] {
        project.write(name, &key(name));
    }
    project.expect(SECRET, 0);
    if keys.contains("SECRET") {
        project.expect("another secret", 69);
    }
}

#[test]
fn aiohttp_makes_the_same_digests_of_every_hash_session_and_quality() {
    let Some(verifier) = Verifier::start() else { return };
    for algorithm in ["MD5", "SHA-256", "SHA-512-256"] {
        for session in ["", "-sess"] {
            for quality in ["auth", "auth-int"] {
                let keys = "[auth.digest]\nusername = \"me\"\npassword = { env = \"SECRET\" }\n";
                verifier.judge(&format!("digest/{algorithm}{session}/{quality}"), keys);
            }
        }
    }
}

#[test]
fn oauthlib_accepts_every_oauth1_method_and_no_other_secret() {
    let Some(verifier) = Verifier::start() else { return };
    let secrets =
        "consumer_secret = { env = \"SECRET\" }\ntoken = { env = \"ACCESS\" }\ntoken_secret = { env = \"SECRET\" }\n";
    for method in ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT"] {
        let keys =
            format!("[auth.oauth1]\nconsumer_key = \"app\"\n{secrets}signature_method = \"{method}\"\nrealm = \"r\"\n");
        verifier.judge("oauth1", &keys);
    }
    for method in ["RSA-SHA1", "RSA-SHA256", "RSA-SHA512"] {
        let keys = "private_key = { file = \"rsa.pem\" }\ntoken = { env = \"ACCESS\" }";
        verifier.judge(
            "oauth1",
            &format!("[auth.oauth1]\nconsumer_key = \"app\"\n{keys}\nsignature_method = \"{method}\"\n"),
        );
    }
}

#[test]
fn pyjwt_accepts_every_algorithm_and_no_other_secret() {
    let Some(verifier) = Verifier::start() else { return };
    for (algorithm, key) in [
        ("HS256", "{ env = \"SECRET\" }"),
        ("HS384", "{ env = \"SECRET\" }"),
        ("HS512", "{ env = \"SECRET\" }"),
        ("RS256", "{ file = \"rsa.pem\" }"),
        ("RS384", "{ file = \"rsa.pem\" }"),
        ("RS512", "{ file = \"rsa.pem\" }"),
        ("PS256", "{ file = \"rsa.pem\" }"),
        ("PS384", "{ file = \"rsa.pem\" }"),
        ("PS512", "{ file = \"rsa.pem\" }"),
        ("ES256", "{ file = \"p256.pem\" }"),
        ("ES384", "{ file = \"p384.pem\" }"),
    ] {
        let claims = "claims = { iss = \"me\", list = [1, \"two\"] }";
        let keys =
            format!("[auth.jwt]\nalgorithm = \"{algorithm}\"\nkey = {key}\n{claims}\nheaders = {{ kid = \"1\" }}\n");
        let flow = "relative_uri = \"/records\"\n";
        let project = Project::new(&format!("{}/jwt/{algorithm}", verifier.server.base), &keys, flow);
        for name in ["rsa.pem", "p256.pem", "p384.pem"] {
            project.write(name, &crate::key(name));
        }
        project.expect(SECRET, 0);
        if key.contains("SECRET") {
            project.expect("another secret", 69);
        }
    }
}

#[test]
fn botocore_signs_the_same_requests_alike() {
    let Some(verifier) = Verifier::start() else { return };
    for service in ["execute-api", "s3"] {
        let keys = format!(
            "[auth.aws_sigv4]\naccess_key = {{ env = \"ACCESS\" }}\nsecret_key = {{ env = \"SECRET\" }}\n\
             session_token = {{ env = \"SESSION\" }}\nregion = \"eu-west-1\"\nservice = \"{service}\"\n"
        );
        verifier.judge("sigv4", &keys);
    }
}

const SECRETS: &str =
    "[secrets]\nid = { env = \"ACCESS\" }\nkey = { env = \"SECRET\" }\nsession = { env = \"SESSION\" }\n";

#[test]
fn botocore_signs_as_the_helper_does() {
    let Some(verifier) = Verifier::start() else { return };
    let header = |service: &str| {
        format!(
            "Authorization = '{{{{{{aws4 connection.secrets.id connection.secrets.key connection.secrets.session \"eu-west-1\" \"{service}\"}}}}}}'\n\
             X-Amz-Security-Token = \"{{{{connection.secrets.session}}}}\"\n"
        )
    };
    let hashed = "X-Amz-Content-Sha256 = '{{hash \"sha256\" \"hex\" hmacOptions.body}}'\n";
    for headers in [header("execute-api"), header("s3") + hashed] {
        verifier.judge("sigv4", &format!("[headers]\n{headers}{SECRETS}"));
    }
    verifier.judge("sigv4", &format!("[auth.custom.headers]\n{}{SECRETS}", header("execute-api")));
}

#[test]
fn region_and_service_are_those_that_the_host_tells() {
    let Some(verifier) = Verifier::start() else { return };
    let keys = format!(
        "proxy = \"{}\"\n[headers]\nAuthorization = '{{{{{{aws4 connection.secrets.id connection.secrets.key connection.secrets.session \"\" \"\"}}}}}}'\n\
         X-Amz-Security-Token = \"{{{{connection.secrets.session}}}}\"\n",
        verifier.server.base
    );
    let hashed = "X-Amz-Content-Sha256 = '{{hash \"sha256\" \"hex\" hmacOptions.body}}'\n";
    // The judge stands before them.
    for (host, more) in
        [("search-x.eu-west-1.es.amazonaws.com", ""), ("bucket.s3.dualstack.eu-west-1.amazonaws.com", hashed)]
    {
        judge(&format!("http://{host}/sigv4"), &format!("{keys}{more}{SECRETS}"));
    }
}

#[test]
fn python_makes_the_same_of_a_request_that_signs_itself() {
    let Some(verifier) = Verifier::start() else { return };
    let headers = "X-Signature = '{{hmac \"sha256\" hmacOptions.http.encrypted.key \"hex\" (join \"|\" hmacOptions.method hmacOptions.baseURI hmacOptions.relativeURI hmacOptions.urlParameters hmacOptions.body)}}'\n\
        X-Uri-Signature = '{{{hmac \"sha512\" connection.secrets.key \"base64\" hashOptions.URI}}}'\n\
        X-Digest = '= hash(\"sha384\", \"base64\", hashOptions.body)'\n";
    let query = "sign = '{{hmac \"sha1\" connection.secrets.key \"hex\" hmacOptions.orderedQueryParams}}'\naccess_token = \"{{connection.secrets.session}}\"\n";
    verifier.judge("made", &format!("[headers]\n{headers}[query]\n{query}{SECRETS}"));
    verifier.judge("made", &format!("[auth.custom.headers]\n{headers}[auth.custom.query]\n{query}{SECRETS}"));
}

#[test]
fn zeep_makes_the_same_wsse_digests_and_none_of_another_secret() {
    let Some(verifier) = Verifier::start() else { return };
    verifier.judge("wsse", "[auth.wsse]\nusername = \"me\"\npassword = { env = \"SECRET\" }\n");
}

#[test]
fn the_wsse_package_makes_the_same_headers_in_hexadecimal() {
    let Some((node, modules)) = peer::node() else { return };
    let mut command = Command::new(node);
    command.arg(peer::script("wsse.mjs")).env("PEER_MODULES", modules).env("PEER_SECRET", SECRET);
    let server = peer::Server::start(&mut command);
    for encoding in ["base64", "hex_base64"] {
        let keys = "[auth.wsse]\nusername = \"me\"\npassword = { env = \"SECRET\" }\nnonce_encoding = \"hex\"\n";
        judge(&format!("{}/{encoding}", server.base), &format!("{keys}digest_encoding = \"{encoding}\"\n"));
    }
}
