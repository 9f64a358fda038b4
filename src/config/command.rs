//! `{ command = ["pass", "show", "x"] }`: a value that another program gives. No shell, bounded in time and size;
//! what it says on standard error is not kept, it may hold what the value holds.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longest run.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most bytes a value may have.
const MOST_BYTES: u64 = 64 * 1024;

/// What it writes to standard output. Runs in the project directory, with this process's environment and no input. The
/// error names neither arguments nor output.
pub(super) fn output(root: &Path, words: &[String]) -> Result<String, String> {
    output_within(root, words, PATIENCE)
}

fn output_within(root: &Path, words: &[String], patience: Duration) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("names no program")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that whatever it started ends with it.
    let mut child =
        command.process_group(0).spawn().map_err(|error| format!("command `{program}` cannot be started: {error}"))?;
    let group = Pid::from_child(&child);
    let (done, end) = channel();
    std::thread::spawn(move || done.send(read(&mut child)));
    let read = end.recv_timeout(patience);
    if read.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let failed = |why: &str| Err(format!("command `{program}` {why}"));
    match read {
        Err(_) => failed(&format!("did not end within {} s", patience.as_secs())),
        Ok(Err(error)) => failed(&format!("cannot be read: {error}")),
        Ok(Ok((text, _))) if text.len() as u64 > MOST_BYTES => failed("gave more than 64 KiB"),
        Ok(Ok((_, status))) if !status.success() => failed(&format!("failed ({status}): try it by hand")),
        Ok(Ok((text, _))) => String::from_utf8(text).or_else(|_| failed("gave something else than UTF-8 text")),
    }
}

/// All it writes, and how it ended. One that writes without end finds nobody reading and ends by that.
fn read(child: &mut Child) -> std::io::Result<(Vec<u8>, ExitStatus)> {
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    }
    Ok((text, child.wait()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String, String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        output_within(Path::new("/"), &words, patience)
    }

    fn run(script: &str) -> Result<String, String> {
        shell(script, PATIENCE)
    }

    #[test]
    fn its_output_is_the_value() {
        assert_eq!(run("echo value; echo noise >&2"), Ok("value\n".to_owned()));
        assert_eq!(run("pwd"), Ok("/\n".to_owned()));
        assert_eq!(run("cat"), Ok(String::new()), "there is no input to wait for");
    }

    #[test]
    fn failures_say_what_happened_and_nothing_it_wrote() {
        for (script, why) in [
            ("echo hunter2; echo hunter2 >&2; exit 3", "failed (exit status: 3)"),
            ("kill -9 $$", "failed (signal: 9"),
            ("printf '\\377'", "UTF-8"),
        ] {
            let error = run(script).unwrap_err();
            assert!(error.starts_with("command `sh` ") && error.contains(why), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let missing = output(Path::new("/"), &["no-such-program-here".to_owned()]).unwrap_err();
        assert!(missing.contains("cannot be started"), "{missing}");
        assert!(output(Path::new("/"), &[]).is_err());
    }

    #[test]
    fn one_that_never_ends_or_never_stops_writing_is_killed() {
        let brief = Duration::from_millis(200);
        assert!(shell("tail -f /dev/null", brief).unwrap_err().contains("did not end"));
        assert!(shell("tail -f /dev/null & exit 0", brief).unwrap_err().contains("did not end"), "its child writes on");
        assert!(run("yes").unwrap_err().contains("64 KiB"));
    }
}
