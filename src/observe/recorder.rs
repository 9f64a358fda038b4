//! The Prometheus recorder: installed once, rendered on demand, upkeep without scrapers.
