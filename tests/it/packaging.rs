//! `packaging/`: units and manifests say what the program understands, and it runs in the confinement they put it in. What
//! needs systemd, mounts or strace says that it skips where those cannot be had (`support/peer.rs`).

use crate::support::PATIENCE;
use crate::support::client;
use crate::support::command::{finish, flowgate, run};
use crate::support::monitoring::yaml;
use crate::support::peer::works;
use crate::support::project::Project;
use crate::support::serving::Serving;
use regex::Regex;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use yaml_rust2::Yaml;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join("packaging").join(name)).unwrap()
}

/// Keys of a unit, in their order; one may stand several times.
fn unit() -> Vec<(String, String)> {
    let text = text("systemd/flowgate.service");
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn of_unit(key: &str) -> Vec<String> {
    unit().into_iter().filter(|(name, _)| name == key).map(|(_, value)| value).collect()
}

/// All documents of the manifests, with their file's name.
fn manifests() -> Vec<(String, Yaml)> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(root().join("packaging/kubernetes")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        all.extend(yaml(&text(&format!("kubernetes/{name}"))).into_iter().map(|document| (name.clone(), document)));
    }
    all
}

fn manifest(kind: &str, name: &str) -> Yaml {
    let found = manifests().into_iter().map(|(_, document)| document).find(|document| {
        document["kind"].as_str() == Some(kind) && document["metadata"]["name"].as_str() == Some(name)
    });
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn pod() -> Yaml {
    manifest("Deployment", "flowgate")["spec"]["template"]["spec"].clone()
}

fn strings(list: &Yaml) -> Vec<String> {
    list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The program's arguments in the container: its entry point, and what the Deployment adds.
fn arguments() -> Vec<String> {
    let file = text("container/Containerfile");
    let entry = file.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).unwrap();
    let mut all: Vec<String> = serde_json::from_str(entry).unwrap();
    all.extend(strings(&pod()["containers"][0]["args"]));
    all
}

/// The project as the Deployment mounts it, below `/project`.
fn mounted() -> Project {
    let (project, pod) = (Project::new(), pod());
    for mount in pod["containers"][0]["volumeMounts"].as_vec().unwrap() {
        let Some(place) = mount["mountPath"].as_str().unwrap().strip_prefix("/project/") else { continue };
        let volumes = pod["volumes"].as_vec().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        let map = manifest("ConfigMap", volume["configMap"]["name"].as_str().unwrap());
        for (key, value) in map["data"].as_hash().unwrap() {
            let (key, value) = (key.as_str().unwrap(), value.as_str().unwrap());
            match mount["subPath"].as_str() {
                Some(single) if single == key => project.write(place, value),
                Some(_) => continue,
                None => project.write(&format!("{place}/{key}"), value),
            };
        }
    }
    project
}

/// Names and values of the example's Secret.
fn secrets() -> BTreeMap<String, String> {
    let secret = manifest("Secret", "flowgate");
    let data = secret["stringData"].as_hash().unwrap().iter();
    data.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn the_arguments_of_unit_container_and_deployment_are_understood() {
    let exec = of_unit("ExecStart").remove(0);
    let unit: Vec<String> = exec.split(' ').map(str::to_owned).collect();
    for arguments in [unit, arguments()] {
        assert_eq!((arguments[0].as_str(), arguments.last().unwrap().as_str()), ("/usr/bin/flowgate", "serve"));
        let mut asked: Vec<&str> = arguments[1..].iter().map(String::as_str).collect();
        asked.push("--help");
        let help = run(Project::new().dir(), &asked[2..]).expect_code(0).stdout;
        assert!(help.contains("Usage: flowgate serve"), "{help}");
    }
}

#[test]
fn the_project_of_the_configmaps_passes_check_with_the_secrets_of_the_example() {
    let project = mounted();
    assert!(
        ["flowgate.toml", "connections/erp.toml", "flows/orders.toml"].iter().all(|name| project.path(name).exists())
    );
    let mut command = flowgate(project.dir());
    command.args(["check", "--deny-warnings"]).envs(secrets());
    finish(command, PATIENCE).expect_code(0);
    for name in secrets().keys() {
        let mut command = flowgate(project.dir());
        command.args(["check", "--deny-warnings"]).envs(secrets()).env_remove(name);
        assert_ne!(finish(command, PATIENCE).code, Some(0), "{name} is used");
    }
}

#[test]
fn the_deployment_is_one_confined_pod_with_one_writable_directory() {
    let deployment = manifest("Deployment", "flowgate");
    assert_eq!(deployment["spec"]["replicas"].as_i64(), Some(1));
    assert_eq!(deployment["spec"]["strategy"]["type"].as_str(), Some("Recreate"));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&manifest("Service", "flowgate")["spec"]["selector"], labels);
    let pod = pod();
    let own = &pod["securityContext"];
    assert_eq!(own["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(own["fsGroupChangePolicy"].as_str(), Some("OnRootMismatch"));
    assert_eq!(own["seccompProfile"]["type"].as_str(), Some("RuntimeDefault"));
    let user = own["runAsUser"].as_i64().unwrap();
    assert!(text("container/Containerfile").contains(&format!("\nUSER {user}:{user}\n")));
    assert!(pod["terminationGracePeriodSeconds"].as_i64() > Some(30), "longer than shutdown.timeout");
    let container = &pod["containers"][0];
    let confined = &container["securityContext"];
    assert_eq!(confined["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(confined["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(strings(&confined["capabilities"]["drop"]), ["ALL"]);
    let mounts = container["volumeMounts"].as_vec().unwrap().iter();
    let writable: Vec<&str> = mounts
        .filter(|mount| mount["readOnly"].as_bool() != Some(true))
        .map(|mount| mount["mountPath"].as_str().unwrap())
        .collect();
    assert_eq!(writable, ["/var/lib/flowgate"]);
    assert!(arguments().contains(&"/var/lib/flowgate/state".to_owned()), "below the mount, so that it can be private");
    let probe = |name: &str| container[name]["httpGet"]["path"].as_str().unwrap().to_owned();
    assert_eq!(["startupProbe", "livenessProbe", "readinessProbe"].map(probe), ["/healthz", "/healthz", "/readyz"]);
    let files: BTreeSet<String> = manifests().into_iter().map(|(file, _)| file).collect();
    let listed = text("kubernetes/kustomization.yaml");
    for resource in strings(&yaml(&listed)[0]["resources"]) {
        assert!(files.contains(&resource), "{resource}");
    }
}

/// What is asked of a service that has this project, these arguments and an address to be reached at.
fn answers_its_probes(serving: &mut Serving) {
    let line = serving.wait_for("listening");
    let address = line["address"].as_str().unwrap_or_else(|| panic!("{line}"));
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let place = (std::net::Ipv4Addr::LOCALHOST, port).into();
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(client::get(place, probe).status, 200, "{probe}");
    }
    let known = "flowgate.flowgate.svc";
    assert_eq!((client::get_as(place, known, "/metrics"), client::get_as(place, "other", "/metrics")), (200, 421));
}

#[test]
fn it_runs_as_another_user_on_a_read_only_root_with_one_writable_directory() {
    if !works("unshare", &["--mount", "true"])
        || !works("setpriv", &["--reuid=65532", "--regid=65532", "--groups=65532", "true"])
    {
        return;
    }
    let project = mounted();
    let settings = std::fs::read_to_string(project.path("flowgate.toml")).unwrap();
    project.write("flowgate.toml", &settings.replace(":9380\"", ":0\""));
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    open(project.dir());
    let volume = tempfile::tempdir().unwrap();
    // As a volume with `fsGroup` is: root's, open to the group.
    std::os::unix::fs::chown(volume.path(), None, Some(65532)).unwrap();
    std::fs::set_permissions(volume.path(), PermissionsExt::from_mode(0o2775)).unwrap();
    let binary = project.path("flowgate");
    std::fs::copy(env!("CARGO_BIN_EXE_flowgate"), &binary).unwrap();
    open(&binary);
    // Every mount read-only but the volume's own; then nobody's rights, and none to gain.
    let confine = "mount --bind \"$VOLUME\" \"$VOLUME\"\n\
        cut -d' ' -f5 /proc/self/mountinfo | while read -r at; do\n\
          [ \"$at\" = \"$VOLUME\" ] || mount -o remount,bind,ro \"$at\" 2>/dev/null || true\n\
        done\n\
        exec setpriv --reuid=65532 --regid=65532 --groups=65532 --inh-caps=-all --bounding-set=-all --no-new-privs \"$@\"";
    let confined = |arguments: &[String]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", confine, "sh"]).args(arguments);
        command.env("VOLUME", volume.path()).envs(secrets());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    let touch = |place: &Path| {
        let arguments = ["touch".to_owned(), place.join("touched").to_str().unwrap().to_owned()];
        confined(&arguments).output().unwrap().status.success()
    };
    assert!(touch(volume.path()) && !touch(project.dir()) && !touch(Path::new("/tmp")), "the confinement holds");
    let arguments: Vec<String> = arguments()
        .iter()
        .map(|argument| argument.replace("/project", project.dir().to_str().unwrap()))
        .map(|argument| argument.replace("/usr/bin/flowgate", binary.to_str().unwrap()))
        .map(|argument| argument.replace("/var/lib/flowgate", volume.path().to_str().unwrap()))
        .collect();
    for _start in 0..2 {
        let mut serving = Serving::start(confined(&arguments));
        answers_its_probes(&mut serving);
        serving.signal(Signal::TERM);
        let (code, lines) = serving.wait_for_end();
        assert_eq!(code, Some(0), "{lines:#?}");
    }
    let made = std::fs::metadata(volume.path().join("state")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_drains() {
    let project = Project::new();
    project.settings("").connection("api", "http://127.0.0.1:1", "").copy_flow("copy", "", "");
    let listening = UnixDatagram::bind(project.path("notify")).unwrap();
    listening.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        let length = listening.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = flowgate(project.dir());
    command.arg("serve").env("NOTIFY_SOCKET", project.path("notify"));
    let mut serving = Serving::start(command);
    assert!(heard().starts_with("READY=1\n"));
    assert_eq!(client::get(serving.wait_until_listening(), "/readyz").status, 200, "it is, when it says so");
    serving.signal(Signal::TERM);
    assert!(heard().starts_with("STOPPING=1\n"));
    assert_eq!(serving.wait_for_end().0, Some(0));
}

#[test]
fn the_unit_gives_a_drain_its_time_and_does_not_repeat_what_cannot_start() {
    assert_eq!(of_unit("Type"), ["notify"]);
    assert!(of_unit("TimeoutStopSec")[0].parse::<u64>().unwrap() > 30, "longer than shutdown.timeout");
    assert_eq!(of_unit("RestartPreventExitStatus"), ["64 78"]);
    let project = Project::new();
    project.write("flows/bad.toml", "[export");
    run(project.dir(), &["serve"]).expect_code(78);
    let state = of_unit("StateDirectory").remove(0);
    assert!(of_unit("ExecStart")[0].contains(&format!("--state /var/lib/{state} ")));
}

/// The unit with a binary that is there, in a folder of its own.
fn unit_here(folder: &Path) -> PathBuf {
    let file = folder.join("flowgate.service");
    let text = text("systemd/flowgate.service");
    std::fs::write(&file, text.replace("/usr/bin/flowgate", env!("CARGO_BIN_EXE_flowgate"))).unwrap();
    file
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[test]
fn systemd_takes_the_unit_and_finds_it_confined() {
    if !works("systemd-analyze", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = unit_here(folder.path());
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let about: Vec<String> =
        said(&verified).lines().filter(|line| line.contains("flowgate.service")).map(str::to_owned).collect();
    assert!(verified.status.success() && about.is_empty(), "{about:#?}");
    // 0 is closed, 10 open; a unit without any of this has 9.6.
    let rated = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(&unit)
        .output()
        .unwrap();
    assert!(rated.status.success(), "{}", said(&rated));
}

/// System calls that a set of systemd names, others in it included.
fn calls(set: &str, sets: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let named = sets.get(set).unwrap_or_else(|| panic!("no set {set}"));
    let inner = |name: &String| if name.starts_with('@') { calls(name, sets) } else { [name.clone()].into() };
    named.iter().flat_map(inner).collect()
}

#[test]
fn serve_asks_nothing_of_the_kernel_that_the_unit_forbids() {
    if !works("systemd-analyze", &["--version"]) || !works("strace", &["-qq", "-o", "/dev/null", "true"]) {
        return;
    }
    let listed = Command::new("systemd-analyze").args(["syscall-filter", "--no-pager"]).output().unwrap();
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut set = String::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        match line.trim() {
            name if line.starts_with('@') => set = name.to_owned(),
            "" => {}
            comment if comment.starts_with('#') => {}
            name => sets.entry(set.clone()).or_default().push(name.to_owned()),
        }
    }
    let mut allowed = BTreeSet::new();
    for filter in of_unit("SystemCallFilter") {
        match filter.strip_prefix('~') {
            None => allowed.extend(filter.split(' ').flat_map(|set| calls(set, &sets))),
            Some(denied) => {
                let denied: BTreeSet<String> = denied.split(' ').flat_map(|set| calls(set, &sets)).collect();
                allowed.retain(|call| !denied.contains(call));
            }
        }
    }
    if rustix::process::geteuid().is_root() {
        // SQLite gives its files the owner of the database, as root alone.
        allowed.insert("fchown".to_owned());
    }
    let used = traced();
    assert!(used.len() > 40 && used.contains("futex"), "{used:?}");
    let forbidden: Vec<&String> = used.difference(&allowed).collect();
    assert_eq!(forbidden, Vec::<&String>::new());
}

/// System calls of a `serve` that runs a flow, takes a change, is asked, and drains.
fn traced() -> BTreeSet<String> {
    let playground = flowgate::playground::Playground::start(flowgate::playground::Settings {
        records: 50,
        ..flowgate::playground::Settings::default()
    });
    let playground = playground.unwrap();
    let project = Project::new();
    project
        .settings("")
        .connection("shop", &playground.base_uri(), "")
        .connection("erp", &playground.base_uri().replace("127.0.0.1", "localhost"), "")
        .orders_flow("orders", "erp", "/orders", "");
    // Not in the project: each line of it would be a change there.
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_flowgate"));
    command.arg("-C").arg(project.dir()).arg("serve");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut serving = Serving::start(command);
    serving.wait_until_listening();
    run(project.dir(), &["run", "orders"]).expect_code(0);
    project.connection("spare", "http://127.0.0.1:1", "");
    serving.wait_for("reload applied");
    serving.metrics();
    let told = crate::support::serving::status(&project);
    let pid = rustix::process::Pid::from_raw(i32::try_from(told["pid"].as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(serving.wait_for_end().0, Some(0));
    let call = Regex::new(r"(?m)^\d+ +(\w+)\(").unwrap();
    call.captures_iter(&std::fs::read_to_string(trace).unwrap()).map(|found| found[1].to_owned()).collect()
}

#[test]
fn what_the_container_file_copies_is_all_that_a_build_reads() {
    let file = text("container/Containerfile");
    let copies = file.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let copied: BTreeSet<String> = copies
        .flat_map(|line| line.split(' ').collect::<Vec<_>>().split_last().unwrap().1.to_vec())
        .map(str::to_owned)
        .collect();
    assert!(copied.iter().all(|path| root().join(path).exists()), "{copied:?}");
    let mut read: BTreeSet<String> = ["Cargo.toml", "Cargo.lock", "src"].map(str::to_owned).into();
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for kind in ["bench", "example", "bin"] {
        let targets = manifest[kind].as_array().unwrap().iter();
        read.extend(targets.map(|target| target["path"].as_str().unwrap().split('/').next().unwrap().to_owned()));
    }
    let included = Regex::new(r#"include_(?:str|bytes)!\("((?:\.\./)+)([\w-]+)/"#).unwrap();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|end| end == "rs") {
                let depth = entry.strip_prefix(root()).unwrap().components().count() - 1;
                let text = std::fs::read_to_string(&entry).unwrap();
                let outside = included.captures_iter(&text).filter(|found| found[1].len() / 3 == depth);
                read.extend(outside.map(|found| found[2].to_owned()));
            }
        }
    }
    // What is read from there is read by tests.
    assert!(read.remove("tests") && read.contains("flows") && read.contains("fuzz"), "{read:?}");
    assert_eq!(read.difference(&copied).collect::<Vec<_>>(), Vec::<&String>::new());
    let last = file.rsplit_once("\nFROM ").unwrap().1;
    let network = Regex::new(r"\b(apt|curl|wget|ADD|RUN)\b").unwrap();
    assert!(last.contains("\nUSER ") && !network.is_match(last), "{last}");
}
