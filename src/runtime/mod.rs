//! Flows in motion.

pub mod export;
