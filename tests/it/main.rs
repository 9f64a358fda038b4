//! Behaviour of the whole program: the real binary against APIs on loopback that record what hit them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod bad_answers;
mod borrowing;
mod exit_codes;
mod level;
mod pace;
mod reload;
mod sample_projects;
mod schedule;
mod support;
