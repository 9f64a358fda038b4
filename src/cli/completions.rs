//! `flowgate completions SHELL` and `flowgate man [DIR]`: made of the command line's own definition.

use super::args::{Cli, Shell};
use super::{Exit, Globals};
use clap::CommandFactory;
use serde_json::json;
use std::path::Path;

/// Prints the script for a shell.
pub fn completions(globals: &Globals, shell: Shell) -> Exit {
    let script = script(shell);
    if globals.json() {
        globals.say(&json!({ "format": 1, "shell": shell.name(), "script": script }).to_string());
    } else {
        globals.data(&script);
    }
    Exit::Done
}

fn script(shell: Shell) -> String {
    use clap_complete::shells::{Bash, Elvish, Fish, PowerShell, Zsh};
    let (mut command, mut out) = (Cli::command(), Vec::new());
    let name = "flowgate";
    match shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, name, &mut out),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, name, &mut out),
        Shell::Fish => clap_complete::generate(Fish, &mut command, name, &mut out),
        Shell::Powershell => clap_complete::generate(PowerShell, &mut command, name, &mut out),
        Shell::Elvish => clap_complete::generate(Elvish, &mut command, name, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes a man page for each command into a directory; the first one to standard output when none is named.
pub fn man(globals: &Globals, directory: Option<&Path>) -> Exit {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => {
            globals.complain(&format!("the pages cannot be made: {error}"));
            return Exit::Internal;
        }
    };
    let Some(directory) = directory else {
        let (_, text) = &pages[0];
        if globals.json() {
            globals.say(&json!({ "format": 1, "page": text }).to_string());
        } else {
            globals.data(text);
        }
        return Exit::Done;
    };
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| pages.iter().try_for_each(|(name, text)| std::fs::write(directory.join(name), text)));
    if let Err(error) = written {
        globals.complain(&format!("cannot write into `{}`: {error}", directory.display()));
        return Exit::Input;
    }
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    if globals.json() {
        globals.say(&json!({ "format": 1, "written": names }).to_string());
    } else {
        for name in names {
            globals.say(&format!("wrote {}", directory.join(name).display()));
        }
    }
    Exit::Done
}

/// Names and texts, that of `flowgate` itself first.
fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    let mut open = vec![root];
    while let Some(command) = open.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let mut text = Vec::new();
        // The page's name has to be that of its file: `flowgate runs list` is flowgate-runs-list(1).
        clap_mangen::Man::new(command.clone().name(leaked(&name)).bin_name(name.replace('-', " ")))
            .render(&mut text)?;
        pages.push((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()));
        let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set());
        let mut inner: Vec<_> = inner.cloned().collect();
        inner.reverse();
        open.extend(inner);
    }
    Ok(pages)
}

/// clap keeps names for the life of the process; there are few, and this is the last thing it does.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell, Shell::Elvish] {
            let script = script(shell);
            for word in ["flowgate", "preview", "errors", "mermaid"] {
                assert!(script.contains(word), "{}: no {word}", shell.name());
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let pages = pages().unwrap();
        assert_eq!(pages[0].0, "flowgate.1");
        for name in ["flowgate-run.1", "flowgate-runs-list.1", "flowgate-errors-edit.1", "flowgate-state-show.1"] {
            let page = pages.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}"));
            assert!(page.1.contains(".SH NAME") && page.1.contains(".SH SYNOPSIS"), "{}", page.1);
        }
        assert!(pages.iter().all(|(name, _)| !name.contains("help")));
    }
}
