//! `flowgate init`: a first project, commented, that passes `check`.

use super::{Exit, Globals};
use std::io::ErrorKind;
use std::path::Path;

const FILES: &[(&str, &str)] = &[
    ("flowgate.toml", include_str!("init/flowgate.toml")),
    ("connections/source.toml", include_str!("init/source.toml")),
    ("connections/target.toml", include_str!("init/target.toml")),
    ("flows/first.toml", include_str!("init/first.toml")),
    (".gitignore", "/state\n/secrets\n"),
];

/// Writes the files; never over existing ones.
pub fn init(globals: &Globals, root: &Path) -> Exit {
    let taken: Vec<&str> = FILES.iter().map(|(path, _)| *path).filter(|path| root.join(path).exists()).collect();
    if !taken.is_empty() {
        globals.complain(&format!("{} would be overwritten; nothing was written", taken.join(", ")));
        return Exit::Usage;
    }
    for (path, text) in FILES {
        if let Err(error) = write(&root.join(path), text) {
            globals.complain(&format!("{path}: {error}"));
            return if error.kind() == ErrorKind::AlreadyExists { Exit::Usage } else { Exit::Temporary };
        }
        globals.say(path);
    }
    globals.note(
        "\nNext:\n  edit connections/source.toml and connections/target.toml: your two APIs\n  \
         flowgate check                           finds every mistake at once\n  \
         flowgate run first --dry-run --limit 3   shows the requests without sending them\n  \
         flowgate serve                           runs on schedule, reloads edited files",
    );
    Exit::Done
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}
