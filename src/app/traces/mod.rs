//! Traces leave here: where to, asked of the environment by the names OpenTelemetry gives them, and when.
//!
//! Without the feature `otlp` all that is left is to say that this build has none.

#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod settings;

use crate::config::Env;
use crate::observe::traces::Traces;
use crate::value::time::SharedClock;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// The variable that asks for traces, unless others switch them off.
fn asked(env: &dyn Env) -> Option<&'static str> {
    let is_set = |name: &&str| env.var(name).is_some_and(|value| !value.trim().is_empty());
    let is_off = |name: &str, off: &str| env.var(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(off));
    if is_off("OTEL_SDK_DISABLED", "true") || is_off("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    [TRACES_ENDPOINT, ENDPOINT].into_iter().find(is_set)
}

/// Who sends spans.
pub struct Sender {
    /// Where runs begin their traces.
    pub traces: Traces,
    #[cfg(feature = "otlp")]
    exporter: Option<export::Exporter>,
}

#[cfg(feature = "otlp")]
impl Sender {
    /// Starts to send, where the environment says so. What it says wrong is told, and no reason not to run flows.
    pub fn start(env: &dyn Env, clock: &SharedClock) -> Self {
        let found = asked(env).map(|_| settings::Settings::read(env)).transpose();
        let settings = found.unwrap_or_else(|problem| {
            crate::observe::event::traces_off(&problem);
            None
        });
        let exporter = settings.map(|settings| export::Exporter::start(settings, clock.clone()));
        Self { traces: exporter.as_ref().map(export::Exporter::traces).unwrap_or_default(), exporter }
    }

    /// Sends what is left, for a moment.
    pub async fn end(self) {
        if let Some(exporter) = self.exporter {
            exporter.end().await;
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Sender {
    /// Says so where traces are asked for.
    pub fn start(env: &dyn Env, _: &SharedClock) -> Self {
        if let Some(name) = asked(env) {
            crate::observe::event::traces_off(&format!(
                "{name} is set, and this build has no traces: build it with `--features otlp`, or take the variable away"
            ));
        }
        Self { traces: Traces }
    }

    /// Nothing is left.
    pub fn end(self) -> std::future::Ready<()> {
        let Self { traces: _ } = self;
        std::future::ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    struct Vars(HashMap<&'static str, &'static str>);

    impl Env for Vars {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
    }

    #[test]
    fn an_endpoint_asks_for_traces_and_the_usual_switches_take_them_away() {
        let asked = |vars: &[(&'static str, &'static str)]| super::asked(&Vars(vars.iter().copied().collect()));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[(ENDPOINT, " ")]), None);
        assert_eq!(asked(&[(ENDPOINT, "http://c:4318")]), Some(ENDPOINT));
        assert_eq!(asked(&[(ENDPOINT, "http://c:4318"), (TRACES_ENDPOINT, "http://t/x")]), Some(TRACES_ENDPOINT));
        for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(asked(&[(ENDPOINT, "http://c:4318"), off]), None, "{off:?}");
        }
    }

    #[cfg(not(feature = "otlp"))]
    #[tokio::test]
    async fn a_build_without_traces_says_so_where_they_are_asked_for() {
        let clock = crate::value::time::SystemClock::start();
        let said = |vars: &[(&'static str, &'static str)]| {
            let env = Vars(vars.iter().copied().collect());
            crate::observe::logs::tests::captured("info", || drop(Sender::start(&env, &clock)))
        };
        assert_eq!(said(&[]), "");
        let line = said(&[(ENDPOINT, "http://c:4318")]);
        assert!(line.contains("--features otlp") && line.contains(ENDPOINT), "{line}");
        assert!(!line.contains("c:4318"), "an address may hold credentials");
    }
}
