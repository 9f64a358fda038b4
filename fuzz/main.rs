//! Coverage-guided fuzzing: libFuzzer drives one function of `flowgate::fuzz`, chosen by `FUZZ_TARGET`.
//!
//! `fuzz/run` builds it instrumented and says how to call it.

#![no_main]

use flowgate::config::{Env as _, ProcessEnv};
use flowgate::fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = ProcessEnv.var("FUZZ_TARGET").unwrap_or_default();
    let known = || TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={name:?}; it is one of {}", known())).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (*CHOSEN)(data));
