//! Exit codes: what a script can rely on.

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The question was answered "no": a run ended with open errors, nothing was exactly once.
    No,
    /// The command line is wrong.
    Usage,
    /// Input data is wrong.
    Input,
    /// Something that is needed cannot be reached.
    Unavailable,
    /// A fault inside flowgate.
    Internal,
    /// Try again later.
    Temporary,
    /// Credentials are missing or refused.
    Auth,
    /// The configuration has errors.
    Config,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Input => 65,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Temporary => 75,
            Self::Auth => 77,
            Self::Config => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}
