//! Who may send next. A pool is a connection with its own level plus the connections that borrow from it; each
//! connection has one line; among lines that may send, the oldest ticket goes first.
//!
//! `state` decides (pure), `handle` waits, `permit` gives back, `limits` is what configuration says, `view` what
//! `status` shows.

mod handle;
pub mod limits;
mod permit;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use handle::{KeepOpen, Queue, QueueClosed};
pub use permit::Permit;
pub use view::{AllowanceView, Block, FlowShare, HolderView, LineView, PoolDetail, PoolView, TicketView};
