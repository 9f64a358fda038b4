//! `docs/CONNECTOR.md` is whole: each field of the form has its key and a test that is there.

use std::collections::BTreeSet;
use std::path::Path;

/// Rows of the form.
const ROWS: u32 = 93;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of all functions of the project.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.match_indices("fn ").map(|(at, _)| &text[at + 3..]);
            found.extend(names.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_field_of_the_form_has_a_key_and_a_test_that_exists() {
    let mut tests = BTreeSet::new();
    functions(&root().join("src"), &mut tests);
    functions(&root().join("tests"), &mut tests);
    assert!(tests.len() > 500, "only {} functions seen", tests.len());
    let document = std::fs::read_to_string(root().join("docs/CONNECTOR.md")).unwrap();
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells[0].parse::<u32>().is_ok())
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    for (number, row) in numbers.iter().zip(&rows) {
        let &[_, field, keys, shown] = &row[..] else { panic!("row {number} has {} cells", row.len()) };
        assert!(!field.is_empty() && !keys.is_empty() && !shown.is_empty(), "row {number} is not filled in");
        let names = named(shown);
        for name in &names {
            let case = root().join("tests/config").join(name);
            let there = if name.contains('/') { case.is_dir() } else { tests.contains(*name) };
            assert!(there, "row {number}: there is no `{name}`");
        }
        assert!(!names.is_empty(), "row {number} has no test");
    }
}

#[test]
fn the_one_algorithm_of_jwt_that_is_not_there_is_refused_and_documented() {
    let project = crate::support::project::Project::new();
    let keys = |algorithm: &str| format!("[auth.jwt]\nalgorithm = \"{algorithm}\"\nkey = {{ env = \"KEY\" }}\n");
    let check = |algorithm: &str, code: i32| {
        project.connection("api", "https://a.example", &keys(algorithm));
        crate::support::command::run(project.dir(), &["check"]).expect_code(code).stdout
    };
    check("ES384", 0);
    assert!(check("ES512", 78).contains("`auth.jwt.algorithm` does not know \"ES512\""));
    for name in ["CONNECTOR.md", "scope.md"] {
        let text = std::fs::read_to_string(root().join("docs").join(name)).unwrap();
        assert!(text.contains("`ES512`"), "{name}");
    }
}
