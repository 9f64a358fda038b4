//! What can happen, said once: each function writes one log line and counts.
