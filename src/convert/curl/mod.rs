//! `init --from-curl`: a curl command line as people find it in the documentation of an API becomes a connection and a
//! flow. Credentials never reach a file: what takes their place is the name of an environment variable.
//!
//! - [`shell`]: the words of a command line as a shell reads them
//! - [`options`]: what curl's options mean
//! - [`secrets`]: what is a credential, and how it is called
//! - [`write`]: the two files

mod options;
mod secrets;
mod shell;
#[cfg(test)]
mod tests;
mod write;

/// The two files, and what to say about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Id of the connection.
    pub connection: String,
    /// Text of its file.
    pub connection_text: String,
    /// Id of the flow.
    pub flow: String,
    /// Text of its file; `{connection}` stands for the connection's id.
    pub flow_text: String,
    /// Environment variables to set, and what each is.
    pub variables: Vec<(String, String)>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Reads a command line. `file` gives the content of files that it names.
pub fn project(line: &str, file: &dyn Fn(&str) -> Result<String, String>) -> Result<Project, String> {
    let words = shell::words(line)?;
    let request = options::read(words, file)?;
    write::project(request)
}

/// Longest command line.
const MAX_LINE: usize = 256 * 1024;
