//! Small checked types that every layer shares. They know nothing of files, queues or HTTP.
//!
//! A configuration text becomes one of these once, at load; at run time they only evaluate.

pub mod context;
pub mod document;
pub mod expression;
pub(in crate::value) mod function;
pub mod id;
pub mod issue;
pub mod json;
pub mod modify;
pub mod path;
pub mod pki;
pub mod record;
pub mod rule;
pub mod secret;
pub mod sigv4;
pub mod table;
pub mod target;
pub mod template;
pub mod time;
pub mod token;
pub mod tree;
pub mod uri;
pub mod xml;
