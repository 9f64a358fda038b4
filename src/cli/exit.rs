//! What the exit codes mean. Scripts rely on them: a code never changes its meaning.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The question was answered "no": a run ended with open errors.
    No = 1,
    /// `plan --detailed-exitcode` found changes; nothing else ends with it.
    Changes = 2,
    /// The command line is wrong.
    Usage = 64,
    /// Input other than configuration is wrong.
    Input = 65,
    /// Something needed cannot be reached: an API, a running `serve`.
    Unavailable = 69,
    /// A fault inside flowgate.
    Internal = 70,
    /// Trying again later may help: a drain cut short.
    Temporary = 75,
    /// Credentials are missing or were refused.
    Auth = 77,
    /// Configuration is wrong.
    Config = 78,
    /// SIGINT
    Interrupted = 130,
    /// SIGTERM
    Terminated = 143,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, where nothing else was said.
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::No => "the answer is no",
            Self::Changes => "there are changes",
            Self::Usage => "the command line is wrong",
            Self::Input => "the input is wrong",
            Self::Unavailable => "something needed cannot be reached",
            Self::Internal => "a fault inside flowgate",
            Self::Temporary => "cut short; trying again later may help",
            Self::Auth => "credentials are missing or were refused",
            Self::Config => "the configuration is wrong",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_published_ones() {
        let table = [
            (Exit::Done, 0),
            (Exit::No, 1),
            (Exit::Changes, 2),
            (Exit::Usage, 64),
            (Exit::Input, 65),
            (Exit::Unavailable, 69),
            (Exit::Internal, 70),
            (Exit::Temporary, 75),
            (Exit::Auth, 77),
            (Exit::Config, 78),
            (Exit::Interrupted, 130),
            (Exit::Terminated, 143),
        ];
        for (exit, code) in table {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
