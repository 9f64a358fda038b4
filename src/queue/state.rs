//! The pure queue: no clocks, no tasks, no wakers.
