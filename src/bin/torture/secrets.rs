//! Credentials are planted and then looked for, in every form they travel in, in everything that is written: logs at the
//! most talkative level, standard output, the state directory, metrics, status, error lists. The server echoes whatever
//! it is sent into headers, errors and the answers of writes; not into records, which are data and kept as they are.

use crate::child::{Child, Launch};
use crate::conserve;
use crate::figures::Figures;
use crate::rig::{PATIENCE, Rig};
use crate::stage::Stage;
use crate::villain::{Act, Asked, Villain, answer};
use base64::Engine as _;
use rustix::process::Signal;
use std::io;
use std::path::Path;

/// How each planted credential travels.
const FLOWS: &[(&str, &str)] = &[
    ("bearer", "[auth.token]\ntoken = \"{{connection.secrets.planted}}\"\n"),
    ("query", "[auth.token]\ntoken = \"{{connection.secrets.planted}}\"\nlocation = \"query\"\nname = \"key\"\n"),
    ("basic", "[auth.basic]\nusername = \"ann\"\npassword = \"{{connection.secrets.planted}}\"\n"),
    ("header", "headers = { X-Api-Key = \"{{connection.secrets.planted}}\" }\n"),
];

/// `torture secrets`
pub fn torture(rig: &Rig, figures: &mut Figures) -> io::Result<()> {
    let villain = Villain::start(echo)?;
    let mut stage = Stage::new(rig, "[log]\nlevel = \"trace\"\n")?;
    let mut chance = fastrand::Rng::with_seed(rig.seed);
    let planted: Vec<String> = FLOWS.iter().map(|_| canary(&mut chance)).collect();
    let mut launch = Launch::default();
    for (number, ((name, auth), secret)) in FLOWS.iter().zip(&planted).enumerate() {
        launch.env.push((["C0", "C1", "C2", "C3"][number % 4], secret.clone()));
        write(&stage, name, auth, number, &villain.base())?;
    }
    let mut pages = Vec::new();
    for (name, _) in FLOWS {
        let mut child = launch.start(rig, &stage, &["run", name, "--log-level", "trace"])?;
        child.wait(rig, PATIENCE);
        let mut child = launch.start(rig, &stage, &["run", name, "--json", "--dry-run"])?;
        child.wait(rig, PATIENCE);
    }
    let mut serve = launch.start(rig, &stage, &["serve", "--log-level", "trace"])?;
    watch(rig, &stage, &mut serve, &villain, &mut pages);
    for command in [&["status", "--json"][..], &["errors", "list", "--json"], &["runs", "list", "--json"], &["check"]] {
        let mut child = launch.start(rig, &stage, command)?;
        child.wait(rig, PATIENCE);
    }
    let list = launch.start(rig, &stage, &["errors", "list"])?;
    figures.set("lists_errors", is_known(rig, list));
    serve.signal(Signal::TERM);
    serve.wait(rig, PATIENCE);
    figures.set("requests", villain.requests()).set("planted", planted.len());
    figures.demand(villain.requests() > 8, || "hardly anything was sent".to_owned());
    look(&stage, &planted, &pages, figures)?;
    if !figures.passed() {
        stage.broke();
    }
    Ok(())
}

/// Lets `serve` work while its pages are read.
fn watch(rig: &Rig, stage: &Stage, serve: &mut Child, villain: &Villain, pages: &mut Vec<String>) {
    let before = villain.requests();
    rig.wait(PATIENCE, || (villain.requests() > before + 8 || serve.end().is_some()).then_some(()));
    for path in ["/metrics", "/healthz", "/readyz"] {
        pages.extend(conserve::ask(stage.listen, path).map(|(_, body)| body));
    }
}

/// Whether a command exists yet.
fn is_known(rig: &Rig, mut child: Child) -> bool {
    child.wait(rig, PATIENCE);
    !child.said().contains("not supported yet")
}

fn write(stage: &Stage, name: &str, auth: &str, number: usize, base: &str) -> io::Result<()> {
    // `headers` is a key of the connection itself: it stands above the tables.
    let (above, below) = if auth.starts_with('[') { ("", auth) } else { (auth, "") };
    let connection = format!(
        "base_uri = \"{base}\"\n{above}\n[secrets]\nplanted = {{ env = \"C{number}\" }}\n\n{below}\n\
         [retry]\nmax_attempts = 2\nbackoff = {{ initial = \"5ms\", max = \"10ms\" }}\n"
    );
    stage.write(&format!("connections/{name}.toml"), &connection)?;
    let flow = format!(
        "schedule = \"* * * * * *\"\n\n[export]\nconnection = \"{name}\"\nrelative_uri = \"/records?flow={name}\"\n\
         records = \"$.data[*]\"\n\n[import]\nconnection = \"{name}\"\nrelative_uri = \"/taken/{{{{record.id}}}}\"\n\
         idempotency_key = \"{{{{record.id}}}}\"\nresponse = {{ error_path = \"$.error\" }}\n"
    );
    stage.write(&format!("flows/{name}.toml"), &flow)
}

/// Records for an export; for a write, all manner of trouble with the request's head in it.
fn echo(asked: &Asked) -> Vec<Act> {
    let told = serde_json::Value::from(asked.head.as_str()).to_string();
    let headers = format!("content-type: application/json\r\nx-echo: {}\r\n", asked.head.replace(['\r', '\n'], " "));
    if asked.method == "GET" && !asked.number.is_multiple_of(7) {
        let records: Vec<String> = (0..6).map(|id| format!("{{\"id\":{id}}}")).collect();
        let body = format!("{{\"data\":[{}]}}", records.join(","));
        return vec![Act::Send(answer(200, &headers, body.as_bytes()))];
    }
    let status = [200, 400, 422, 500, 503, 302, 404, 401][usize::try_from(asked.number % 8).unwrap_or(0)];
    let body = match status {
        // No JSON: an excerpt of it is shown.
        400 => asked.head.clone(),
        _ => format!("{{\"error\":{told}}}"),
    };
    vec![Act::Send(answer(status, &headers, body.as_bytes()))]
}

/// A credential that cannot stand anywhere by accident, with characters that are written differently in places.
fn canary(chance: &mut fastrand::Rng) -> String {
    let letters: String = (0..20).map(|_| chance.alphanumeric()).collect();
    format!("cnry+{letters}/\"=")
}

/// All forms a credential may be written in.
fn forms(secret: &str) -> Vec<String> {
    let percent = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let json = serde_json::Value::from(secret).to_string();
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let hex = secret.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    // The letters alone: whatever was done to what stands around them.
    let letters = secret.trim_start_matches("cnry+").chars().take(20).collect();
    vec![
        secret.to_owned(),
        letters,
        percent(secret),
        json.trim_matches('"').to_owned(),
        base64(secret),
        base64(&format!("ann:{secret}")),
        hex,
    ]
}

fn look(stage: &Stage, planted: &[String], pages: &[String], figures: &mut Figures) -> io::Result<()> {
    let mut files = Vec::new();
    walk(stage.dir(), &mut files)?;
    let mut read: Vec<(String, Vec<u8>)> =
        pages.iter().map(|page| ("a page".to_owned(), page.clone().into())).collect();
    for file in files {
        read.push((file.display().to_string(), std::fs::read(&file)?));
    }
    let bytes: usize = read.iter().map(|(_, bytes)| bytes.len()).sum();
    figures.set("files_searched", read.len()).set("bytes_searched", bytes);
    for (secret, (flow, _)) in planted.iter().zip(FLOWS) {
        for form in forms(secret) {
            for (name, content) in &read {
                let found = memchr::memmem::find(content, form.as_bytes());
                figures.demand(found.is_none(), || format!("the credential of {flow} stands in {name} as {form}"));
            }
        }
    }
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_looked_for_in_the_forms_it_travels_in() {
        let forms = forms("cnry+abcdefghijklmnopqrst/\"=");
        assert!(forms.iter().any(|form| form == "abcdefghijklmnopqrst"));
        assert!(forms.iter().any(|form| form.contains("%2F%22%3D")));
        assert!(forms.iter().any(|form| form.ends_with("/\\\"=")));
        assert!(forms.iter().all(|form| !form.is_empty()));
    }
}
