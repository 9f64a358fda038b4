//! The dashboard in Chromium, driven by playwright-core: what a person sees, what a click does to the API behind, and what
//! hostile data does not. Screenshots of every page are left in `target/screenshots`.

use crate::peer;
use crate::support::api::{Api, Gates, Reply};
use crate::support::client;
use crate::support::command::flowgate;
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says so if it ever runs.
const PAYLOAD: &str = "<img src=x onerror=\"window.xss=1\">";
/// Turns what follows around.
const TURN: char = '\u{202e}';
const SLOW: usize = 12;

/// Ends of the names of screenshots.
const LOOKS: [&str; 3] = ["-light.png", "-dark.png", "-phone.png"];

/// An API that refuses record 2 until it is mended, and record 3 for good; what is slow waits at gates, and what is limited
/// is to wait for minutes.
struct Stage {
    api: Api,
    mended: Arc<AtomicBool>,
    gates: Gates,
    project: Project,
}

impl Stage {
    fn set() -> Self {
        let (mended, gates) = (Arc::new(AtomicBool::new(false)), Gates::default());
        let (is_mended, waiting) = (mended.clone(), gates.clone());
        let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
            ("GET", "/records") => Reply::json(200, records()),
            ("GET", "/slow") => {
                let all: Vec<Value> = (1..=SLOW).map(|id| json!({ "id": id })).collect();
                Reply::json(200, json!({ "data": all }).to_string())
            }
            ("GET", "/one") => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
            ("POST", "/slow" | "/lent") => Reply::json(201, "{}").behind(&waiting.next()),
            ("POST", "/first" | "/ledger") => Reply::json(201, "{}"),
            ("POST", "/token") => Reply::json(200, "{\"access_token\":\"fetched\",\"expires_in\":7200}"),
            ("GET", "/limited") => Reply::json(429, "{}").header("retry-after", "240"),
            ("POST", _) if request.body.contains("\"id\":2,") && !is_mended.load(Ordering::SeqCst) => {
                Reply::json(422, json!({ "error": format!("{PAYLOAD}{TURN}no such customer") }).to_string())
            }
            ("POST", _) if request.body.contains("\"id\":3,") => {
                Reply::json(409, json!({ "error": "javascript:window.xss=2" }).to_string())
            }
            _ => Reply::json(200, "{}"),
        });
        let project = Project::new();
        let error = "response = { error_path = \"$.error\" }\n";
        project.connection("api", &api.base(), "title = \"The API\"\nconcurrency_level = 2\n");
        project.connection("reports", &api.base(), "borrow_concurrency_from = \"api\"\n");
        let token = "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\nclient_id = \"app\"\n";
        project.connection("shop", &api.base(), token);
        project.write(
            "flows/daily.toml",
            "schedule = \"0 5 * * *\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\
             [[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/first\"\n\
             [[step]]\nname = \"later\"\nkeep = \"record.id != 4\"\n\
             [import]\nname = \"ledger\"\nconnection = \"api\"\nrelative_uri = \"/ledger\"\n",
        );
        for (id, connection, from, to) in
            [("lent", "reports", "/one", "/lent"), ("limited", "shop", "/limited", "/taken")]
        {
            let part =
                |name: &str, at: &str| format!("[{name}]\nconnection = \"{connection}\"\nrelative_uri = \"{at}\"\n");
            let read = part("export", from) + "records = \"$.data[*]\"\n";
            project.write(&format!("flows/{id}.toml"), &(read + &part("import", to)));
        }
        project.copy_flow("eu/copy", &format!("title = '{PAYLOAD}'\nschedule = \"0 4 * * *\"\n"), error);
        project.write(
            "flows/slow.toml",
            "title = \"Slow ones\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/slow\"\nrecords = \"$.data[*]\"\n\
             [import]\nconnection = \"api\"\nrelative_uri = \"/slow\"\n",
        );
        Self { api, mended, gates, project }
    }
}

/// Four records: a payload, digits beyond a double, a sign that turns text around, a text without end.
fn records() -> String {
    let mut long = PAYLOAD.to_owned();
    long.push_str(&"x".repeat(200_000));
    format!(
        "{{\"data\":[{{\"id\":1,\"n\":1}},{{\"id\":2,\"big\":12345678901234567890,\"name\":\"{}{TURN}\",\"note\":\"{}\"}},\
         {{\"id\":3,\"link\":\"javascript:window.xss=3\"}},{{\"id\":4,\"n\":4}}]}}",
        PAYLOAD.replace('"', "\\\""),
        long.replace('"', "\\\""),
    )
}

/// A running `serve`, with its key.
struct Served {
    serving: Serving,
    addr: SocketAddr,
    token: String,
}

impl Served {
    fn of(project: &Project) -> Self {
        let mut serving = Serving::of(project);
        let addr = serving.wait_until_listening();
        let token = std::fs::read_to_string(project.path("state/api-token")).unwrap().trim().to_owned();
        Self { serving, addr, token }
    }

    fn asked(&self, method: &str, target: &str, body: &str) -> Value {
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.token);
        let got = client::send(self.addr, method, target, &headers, body);
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        serde_json::from_str(&got.body).unwrap()
    }

    fn get(&self, target: &str) -> Value {
        self.asked("GET", target, "")
    }

    fn until(&self, target: &str, found: impl Fn(&Value) -> bool) -> Value {
        let until = now() + PATIENCE;
        loop {
            let told = self.get(target);
            if found(&told) {
                return told;
            }
            assert!(now() < until, "it never came to that: {told:#}");
        }
    }

    fn run(&self, flow: &str) {
        self.asked("POST", "/api/v1/actions/run", &json!({ "flows": [flow] }).to_string());
    }

    /// A run with two failed records, and a file that is wrong; where all that can be looked at.
    fn with_history(&mut self, project: &Project) -> Value {
        for flow in ["daily", "eu/copy"] {
            self.run(flow);
            self.serving.wait_for_flow("run finished", flow);
        }
        self.until("/api/v1/snapshot", |told| told["open_errors"] == 2);
        project.write("flows/bad.toml", &format!("export = '{PAYLOAD}'\n"));
        self.asked("POST", "/api/v1/actions/reload", "{\"wait\":true}");
        let errors = self.get("/api/v1/errors");
        let of = |status: u64| errors["errors"].as_array().unwrap().iter().find(|row| row["status"] == status).unwrap();
        json!({
            "payload": PAYLOAD,
            "run": self.get("/api/v1/runs?flow=eu/copy")["runs"][0]["run"],
            "error": of(422)["id"],
            "fingerprint": of(422)["fingerprint"],
            "other": of(409)["fingerprint"],
            "reload": self.get("/api/v1/snapshot")["last_reload"],
        })
    }
}

/// A browser at a scene.
struct Scene {
    child: Child,
    name: &'static str,
}

/// None where there is no browser for it.
fn browser() -> Option<(PathBuf, PathBuf, PathBuf)> {
    let chromium = peer::program("chromium")?;
    let (node, modules) = peer::node_with("playwright-core")?;
    Some((chromium, node, modules))
}

impl Scene {
    fn begin(name: &'static str, served: &Served, facts: &Value) -> Option<Self> {
        let (chromium, node, modules) = browser()?;
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        let mut command = Command::new(node);
        command.arg(peer::script("dashboard.mjs")).env("PEER_MODULES", modules).env("PEER_CHROMIUM", chromium);
        command.env("PEER_SHOTS", shots).env("PEER_SCENE", name).env("PEER_FACTS", facts.to_string());
        command.env("PEER_BASE", format!("http://{}", served.addr)).env("PEER_TOKEN", &served.token);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Some(Self { child, name })
    }

    /// Until it says something.
    fn wait_for_a_line(&mut self) {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    }

    #[track_caller]
    fn ends_well(mut self) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}:\n{said}", self.name);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scene over a project with a history.
fn play(name: &'static str) -> Option<(Stage, Served)> {
    browser()?;
    let stage = Stage::set();
    let mut served = Served::of(&stage.project);
    let facts = served.with_history(&stage.project);
    stage.mended.store(true, Ordering::SeqCst);
    Scene::begin(name, &served, &facts)?.ends_well();
    Some((stage, served))
}

#[test]
fn every_page_shows_in_light_dark_and_on_a_phone_and_hostile_data_stays_data() {
    // Those of an earlier time are none of this one.
    for shot in shots() {
        std::fs::remove_file(shot).unwrap();
    }
    let Some(_) = play("pages") else { return };
    for look in LOOKS {
        let count = shots().iter().filter(|shot| shot.to_string_lossy().ends_with(look)).count();
        assert_eq!(count, 11, "a screenshot of each page, {look}");
    }
}

fn shots() -> Vec<PathBuf> {
    let Ok(all) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots")) else {
        return Vec::new();
    };
    let all = all.map(|shot| shot.unwrap().path());
    all.filter(|shot| LOOKS.iter().any(|look| shot.to_string_lossy().ends_with(look))).collect()
}

#[test]
fn pages_tell_what_the_process_tells() {
    play("figures");
}

#[test]
fn a_failed_record_is_sent_again_with_a_click_and_the_destination_has_it() {
    let Some((stage, _served)) = play("retry") else { return };
    let taken: Vec<_> =
        stage.api.requests_to("/taken").into_iter().filter(|one| one.body.contains("\"id\":2,")).collect();
    assert_eq!(taken.len(), 2, "refused once, taken once");
    assert!(taken[1].body.contains("12345678901234567890"), "as it was read");
}

#[test]
fn a_flow_is_reached_and_opened_with_the_keyboard_alone() {
    play("keyboard");
}

#[test]
fn what_happens_shows_by_itself() {
    if browser().is_none() {
        return;
    }
    let stage = Stage::set();
    let served = Served::of(&stage.project);
    let Some(mut scene) = Scene::begin("live", &served, &json!({})) else { return };
    scene.wait_for_a_line();
    assert_eq!(stage.api.requests_to("/slow").iter().filter(|one| one.method == "POST").count(), 2, "the level");
    stage.gates.open_all();
    scene.ends_well();
}

#[test]
fn what_is_lent_what_waits_and_what_is_told_to_pause_shows() {
    if browser().is_none() {
        return;
    }
    let stage = Stage::set();
    let served = Served::of(&stage.project);
    served.run("lent");
    // Each is past its reading when what it writes has come.
    let written = |path: &str| stage.api.requests_to(path).iter().any(|one| one.method == "POST");
    served.until("/api/v1/connections/api", |_| written("/lent"));
    served.run("slow");
    served.until("/api/v1/connections/api", |link| {
        written("/slow") && link["oldest_seconds"].as_f64().is_some_and(|age| age >= 1.0)
    });
    served.run("limited");
    let flow = served.until("/api/v1/flows/limited", |flow| flow["running"]["run"].is_string());
    let run = flow["running"]["run"].as_str().unwrap();
    let paused = |run: &Value| {
        run["timeline"]["paused_ms"].as_array().is_some_and(|steps| steps.iter().any(|ms| ms.as_u64() > Some(0)))
    };
    served.until(&format!("/api/v1/runs/{run}"), paused);
    if let Some(scene) = Scene::begin("waiting", &served, &json!({ "limited": run })) {
        scene.ends_well();
    }
    stage.gates.open_all();
}

#[test]
fn a_server_with_a_token_shows_nothing_to_a_browser_without_it() {
    if browser().is_none() {
        return;
    }
    let stage = Stage::set();
    stage.project.write("flowgate.toml", "[server]\nlisten = \"127.0.0.1:0\"\ntoken = { env = \"TOKEN\" }\n");
    let mut command = flowgate(stage.project.dir());
    command.arg("serve").env("TOKEN", "correct-horse");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    let served = Served { serving, addr, token: "correct-horse".to_owned() };
    if let Some(scene) = Scene::begin("locked", &served, &json!({})) {
        scene.ends_well();
    }
}

#[test]
fn very_many_flows_come_in_parts() {
    if browser().is_none() {
        return;
    }
    let stage = Stage::set();
    for number in 0..700 {
        stage.project.copy_flow(&format!("flow{number}"), "", "");
    }
    let served = Served::of(&stage.project);
    // Far behind those that are listed.
    served.asked("POST", "/api/v1/actions/pause", "{\"flows\":[\"flow650\"]}");
    if let Some(scene) = Scene::begin("many", &served, &json!({})) {
        scene.ends_well();
    }
}
