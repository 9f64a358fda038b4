//! `Retry-After` in every form servers send it, never trusted.
