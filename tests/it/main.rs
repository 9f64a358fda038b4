//! Behaviour of the whole program: the real binary against APIs on loopback that record what hit them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![expect(clippy::float_cmp, reason = "series of counts and flags are whole numbers, exact in a float")]

mod adaptive;
mod agent;
mod api;
mod auth;
mod bad_answers;
mod bad_input;
mod bodies;
mod borrowing;
mod canary;
mod commands;
mod config_hostile;
mod connector;
mod defaults;
mod delta;
mod dry_run;
mod engine;
mod errors;
mod exit_codes;
mod explained;
mod fanout;
mod group_faults;
mod groups;
mod hostile;
mod imports;
mod isolation;

mod level;
mod locks;
mod login;
mod marks;
mod media;
mod metrics;
mod monitoring;
mod notices;
mod offline;
mod once;
mod pace;
mod packaging;
mod paging;
mod permits;
mod ping;
mod preview;
mod proxy;
mod readme;
mod reload;
mod renewal;
mod reports;
mod rotation;
mod rules;
mod runs;
mod sample_projects;
mod schedule;
mod series;
mod serve;
mod shaping;
mod shared_credentials;
mod simulator;
mod state;
mod steering;
mod steps;
mod stopping;
mod storm;
mod support;
mod tls;
mod together;
#[cfg(feature = "otlp")]
mod traces;
mod triggers;
mod unknown_again;
mod volume;
mod webhook;
mod writes;
mod xml;
