//! flowgate: a declarative flow runner for HTTP integrations.
//!
//! TOML files in git describe *connections* (how to talk to an API) and *flows* (export -> steps -> import).
//! The map of this crate, from text to traffic:
//!
//! - [`config`]: text -> `Snapshot`, every mistake at once; watches the folders
//! - [`model`]: what a valid project means
//! - [`value`]: small checked types: paths, templates, expressions, trees, secrets, time
//! - [`queue`]: who may send next: pools, lines, tickets, permits
//! - [`agent`]: ways into networks that cannot be reached from here
//! - [`http`]: one request, one answer: render, authorise, send, judge, retry
//! - [`runtime`]: flows in motion: supervisor, schedule, runs, paging, imports
//! - [`store`]: what survives a restart, and the owner's socket
//! - [`observe`]: metric and event names, logs
//! - [`server`]: `/metrics`, health, webhooks
//! - [`convert`]: from what others use to our files
//! - [`playground`]: built-in APIs for `demo`, docs and tests
//! - [`cli`]: one file per command; [`app`] composes everything

pub mod agent;
pub mod app;
pub mod cli;
pub mod config;
pub mod convert;
#[cfg(feature = "torture")]
pub mod fuzz;
pub mod http;
pub mod model;
pub mod observe;
pub mod playground;
pub mod queue;
pub mod runtime;
pub mod server;
pub mod store;
pub mod value;
