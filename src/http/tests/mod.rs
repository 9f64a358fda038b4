//! Behaviour of the whole layer: scripted wires under a paused clock, and hostile servers on real sockets.

mod auth;
mod carried;
mod limits;
mod made;
mod renewal;
mod requests;
mod retries;
mod rules;
mod seed;
mod signing;
mod verdicts;
mod wire;
