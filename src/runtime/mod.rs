//! Flows in motion.

pub mod export;
pub mod schedule;
