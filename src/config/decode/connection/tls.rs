//! `[tls]`: certificates and keys are read, opened and matched here, so that `check` finds what is wrong with them.

use super::Reach;
use super::rendered::{Rendered, keep, lacking};
use crate::config::decode::file::Finding;
use crate::config::decode::source::{MOST_CERTIFICATES, Material};
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::client::Tls;
use crate::value::pki::{self, Identity, Unusable};
use crate::value::secret::Secret;

/// Largest key file.
const MOST_KEY: u64 = 64 * 1024;

/// Something a key stands for: there, or waiting for its source.
type Waiting<T> = Result<T, Pending>;

/// Its source does not resolve; the connection is offline until it does.
struct Pending;

/// None when it is wrong, which was reported.
pub(super) fn decode(root: &Table<'_>, reach: &mut Reach<'_, '_>) -> Option<Tls> {
    let Some(value) = root.take("tls") else { return Some(Tls::default()) };
    let table = value.table()?;
    let verify = table.given("verify", Value::boolean);
    if let (Ok(Some(false)), Some(value)) = (verify, table.peek("verify")) {
        let message = "`tls.verify = false`: whoever answers is believed, and is sent the credentials";
        value
            .report(Finding::warning("tls-not-verified", message).help("give the server's own CA as `tls.ca` instead"));
    }
    let ca = table.given("ca", |value| authorities(value, reach));
    let identity = identity(&table, reach);
    table.finish();
    Some(Tls { verify: verify.ok()?.unwrap_or(true), ca: ca.ok()?.unwrap_or_default(), identity: identity.ok()? })
}

fn authorities(
    value: &Value<'_>,
    reach: &mut Reach<'_, '_>,
) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
    let Ok(material) = public(value, reach)? else { return Some(Vec::new()) };
    pki::certificates(&material.bytes).map_err(|why| unusable(value, "bad-certificate", &why)).ok()
}

fn identity(table: &Table<'_>, reach: &mut Reach<'_, '_>) -> Result<Option<Identity>, Reported> {
    let passphrase = table.given("passphrase", |value| secret(value, reach));
    let certificate =
        table.given("client_certificate", |value| public(value, reach).map(|found| (value.clone(), found)));
    let key = table.given("client_key", |value| private(value, reach).map(|found| (value.clone(), found)));
    let pfx = table.given("pfx", |value| private(value, reach).map(|found| (value.clone(), found)));
    let (passphrase, certificate, key, pfx) = (passphrase?, certificate?, key?, pfx?);
    // What waits for its source is judged once that is there.
    let (passphrase, waits) = match passphrase {
        Some(Ok(text)) => (Some(text), false),
        Some(Err(Pending)) => (None, true),
        None => (None, false),
    };
    let opened = Opened { table, passphrase: passphrase.as_ref().map(Secret::reveal), waits };
    match (pfx, certificate, key) {
        (None, None, None) => {
            if let Some(value) = table.peek("passphrase") {
                let finding = Finding::error("missing-key", "`tls.passphrase` opens nothing");
                value.report_key(finding.help("give the `client_key` or `pfx` it belongs to, or remove it"));
                return Err(Reported);
            }
            Ok(None)
        }
        (Some(_), Some((other, _)), _) | (Some(_), None, Some((other, _))) => {
            let finding = Finding::error("conflicting-keys", format!("`{}` stands beside `tls.pfx`", other.key));
            other.report_key(finding.help("a PFX holds certificate and key: keep either form"));
            Err(Reported)
        }
        (None, None, Some((key, _))) => {
            let finding = Finding::error("missing-key", "`tls.client_key` has no `client_certificate` beside it");
            key.report_key(finding.help("write `client_certificate = { file = \"certs/client.pem\" }`"));
            Err(Reported)
        }
        (Some((value, found)), None, None) => match found {
            Ok(material) => opened.judge(&value, &value, Identity::from_pfx(&material.bytes, opened.passphrase)),
            Err(Pending) => Ok(None),
        },
        (None, Some((certificate, chain)), key) => {
            let (Ok(chain), key) = (chain, key) else { return Ok(None) };
            pair(&opened, (&certificate, &chain), key)
        }
    }
}

/// A certificate and a key, perhaps in one file.
fn pair(
    opened: &Opened<'_, '_>,
    (certificate, chain): (&Value<'_>, &Material),
    key: Option<(Value<'_>, Waiting<Material>)>,
) -> Result<Option<Identity>, Reported> {
    if let Err(why) = pki::certificates(&chain.bytes) {
        unusable(certificate, "bad-certificate", &why);
        return Err(Reported);
    }
    match key {
        Some((_, Err(Pending))) => Ok(None),
        Some((value, Ok(key))) => {
            opened.judge(&value, certificate, Identity::new(&chain.bytes, &key.bytes, opened.passphrase))
        }
        None if pki::holds_key(&chain.bytes) => {
            opened.judge(certificate, certificate, Identity::new(&chain.bytes, &chain.bytes, opened.passphrase))
        }
        None => {
            let finding = Finding::error("missing-key", "`tls.client_certificate` has no key");
            let help = "write `client_key = { file = \"certs/client.key\" }`, or put the key into the same file";
            certificate.report_key(finding.help(help));
            Err(Reported)
        }
    }
}

/// What a key is opened with.
struct Opened<'t, 'f> {
    table: &'t Table<'f>,
    passphrase: Option<&'t str>,
    /// There is a passphrase, but not yet.
    waits: bool,
}

impl Opened<'_, '_> {
    /// Says what is wrong at the key that has to be changed.
    fn judge(
        &self,
        key: &Value<'_>,
        certificate: &Value<'_>,
        read: Result<Identity, Unusable>,
    ) -> Result<Option<Identity>, Reported> {
        let error = match read {
            Ok(identity) => return Ok(Some(identity)),
            Err(error) => error,
        };
        match (&error, self.table.peek("passphrase")) {
            (Unusable::NoPassphrase, Some(_)) if self.waits => return Ok(None),
            (Unusable::NoPassphrase, _) => {
                let finding = Finding::error("missing-passphrase", format!("the key of `{}` is encrypted", key.key));
                key.report(finding.help("give its passphrase: `passphrase = { env = \"NAME\" }` under `[tls]`"));
            }
            (Unusable::WrongPassphrase, Some(passphrase)) => {
                let message = format!("`{}` does not open the key of `{}`", passphrase.key, key.key);
                let finding = Finding::error("wrong-passphrase", message);
                passphrase.report(finding.help("correct what its source gives, or give the key that it opens"));
            }
            (Unusable::Mismatch, _) if key.key == certificate.key => {
                let finding = Finding::error("key-mismatch", format!("the key in `{}` is another one's", key.key));
                key.report(finding.help("the first certificate of the file must be the one the key belongs to"));
            }
            (Unusable::Mismatch, _) => {
                let message = format!("`{}` does not belong to the certificate of `{}`", key.key, certificate.key);
                let help = "the first certificate of the file must be the one the key belongs to";
                key.report(Finding::error("key-mismatch", message).help(help));
            }
            _ => unusable(key, "bad-key", &error),
        }
        Err(Reported)
    }
}

fn unusable(value: &Value<'_>, code: &'static str, why: &Unusable) {
    value.report(Finding::error(code, format!("what `{}` names {why}", value.key)));
}

/// Certificates: public, unless there is a key among them.
fn public(value: &Value<'_>, reach: &mut Reach<'_, '_>) -> Option<Waiting<Material>> {
    if let Some(text) = value.raw_str() {
        let message = format!("`{}` takes a source, not a string", value.key);
        let help = if text.len() < 200 && !text.contains('\n') {
            format!("write `{{ file = {text:?} }}`; paths begin at the project's directory")
        } else {
            "put it into a file and write `{ file = \"certs/name.pem\" }`".to_owned()
        };
        value.report(Finding::error("wrong-type", message).help(help));
        return None;
    }
    let found = value.material(reach.sources, MOST_CERTIFICATES)?;
    if found.as_ref().is_ok_and(|material| material.open && pki::holds_key(&material.bytes)) {
        value.readable_by_all();
        return None;
    }
    Some(waiting(value, found, reach))
}

/// A key: nobody else may read its file.
fn private(value: &Value<'_>, reach: &mut Reach<'_, '_>) -> Option<Waiting<Material>> {
    if !value.is_table() {
        return Some(
            secret(value, reach)?.map(|text| Material { bytes: text.reveal().as_bytes().to_vec(), open: false }),
        );
    }
    let found = value.material(reach.sources, MOST_KEY)?;
    if found.as_ref().is_ok_and(|material| material.open) {
        value.readable_by_all();
        return None;
    }
    Some(waiting(value, found, reach))
}

fn waiting(value: &Value<'_>, found: Result<Material, String>, reach: &mut Reach<'_, '_>) -> Waiting<Material> {
    found.map_err(|reason| {
        reach.unresolved.push(format!("{}: {reason}", value.key));
        Pending
    })
}

/// A source, or a text over `connection.secrets`.
fn secret(value: &Value<'_>, reach: &mut Reach<'_, '_>) -> Option<Waiting<Secret>> {
    if value.is_table() {
        let found = value.secret(reach.sources)?;
        let name = value.key.replace('.', "__");
        reach.secrets.push((name, found.clone()));
        return Some(found.map_err(|_| Pending));
    }
    let template = value.credential(reach.scope, reach.sources, reach.secrets)?;
    match value.rendered(&template, reach.facts, reach.secrets, str::to_owned) {
        Rendered::Text(text) => {
            let secret = Secret::new(text);
            keep(reach.secrets, &value.key.replace('.', "__"), secret.clone());
            Some(Ok(secret))
        }
        // Its secret was reported where it stands.
        Rendered::Missing(_) if lacking(&template, reach.secrets).is_some() => Some(Err(Pending)),
        Rendered::Missing(why) | Rendered::Failed(why) => {
            value.report(Finding::error("bad-template", why));
            None
        }
    }
}
