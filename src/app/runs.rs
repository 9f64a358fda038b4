//! What commands may know of runs and requests: names from below, so that `cli` stands on `app` alone.

pub use crate::http::request::Prepared;
pub use crate::runtime::run::report::{Ending, Progress, RecordError, Report, RunError};
pub use crate::runtime::run::state::Counts;
pub use crate::runtime::scope::Output;
pub use crate::runtime::supervisor::{Options, Refused, Started, Supervisor};
