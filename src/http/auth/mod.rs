//! How a request proves who sends it: one file per method.

/// `[auth.<method>]`
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// No `auth` table.
    #[default]
    None,
    /// `[auth.basic]`
    Basic(Basic),
    /// `[auth.token]`
    Token(Token),
}

/// `[auth.basic]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Basic {
    /// Template over the connection.
    pub username: crate::value::template::Template,
    /// Template over the connection; may be empty.
    pub password: crate::value::template::Template,
}

/// `location`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Location {
    /// A request header.
    #[default]
    Header,
    /// The query string.
    Query,
    /// A top-level field of the body.
    Body,
}

/// `[auth.token]`
#[derive(Debug, Clone)]
pub struct Token {
    /// Template over the connection.
    pub token: crate::value::template::Template,
    /// Where it goes.
    pub location: Location,
    /// Header, query or body field name.
    pub name: String,
    /// Before the token in a header; empty sends it bare.
    pub scheme: String,
}
