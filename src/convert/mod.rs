//! From what others use to the files of a project.

pub mod curl;
mod toml;
