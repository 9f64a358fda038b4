//! Whether and how output is coloured: on a terminal, unless `NO_COLOR`, `TERM=dumb` or `--no-color` says otherwise.

use std::fmt::Display;
use std::io::IsTerminal;

/// What is known about the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Colour stdout.
    pub stdout: bool,
    /// Colour stderr.
    pub stderr: bool,
    /// stderr is a terminal: bars may be drawn.
    pub terminal: bool,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It went well.
    Good,
    /// It wants a look.
    Warn,
    /// It went wrong.
    Bad,
    /// Less important, headings.
    Dim,
}

impl Style {
    /// Decides for this process.
    pub fn decide(no_color_flag: bool, var: &dyn Fn(&str) -> Option<String>) -> Self {
        Self::from(no_color_flag, var, std::io::stdout().is_terminal(), std::io::stderr().is_terminal())
    }

    fn from(flag: bool, var: &dyn Fn(&str) -> Option<String>, stdout: bool, stderr: bool) -> Self {
        let dumb = var("TERM").is_some_and(|term| term == "dumb");
        let plain = flag || dumb || var("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { stdout: stdout && !plain, stderr: stderr && !plain, terminal: stderr && !dumb }
    }
}

/// The text in its tone, where `on`.
pub fn paint(on: bool, tone: Tone, text: impl Display) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
        Tone::Dim => "2",
    };
    if on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(flag: bool, vars: &[(&str, &str)], terminal: bool) -> Style {
        let var = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Style::from(flag, &var, terminal, terminal)
    }

    #[test]
    fn colour_needs_a_terminal_and_nobody_against_it() {
        assert!(decide(false, &[], true).stdout);
        assert!(decide(false, &[("NO_COLOR", ""), ("TERM", "xterm")], true).stderr, "an empty NO_COLOR says nothing");
        for (flag, vars, terminal) in [
            (true, &[][..], true),
            (false, &[("NO_COLOR", "1")], true),
            (false, &[("TERM", "dumb")], true),
            (false, &[], false),
        ] {
            let style = decide(flag, vars, terminal);
            assert!(!style.stdout && !style.stderr, "{flag} {vars:?} {terminal}");
        }
    }

    #[test]
    fn bars_need_a_terminal_that_can_move_its_cursor() {
        assert!(decide(true, &[], true).terminal, "--no-color is about colour only");
        assert!(!decide(false, &[("TERM", "dumb")], true).terminal);
        assert!(!decide(false, &[], false).terminal);
    }

    #[test]
    fn paint_is_the_text_itself_when_off() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
