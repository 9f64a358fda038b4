//! What the README shows is true: its files are valid, its commands work, its printed output is what is printed.

use crate::support::PATIENCE;
use crate::support::command::{finish, flowgate, run};
use crate::support::project::Project;
use std::path::Path;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The fenced blocks of a language, in order.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let open = format!("```{language}\n");
    text.split(open.as_str()).skip(1).map(|rest| &rest[..rest.find("```").unwrap()]).collect()
}

/// The two files as shown, and the connection the flow reads from.
fn shown_project() -> Project {
    let readme = readme();
    let [connection, flow] = blocks(&readme, "toml")[..] else { panic!("the README shows two files") };
    let project = Project::new();
    project
        .write("connections/erp.toml", connection)
        .write("connections/shop.toml", "base_uri = \"https://shop.example\"\n")
        .write("flows/orders.toml", flow);
    project
}

#[test]
fn its_two_files_pass_check() {
    let project = shown_project();
    let mut command = flowgate(project.dir());
    command.args(["check", "--deny-warnings"]).env("ERP_TOKEN", "x");
    finish(command, PATIENCE).expect_code(0);
}

#[test]
fn its_error_is_what_check_prints() {
    let readme = readme();
    let shown = blocks(&readme, "text").into_iter().find(|block| block.starts_with("error[")).unwrap();
    let project = shown_project();
    let broken = "base_uri = \"https://erp.example/api\"\nconcurency_level = 4\n";
    project.write("connections/erp.toml", broken);
    let printed = run(project.dir(), &["check"]).expect_code(78).stdout;
    assert!(printed.starts_with(shown.trim_end()), "{printed}");
}

#[test]
fn the_demo_ends_well_with_the_ledgers_verdict_wherever_it_is_run() {
    let empty = Project::new();
    for dir in [Path::new(env!("CARGO_MANIFEST_DIR")), empty.dir()] {
        let ended = run(dir, &["demo"]).expect_code(0);
        for promise in ["every record exactly once", "limit never exceeded", "most at once: 4"] {
            assert!(ended.stdout.contains(promise), "{}", ended.stdout);
        }
    }
    assert!(std::fs::read_dir(empty.dir()).unwrap().next().is_none(), "the demo leaves nothing behind");
}

#[test]
fn init_writes_a_project_that_passes_check() {
    let project = Project::new();
    run(project.dir(), &["init"]).expect_code(0);
    run(project.dir(), &["check"]).expect_code(0);
    let again = run(project.dir(), &["init"]);
    assert_ne!(again.code, Some(0), "init never writes over files");
}

#[test]
fn it_is_short_enough_to_read() {
    assert!(readme().lines().count() <= 150);
}
