//! What survives a restart, and who owns it: the state directory, its one owner, the owner's socket.
//!
//! Runs and marks are not stored yet.

pub mod socket;
mod state_dir;

pub use state_dir::{Owner, StateDir, StateError};
