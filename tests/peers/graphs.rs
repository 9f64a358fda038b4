//! Pictures of `flowgate graph --format dot`, drawn by Graphviz.

use crate::peer;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What Graphviz makes of the picture of a project: its own JSON, with every node and edge.
fn drawn(dot: &Path, project: &Path) -> serde_json::Value {
    let mut graph = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    let graph = graph.arg("-C").arg(project).args(["graph", "--format", "dot"]).output().unwrap();
    assert!(graph.status.success(), "{}", String::from_utf8_lossy(&graph.stderr));
    let mut dot = Command::new(dot);
    dot.arg("-Tjson").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut dot = dot.spawn().unwrap();
    let mut stdin = dot.stdin.take().unwrap();
    let text = graph.stdout.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let ended = dot.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && !said.contains("rror"), "{said}\n{}", String::from_utf8_lossy(&graph.stdout));
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn labels(drawn: &serde_json::Value) -> Vec<String> {
    let objects = drawn["objects"].as_array().unwrap().iter();
    objects.filter_map(|object| object["label"].as_str().map(str::to_owned)).collect()
}

#[test]
fn graphviz_draws_every_sample_and_names_that_try_to_break_out() {
    let Some(dot) = peer::program("dot") else { return };
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let projects = std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path());
    let projects: Vec<_> = projects.filter(|path| path.join("flows").is_dir()).collect();
    assert!(projects.len() > 10, "{projects:?}");
    for project in projects {
        let drawn = drawn(&dot, &project);
        let edges = drawn["edges"].as_array().map_or(0, Vec::len);
        assert!(labels(&drawn).len() > 2 && edges > 0, "{}: {drawn}", project.display());
    }
    let hostile = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = hostile.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let title = r#"a\"]; x -> y; subgraph { <b>&amp; \\N"#;
    write("connections/api.toml", &format!("title = \"{title}\"\nbase_uri = \"http://127.0.0.1:9\"\n"));
    write(
        "flows/f.toml",
        &format!(
            "title = \"{title}\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/\"\n[[step]]\nname = '{title}'\n\
             keep = \"record.id\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/\"\n"
        ),
    );
    let drawn = drawn(&dot, hostile.path());
    let nodes = drawn["objects"].as_array().unwrap().iter().filter(|object| object.get("shape").is_some()).count();
    assert_eq!(nodes, 4, "connection, export, step, import, and none of the title's: {drawn}");
}
