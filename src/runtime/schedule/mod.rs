//! Which flows are due: one heap of instants for all schedules, pure and without a clock of its own.
//!
//! - [`heap`]: all schedules, what is due now, when to ask again
//! - [`look`]: one flow looked at: what of its unhandled occurrences is handed out, passed over or kept for later
//! - [`walk`]: over a schedule's occurrences without stepping through each of them
//! - [`stagger`]: spreads the starts of flows that catch up
//! - [`wake`]: what the heap is told and what it answers
//! - `simulation` (feature `torture`): weeks of it in seconds, against an oracle
//! - [`mark`]: what is remembered of a flow over restarts
//!
//! The owner asks [`Heap::due`] whenever it wakes, sleeps until [`Heap::next_wake`], tells [`Heap::ended`] of runs that
//! ended, and keeps marks: [`Due::mark`] in the same durable step as the run's begin, [`Heap::marks_to_save`] soon.
//! What to do with a due flow that is running (skip it, keep it for later) is the supervisor's decision.
//!
//! An occurrence has an identity, flow and instant, and is handed out at most once, whatever the wall clock does.

mod heap;
mod look;
mod mark;
mod stagger;
mod wake;
mod walk;

#[cfg(any(test, feature = "torture"))]
pub mod simulation;

#[cfg(test)]
mod tests;

pub use heap::Heap;
pub use look::TOLERANCE;
pub use mark::{AHEAD, Mark, NoMark};
pub use stagger::PER_SECOND;
pub use wake::{Distrusted, Due, Passed, Planned, Wake};
