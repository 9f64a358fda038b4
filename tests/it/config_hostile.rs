//! Files nobody wants in a configuration folder: `check` names each of them, soon, and never falls over.

use crate::support::command::{Ended, run};
use crate::support::now;
use crate::support::project::Project;
use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

/// Long for a check, short for a hang.
const SOON: Duration = Duration::from_secs(10);

const FLOW: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/x\"\n";

fn sound() -> Project {
    let project = Project::new();
    project.connection("api", "http://127.0.0.1:9", "").write("flows/good.toml", FLOW);
    project
}

/// Checks, and fails if that takes long, ends with another code, or names not all of these.
#[track_caller]
fn expect_refused(project: &Project, named: &[&str]) -> Ended {
    let begun = now();
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    for name in named {
        let said = ended.stdout.contains(name) || ended.stderr.contains(name);
        assert!(said, "{name} is not named:\n{}{}", ended.stdout, ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

#[test]
fn what_is_sound_passes() {
    run(sound().dir(), &["check"]).expect_code(0);
}

#[test]
fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let project = sound();
    let path = project.path("flows/a.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    expect_refused(&project, &["flows/a.toml"]);
    // Behind a link as well, and as a secret's file.
    let project = sound();
    symlink(&path, project.path("connections/b.toml")).unwrap();
    expect_refused(&project, &["connections/b.toml"]);
}

#[test]
fn a_gigabyte_is_refused_unread() {
    let project = sound();
    File::create(project.path("flows/huge.toml")).unwrap().set_len(1 << 30).unwrap();
    File::create(project.path("flowgate.toml")).unwrap().set_len(1 << 30).unwrap();
    let ended = expect_refused(&project, &["flows/huge.toml", "flowgate.toml"]);
    assert!(ended.stdout.len() + ended.stderr.len() < 10_000);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let project = sound();
    std::fs::write(project.path("flows/latin.toml"), b"title = \"ok\"\n[export]\nconnection = \"\xe9\"\n").unwrap();
    std::fs::write(project.path("flows/nul.toml"), b"title = \"a\0b\"\n").unwrap();
    std::fs::write(project.path("flows/random.toml"), (0..=255).collect::<Vec<u8>>()).unwrap();
    expect_refused(&project, &["flows/latin.toml:3", "flows/nul.toml", "flows/random.toml"]);
}

#[test]
fn links_that_lead_nowhere_away_or_in_circles_are_refused_without_showing_what_is_there() {
    let project = sound();
    symlink("/etc/passwd", project.path("flows/passwd.toml")).unwrap();
    symlink("nowhere", project.path("flows/broken.toml")).unwrap();
    symlink("loop.toml", project.path("flows/loop.toml")).unwrap();
    symlink(".", project.path("connections/folder")).unwrap();
    std::fs::create_dir(project.path("flows/dir.toml")).unwrap();
    let ended = expect_refused(&project, &["flows/passwd.toml", "flows/broken.toml", "flows/loop.toml"]);
    assert!(!ended.stdout.contains("root:") && !ended.stderr.contains("root:"), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn an_unreadable_file_is_named() {
    let project = sound();
    project.write("flows/locked.toml", FLOW);
    std::fs::set_permissions(project.path("flows/locked.toml"), PermissionsExt::from_mode(0o0)).unwrap();
    if File::open(project.path("flows/locked.toml")).is_ok() {
        // Nothing is locked to the superuser.
        return;
    }
    expect_refused(&project, &["flows/locked.toml"]);
}

#[test]
fn nesting_of_every_kind_is_refused_at_a_depth() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5_000), close.repeat(5_000));
    let files = [
        ("arrays", format!("{FLOW}query = {{ a = {} }}\n", deep("[", "]"))),
        ("tables", format!("{FLOW}query = {}1{}\n", "{ a = ".repeat(5_000), " }".repeat(5_000))),
        ("dotted", format!("{FLOW}{}z = 1\n", "a.".repeat(5_000))),
        ("header", format!("[{}z]\n", "a.".repeat(5_000))),
        ("expression", format!("{FLOW}keep = \"{}\"\n", deep("(", ")"))),
        ("nots", format!("{FLOW}keep = \"{}record.a\"\n", "not ".repeat(5_000))),
        ("minus", format!("{FLOW}keep = \"{}1 > 0\"\n", "-".repeat(5_000))),
        ("calls", format!("{FLOW}keep = \"record.a{}\"\n", " | default(1".repeat(5_000))),
        (
            "ifs",
            format!("{FLOW}headers = {{ X = \"{}{}\" }}\n", "{{#if flow.id}}".repeat(5_000), "{{/if}}".repeat(5_000)),
        ),
        ("open", format!("{FLOW}headers = {{ X = \"{}\" }}\n", "{{#if flow.id}}".repeat(5_000))),
        (
            "helpers",
            format!(
                "{FLOW}headers = {{ X = \"{{{{default {}1{} 2}}}}\" }}\n",
                "(default ".repeat(5_000),
                " 2)".repeat(5_000)
            ),
        ),
        ("brackets", format!("{FLOW}records = \"$[?{}@.a{}]\"\n", "(".repeat(5_000), ")".repeat(5_000))),
        ("filters", format!("{FLOW}records = \"$[?@{}{}]\"\n", "[?@".repeat(5_000), "]".repeat(5_000))),
    ];
    let project = sound();
    for (name, text) in &files {
        project.write(&format!("flows/{name}.toml"), text);
    }
    let named: Vec<String> = files.iter().map(|(name, _)| format!("flows/{name}.toml")).collect();
    expect_refused(&project, &named.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn template_bombs_are_refused_when_they_are_read() {
    let mutual = "{{#*inline \\\"a\\\"}}{{> b}}{{/inline}}{{#*inline \\\"b\\\"}}{{> a}}{{/inline}}{{> a}}";
    let own = "{{#*inline \\\"a\\\"}}{{> a}}{{> a}}{{/inline}}{{> a}}";
    let project = sound();
    project
        .write("flows/mutual.toml", &format!("{FLOW}headers = {{ X = \"{mutual}\" }}\n"))
        .write("flows/own.toml", &format!("{FLOW}headers = {{ X = \"{own}\" }}\n"))
        .write("flows/block.toml", &format!("{FLOW}headers = {{ X = \"{{{{#> x}}}}{{{{/x}}}}\" }}\n"))
        .write("flows/unknown.toml", &format!("{FLOW}headers = {{ X = \"{{{{lookup this 'a'}}}}{{{{evil 1}}}}\" }}\n"));
    expect_refused(&project, &["flows/mutual.toml", "flows/own.toml", "flows/block.toml", "flows/unknown.toml"]);
}

#[test]
fn path_bombs_are_refused_or_harmless() {
    let paths = [
        ("dots", format!("${}", "..*".repeat(5_000))),
        ("wild", format!("${}", "[*]".repeat(5_000))),
        ("members", format!("$[{}]", vec!["'a'"; 100_000].join(","))),
        ("long", format!("$.{}", "a".repeat(1 << 20))),
        ("regex", "$[?match(@.a, '(a{1000}){1000}{1000}')]".to_owned()),
        ("slice", "$[0:9223372036854775808:-9223372036854775808]".to_owned()),
    ];
    for (name, path) in paths {
        let project = sound();
        project.write("flows/bomb.toml", &format!("{FLOW}records = \"{path}\"\n"));
        let begun = now();
        let ended = run(project.dir(), &["check"]);
        assert!(begun.elapsed() < SOON, "{name} took {:?}", begun.elapsed());
        assert!(matches!(ended.code, Some(0 | 78)), "{name}: {:?} {}", ended.code, ended.stderr);
        assert!(ended.stdout.len() + ended.stderr.len() < 20_000, "{name}: a flood of words");
    }
}

#[test]
fn three_hundred_broken_files_are_all_named_in_one_run() {
    let project = sound();
    let breakages = [
        "[export\n",
        "a = 1\na = 2\n",
        "colour = \"red\"\n",
        "[export]\nconnection = 5\n",
        "[export]\nconnection = \"gone\"\n",
        "[export]\nconnection = \"api\"\nrelative_uri = \"{{\"\n",
        "schedule = \"every day\"\n",
        "\u{1}",
        "= 1\n",
        "[[export]]\n",
    ];
    let mut named = Vec::new();
    for n in 0..300 {
        let name = format!("flows/broken-{n:03}.toml");
        project.write(&name, breakages[n % breakages.len()]);
        named.push(name);
    }
    expect_refused(&project, &named.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn one_broken_file_keeps_a_run_from_starting() {
    let project = sound();
    project.write("flows/bad.toml", "[export\n");
    let ended = run(project.dir(), &["run", "good"]).expect_code(78);
    assert!(ended.stderr.contains("flows/bad.toml"), "{}", ended.stderr);
}

#[test]
fn long_lines_are_shown_in_part() {
    let project = sound();
    project.write("flows/long.toml", &format!("{FLOW}title = \"{}\" x\n", "a".repeat(900_000)));
    let ended = expect_refused(&project, &["flows/long.toml"]);
    assert!(ended.stdout.len() + ended.stderr.len() < 10_000);
}
