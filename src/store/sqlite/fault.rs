//! What can go wrong on disk, and what that means for what was under way.

use crate::store::api::StoreError;
use rusqlite::ErrorCode;
use std::io;

/// Why something on disk did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The database said no.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// A file of page bodies said no.
    #[error("{doing}: {source}")]
    File {
        /// What was tried, on what.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A row or a body is not what was written.
    #[error("{0}")]
    Damaged(String),
}

impl Fault {
    pub fn file(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::File { doing, source }
    }

    /// Whether the connection can be used further: a full disk only turns a transaction away, while after anything
    /// else (a failed fsync above all) what the system holds in memory says nothing about what is on disk.
    pub fn spares_the_connection(&self) -> bool {
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => {
                matches!(error.code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            }
            Self::Database(_) => false,
            Self::File { .. } | Self::Damaged(_) => true,
        }
    }

    /// Whether an opening that failed so failed because of what is in the file, and not because of the system.
    pub fn spoils(&self) -> bool {
        use ErrorCode as Code;
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => !matches!(
                error.code,
                Code::CannotOpen
                    | Code::SystemIoFailure
                    | Code::DiskFull
                    | Code::DatabaseBusy
                    | Code::DatabaseLocked
                    | Code::FileLockingProtocolFailed
                    | Code::PermissionDenied
                    | Code::ReadOnly
                    | Code::OutOfMemory
                    | Code::NoLargeFileSupport
            ),
            Self::Database(_) | Self::Damaged(_) => true,
            Self::File { .. } => false,
        }
    }

    /// Whether the file is not a sound database any more.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => {
                matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }
            _ => false,
        }
    }
}

/// For readers, who do not try again.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(text) => Self::Damaged(text),
            fault if fault.is_corruption() => Self::Damaged(fault.to_string()),
            other => Self::Unreadable(other.to_string()),
        }
    }
}
