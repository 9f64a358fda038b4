//! Standard output as data: an export-only flow's records, one JSON value a line.

use crate::app::run::Output;
use crate::value::json::Json;
use std::io::{self, BufWriter, Stdout as Raw, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Buffered standard output; a reader that went away ends the run instead of panicking.
pub struct Stdout {
    out: Mutex<BufWriter<Raw>>,
    reader_left: AtomicBool,
}

impl Stdout {
    /// Takes standard output.
    pub fn new() -> Self {
        let out = Mutex::new(BufWriter::with_capacity(64 << 10, io::stdout()));
        Self { out, reader_left: AtomicBool::new(false) }
    }

    /// Writes what is still buffered.
    pub fn finish(&self) -> io::Result<()> {
        self.with(BufWriter::flush)
    }

    fn line(&self, json: &str) -> io::Result<()> {
        let mut line = Vec::with_capacity(json.len() + 1);
        write_on_one_line(json, &mut line);
        line.push(b'\n');
        self.with(|out| out.write_all(&line))
    }

    /// Whether its reader closed it.
    pub fn reader_left(&self) -> bool {
        self.reader_left.load(Ordering::Relaxed)
    }

    fn with(&self, write: impl FnOnce(&mut BufWriter<Raw>) -> io::Result<()>) -> io::Result<()> {
        let written = write(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner));
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.reader_left.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
    }
}

impl Output for Stdout {
    fn record(&self, record: &Json) -> io::Result<()> {
        self.line(record.text())
    }

    fn flush(&self) -> io::Result<()> {
        self.finish()
    }
}

/// Copies checked JSON without the white space between its tokens, so that a pretty-printed record stays one line.
fn write_on_one_line(json: &str, out: &mut Vec<u8>) {
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\n' | b'\r' | b'\t' if !quoted => continue,
            _ => {}
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::write_on_one_line;

    #[test]
    fn white_space_goes_but_for_that_inside_strings() {
        let mut out = Vec::new();
        write_on_one_line("{ \"a b\" :\n [1,\r\n\t\"x \\\" \\\\\" , 2] }", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a b\":[1,\"x \\\" \\\\\",2]}");
    }
}
