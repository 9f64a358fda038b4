//! What a valid project means. Produced by `config`, read by `runtime`; nothing here is checked twice.

pub mod agent;
pub mod connection;
pub mod delta;
pub mod export;
pub mod flow;
pub mod import;
pub mod notify;
pub mod report;
pub mod schedule;
pub mod settings;
pub mod snapshot;
pub mod step;
pub mod webhook;
