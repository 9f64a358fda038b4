//! Metric and event names, meters, logs. One event = one log line + its metrics.

pub mod event;
pub mod logs;
pub mod meters;
pub mod names;
pub mod recorder;
mod registry;
mod series;
pub mod task;
pub mod traces;
