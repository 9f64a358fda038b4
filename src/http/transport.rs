//! The wire, behind a trait so that tests and simulations can stand in.
