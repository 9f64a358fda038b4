//! The terminal while `top` has it: an alternate screen, keys without Enter, and everything as it was at the end, whatever
//! the end is.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal, Read, Write};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Alternate screen, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
/// Back.
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";
/// Ctrl-C and Ctrl-D as they come without the terminal's own handling.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// Whether both ends are a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Resized,
}

/// The terminal.
pub(super) struct Screen {
    saved: Termios,
    keys: mpsc::UnboundedReceiver<u8>,
    resized: Signal,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let saved = tcgetattr(io::stdin())?;
        let mut raw = saved.clone();
        raw.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        let resized = signal(SignalKind::window_change())?;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let (sender, keys) = mpsc::unbounded_channel();
        // Sits in a read until the process ends: nobody waits for it.
        tokio::task::spawn_blocking(move || {
            let mut byte = [0];
            while matches!(io::stdin().lock().read(&mut byte), Ok(1)) {
                if sender.send(byte[0]).is_err() {
                    return;
                }
            }
        });
        let screen = Self { saved, keys, resized };
        io::stdout().lock().write_all(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size() -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Draws over what was there, in one write.
    pub(super) fn draw(lines: &[String]) -> io::Result<()> {
        let mut out = String::from("\x1b[H");
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line);
            out.push_str("\x1b[K");
        }
        out.push_str("\x1b[J");
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }

    /// The next thing somebody does that means something.
    pub(super) async fn key(&mut self) -> Key {
        loop {
            tokio::select! {
                key = self.keys.recv() => match key {
                    Some(b'q' | b'Q' | CTRL_C | CTRL_D) | None => return Key::Quit,
                    Some(_) => {}
                },
                _ = self.resized.recv() => return Key::Resized,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(LEAVE).and_then(|()| stdout.flush());
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.saved);
    }
}
