//! SIGINT, SIGTERM, SIGHUP. The first of the ending ones drains; a second one of any kind ends at once.

use super::run::Stopped;
use crate::value::time::SharedClock;
use std::time::Duration;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGHUP: look at the files now. One-off commands end: their terminal was closed.
    Reload,
}

impl Signal {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Reload => "SIGHUP",
        }
    }
}

/// The signals of this process.
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl Signals {
    /// Takes over the default handlers.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// The next signal that ends the process; `hangup` says whether SIGHUP is one.
    pub async fn ending(&mut self, hangup: bool) -> Signal {
        loop {
            match self.next().await {
                Signal::Reload if !hangup => {}
                ending => return ending,
            }
        }
    }
}

/// Whether SIGHUP ends a one-off command; not under `nohup`. To be asked before any handler is installed.
pub fn hangup_ends() -> bool {
    // Where there is no such file, nobody can tell, and a closed terminal ends what ran in it.
    !std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Ends the process when it cannot end in order: the thread of a one-off command may be stuck writing to a pipe that
/// nobody reads, and then it sees no signal. This one has a thread to itself.
pub(super) struct LastResort {
    pub(super) clock: SharedClock,
    /// From the first signal to the end of a drain.
    pub(super) timeout: Duration,
    /// Whether SIGHUP is an ending signal.
    pub(super) hangup: bool,
    /// The exit code.
    pub(super) code: fn(Stopped) -> u8,
}

/// Time for the orderly way, which says more.
const ORDERLY: Duration = Duration::from_millis(300);

impl LastResort {
    /// Listens from now on, on its own thread.
    pub(super) fn stand_by(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen()?
        };
        let work = move || runtime.block_on(self.wait(signals));
        std::thread::Builder::new().name("signals".to_owned()).spawn(work).map(drop)
    }

    #[expect(clippy::disallowed_methods, reason = "nothing else ends a process whose main thread is stuck in a write")]
    async fn wait(self, mut signals: Signals) {
        signals.ending(self.hangup).await;
        let cut = self.clock.mono().plus(self.timeout + ORDERLY);
        let stopped = tokio::select! {
            second = signals.ending(self.hangup) => Stopped::Now(second),
            () = self.clock.sleep_until(cut) => Stopped::Cut,
        };
        self.clock.sleep_until(self.clock.mono().plus(ORDERLY)).await;
        std::process::exit(i32::from((self.code)(stopped)));
    }
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn under_nohup_a_hangup_is_ignored() {
        assert!(ignores_hangup("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup("SigIgn:\tnonsense\n") && !ignores_hangup(""));
    }
}
