//! Who may send next. A pool is a connection with its own level plus the connections that borrow from it; each
//! connection has one line; among lines that may send, the oldest ticket goes first.
//!
//! `state` decides (pure), `permit` gives back, `limits` is what configuration says.

mod handle;
pub mod limits;
mod permit;
mod state;

pub use handle::{LineView, PoolView, Queue, QueueClosed};
pub use permit::Permit;
