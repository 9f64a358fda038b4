//! `flowgate init`: writes a small commented project that passes `check`, or one that makes the request of a curl command.
//! Never overwrites, never asks the network.

use super::{Exit, Globals, schema};
use crate::config::files;
use crate::convert::curl;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const FILES: &[(&str, &str)] = &[
    ("flowgate.toml", include_str!("init/flowgate.toml")),
    ("connections/shop.toml", include_str!("init/shop.toml")),
    ("connections/erp.toml", include_str!("init/erp.toml")),
    ("flows/orders.toml", include_str!("init/orders.toml")),
];

/// Most bytes of a command line on standard input.
const MOST_INPUT: u64 = 1 << 20;

const IGNORED: &str = "/state/\n/secrets/\n.env\n";

/// Writes the project.
pub fn init(globals: &Globals) -> Exit {
    let root = &globals.root;
    let present: Vec<&str> = FILES.iter().map(|(path, _)| *path).filter(|path| exists(&root.join(path))).collect();
    if !present.is_empty() {
        globals.complain(&format!(
            "`{}` holds a project already ({}): nothing was written; choose another directory with `-C DIR`",
            root.display(),
            present.join(", ")
        ));
        return Exit::Input;
    }
    if let Err((path, error)) = write(root) {
        globals.complain(&format!("cannot write `{}`: {error}", root.join(path).display()));
        return Exit::Input;
    }
    let mut written: Vec<PathBuf> = FILES.iter().map(|(path, _)| root.join(path)).collect();
    written.extend(schemas(globals));
    written.extend(ignore(globals));
    tell(globals, &written);
    globals.note("\nNext: edit the two connections, then\n  flowgate check\n  flowgate run orders --dry-run --limit 5");
    Exit::Done
}

/// Writes the connection and the flow of a curl command.
pub fn from_curl(globals: &Globals, line: &str) -> Exit {
    let line = match line {
        "-" => match io::read_to_string(io::stdin().lock().take(MOST_INPUT)) {
            Ok(line) => line,
            Err(error) => {
                globals.complain(&format!("cannot read standard input: {error}"));
                return Exit::Input;
            }
        },
        line => line.to_owned(),
    };
    let file = |name: &str| {
        let bytes = files::read_named(&globals.root, Path::new(name)).map_err(|why| format!("file `{name}`: {why}"))?;
        String::from_utf8(bytes).map_err(|_| format!("file `{name}` is not UTF-8 text"))
    };
    let project = match curl::project(&line, &file) {
        Ok(project) => project,
        Err(why) => {
            globals.complain(&format!("--from-curl: {why}"));
            return Exit::Input;
        }
    };
    let root = &globals.root;
    let connection = free(root, "connections", &project.connection);
    let flow = free(root, "flows", &project.flow);
    let flow_text = project
        .flow_text
        .replace("\"{connection}\"", &format!("{connection:?}"))
        .replace(&format!("flowgate preview {}`", project.flow), &format!("flowgate preview {flow}`"));
    let written = [
        (format!("connections/{connection}.toml"), project.connection_text.as_str()),
        (format!("flows/{flow}.toml"), flow_text.as_str()),
    ];
    let mut told = Vec::new();
    for (path, text) in &written {
        let target = root.join(path);
        let folder = target.parent().unwrap_or(root);
        if let Err(error) = fs::create_dir_all(folder).and_then(|()| write_new(&target, &with_schema(path, text))) {
            globals.complain(&format!("cannot write `{}`: {error}", target.display()));
            return Exit::Input;
        }
        told.push(target);
    }
    told.extend(schemas(globals));
    told.extend(ignore(globals));
    tell(globals, &told);
    for note in &project.notes {
        globals.warn(note);
    }
    if !project.variables.is_empty() {
        globals.note("\nSet in the environment (no value of it was written to a file):");
        for (variable, what) in &project.variables {
            globals.note(&format!("  {variable}  {what}"));
        }
    }
    globals.note(&format!("\nNext:\n  flowgate check\n  flowgate preview {flow} --limit 3"));
    Exit::Done
}

/// The id, or with a number behind it where its file is there already.
fn free(root: &Path, folder: &str, id: &str) -> String {
    let taken = |id: &str| exists(&root.join(folder).join(format!("{id}.toml")));
    if !taken(id) {
        return id.to_owned();
    }
    (2..1_000).map(|n| format!("{id}-{n}")).find(|id| !taken(id)).unwrap_or_else(|| id.to_owned())
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn write(root: &Path) -> Result<(), (&'static str, io::Error)> {
    for (path, text) in FILES {
        let target = root.join(path);
        let folder = target.parent().unwrap_or(root);
        fs::create_dir_all(folder)
            .and_then(|()| write_new(&target, &with_schema(path, text)))
            .map_err(|error| (*path, error))?;
    }
    Ok(())
}

/// Editors find the schema by the first line.
fn with_schema(path: &str, text: &str) -> String {
    format!("{}{text}", schema::line(path))
}

/// What the first lines name. A project is one without them too.
fn schemas(globals: &Globals) -> Vec<PathBuf> {
    let folder = globals.root.join(schema::FOLDER);
    match schema::write_new(&folder) {
        Ok((written, kept)) => {
            for path in kept {
                let path = path.display();
                globals.warn(&format!("`{path}` is there and stays as it is; `flowgate schema --write` replaces it"));
            }
            written
        }
        Err(error) => {
            globals.warn(&format!("cannot write schemas for editors into `{}`: {error}", folder.display()));
            Vec::new()
        }
    }
}

fn tell(globals: &Globals, written: &[PathBuf]) {
    if globals.json() {
        let paths: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        globals.say(&json!({ "format": 1, "written": paths }).to_string());
        return;
    }
    for path in written {
        globals.say(&format!("wrote {}", path.display()));
    }
}

/// Refuses when the file appeared meanwhile.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// A repository mostly has its own `.gitignore`: it is left alone.
fn ignore(globals: &Globals) -> Option<PathBuf> {
    let path = globals.root.join(".gitignore");
    match write_new(&path, IGNORED) {
        Ok(()) => return Some(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            globals.note("there is a .gitignore already: make sure that it names /state/ and /secrets/");
        }
        Err(error) => globals.warn(&format!("cannot write `{}`: {error}", path.display())),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::globals::tests::at;
    use super::*;
    use crate::config::{self, Env};

    struct Empty;
    impl Env for Empty {
        fn var(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn the_first_project_passes_check_without_a_warning() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("new/project");
        assert_eq!(init(&at(&root)), Exit::Done);
        let loaded = config::load_dir(&root, &Empty).unwrap();
        assert!(loaded.diagnostics.is_empty(), "{}", config::render::text(&loaded.diagnostics, false));
        let snapshot = loaded.snapshot.unwrap();
        assert_eq!((snapshot.connections.len(), snapshot.flows.len()), (2, 1));
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), IGNORED);
        for (path, _) in FILES {
            let text = fs::read_to_string(root.join(path)).unwrap();
            let named = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
            let schema = root.join(path).parent().unwrap().join(named);
            assert!(schema.is_file(), "{path} names {named}");
        }
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("flows")).unwrap();
        fs::write(root.path().join("flows/orders.toml"), "mine").unwrap();
        assert_eq!(init(&at(root.path())), Exit::Input);
        assert_eq!(fs::read_to_string(root.path().join("flows/orders.toml")).unwrap(), "mine");
        assert!(!root.path().join("flowgate.toml").exists(), "nor is half a project written");
    }

    #[test]
    fn schemas_that_are_there_stay_as_they_are() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| root.path().join("schema").join(name);
        fs::create_dir(root.path().join("schema")).unwrap();
        fs::write(file("flow.json"), "mine").unwrap();
        fs::write(root.path().join("elsewhere"), "mine too").unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), file("agent.json")).unwrap();
        assert_eq!(init(&at(root.path())), Exit::Done);
        assert_eq!(from_curl(&at(root.path()), "curl https://api.example/pets"), Exit::Done);
        assert_eq!(fs::read_to_string(file("flow.json")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(root.path().join("elsewhere")).unwrap(), "mine too");
        assert!(fs::read_to_string(file("connection.json")).unwrap().contains("$schema"));
        let (written, kept) = schema::write_new(&root.path().join("schema")).unwrap();
        assert_eq!(
            (written.len(), kept),
            (0, vec![file("flow.json"), file("agent.json")]),
            "the others read as they would"
        );
    }

    #[test]
    fn a_gitignore_of_ones_own_stays() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".gitignore"), "mine").unwrap();
        assert_eq!(init(&at(root.path())), Exit::Done);
        assert_eq!(fs::read_to_string(root.path().join(".gitignore")).unwrap(), "mine");
    }
}
