//! Where log lines go: text on a terminal, one JSON object a line otherwise.
