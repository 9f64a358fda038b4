//! Which lines are written: a level word, or directives by module.
//!
//! Libraries below us put headers and addresses into their debug lines; they never get past `info`, whatever is asked.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Filter, Layer};

const OURS: &str = "flowgate";

/// A level that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no log level: use error, warn, info, debug, trace or off, or directives such as `info,flowgate::queue=debug`"
)]
pub struct BadLevel(pub String);

/// The levels in force.
pub struct Levels(EnvFilter);

/// Whether the text names levels.
pub fn check_level(text: &str) -> Result<(), BadLevel> {
    parse(text).map(|_| ())
}

pub(super) fn parse(text: &str) -> Result<Levels, BadLevel> {
    let bad = || BadLevel(text.chars().take(100).collect());
    let text = text.trim();
    if text.is_empty() || text.len() > 4096 {
        return Err(bad());
    }
    // A bare word means our own lines; libraries say warnings only.
    let directives = match text.parse::<LevelFilter>() {
        Ok(LevelFilter::OFF) => "off".to_owned(),
        Ok(level) => format!("{},{OURS}={level}", level.min(LevelFilter::WARN)),
        // A lone word that is no level would be taken for a module's name.
        Err(_) if !text.contains(['=', ',']) => return Err(bad()),
        Err(_) => text.to_owned(),
    };
    EnvFilter::builder().parse(directives).map(Levels).map_err(|_| bad())
}

fn too_talkative(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    !ours && *metadata.level() > tracing::Level::INFO
}

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if too_talkative(metadata) { Interest::never() } else { Layer::<S>::register_callsite(&self.0, metadata) }
    }
    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        !too_talkative(metadata) && self.0.enabled(metadata, context)
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&self.0)
    }
}

/// For one layer only, so that others may see more.
impl<S: Subscriber> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        !too_talkative(metadata) && Filter::<S>::enabled(&self.0, metadata, context)
    }
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if too_talkative(metadata) { Interest::never() } else { Filter::<S>::callsite_enabled(&self.0, metadata) }
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::captured;
    use super::*;

    fn say() {
        tracing::info!("own info");
        tracing::debug!("own debug");
        tracing::info!(target: "hyper", "foreign info");
        tracing::warn!(target: "hyper", "foreign warning");
        tracing::trace!(target: "hyper", "foreign trace with a header");
        tracing::trace!(target: "flowgate_lookalike", "foreign trace");
    }

    fn messages(level: &str) -> Vec<String> {
        let text = captured(level, say);
        let message = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned()
        };
        text.lines().map(message).collect()
    }

    #[test]
    fn a_level_word_is_about_our_own_lines() {
        assert_eq!(messages("info"), ["own info", "foreign warning"]);
        assert_eq!(messages("DEBUG"), ["own info", "own debug", "foreign warning"]);
        assert_eq!(messages("error"), Vec::<String>::new());
        assert_eq!(messages("off"), Vec::<String>::new());
    }

    #[test]
    fn libraries_never_get_past_info() {
        assert_eq!(messages("trace,hyper=trace"), ["own info", "own debug", "foreign info", "foreign warning"]);
    }

    #[test]
    fn directives_choose_modules() {
        assert_eq!(messages("off,flowgate=info"), ["own info"]);
    }

    #[test]
    fn other_words_are_refused_with_the_choice() {
        for bad in ["", "loud", "info,flowgate=loud", "a=b=c"] {
            assert!(check_level(bad).is_err(), "{bad}");
        }
        assert!(check_level("loud").unwrap_err().to_string().contains("use error, warn, info"));
    }
}
