//! Every metric this program knows: name, kind, unit, labels, help. Drives registration and docs/METRICS.md.
