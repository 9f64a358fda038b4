//! Flows in motion: the supervisor starts runs, a run reads pages and writes records, every request through its
//! connection's queue. Works on snapshots only; never sees configuration text.

pub mod engine;
pub mod export;
pub mod happening;
mod history;
pub mod import;
pub mod past;
pub mod run;
pub mod schedule;
pub mod scope;
pub mod stage;
pub mod step;
pub mod supervisor;
pub mod view;
pub mod walk;
pub mod webhook;
