//! What survives a restart, and who owns it: the state directory, its one owner, the owner's socket, and the store
//! of runs, errors and values.

mod api;
mod batch;
#[cfg(test)]
mod conformance;
mod figures;
mod memory;
mod rows;
mod rules;
pub mod socket;
mod sqlite;
mod state_dir;
mod tables;

pub use api::{Damage, ErrorFilter, Health, Pending, RunFilter, Store, StoreError, Usage};
pub use batch::{PageWrite, Pruned, Receipt, Refusal, Write};
pub use memory::MemoryStore;
pub use rows::{
    ErrorRow, ErrorState, FlowTally, IntentRow, Mark, Marks, PageRow, Phase, RunKind, RunRow, Space, StepTally, Tally,
    waypoint_key,
};
pub use sqlite::{
    Checked, OpenError, TransferError, check_state, export_state, import_state, open, open_read_only, repair_state,
};
pub use state_dir::{Owner, StateDir, StateError};
