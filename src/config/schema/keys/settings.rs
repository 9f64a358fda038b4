//! Keys of `flowgate.toml`, and of the file of an agent.

use super::super::What::{Free, List, Number, Part, Text, Word};
use super::requests::{REQUEST, SOURCE};
use super::{Shape, shape};

/// `flowgate.toml`
pub(in crate::config::schema) const SETTINGS: Shape = shape(
    "settings",
    "Settings of the process",
    &[&[
        ("state", Part("state"), "Where runs, marks and error records are kept"),
        ("server", Part("server"), "Metrics, health, the API and webhooks over HTTP"),
        ("notify", Part("notify"), "Who is told when something goes wrong"),
        ("log", Part("log"), "The log"),
        ("limits", Part("limits"), "Limits of the process"),
        ("shutdown", Part("shutdown"), "The end"),
        ("agents", Free(&Part("known_agent")), "Agents that may come, by name"),
    ]],
    &[],
);

/// The file of an agent.
pub(in crate::config::schema) const AGENT: Shape = shape(
    "agent file",
    "What an agent carries, and where to",
    &[&[
        ("server", Text, "Where `flowgate serve` listens"),
        ("token", SOURCE, "What it proves itself with"),
        ("allow", List(&Text), "Hosts and ports that may be reached"),
        ("ca", SOURCE, "Who vouches for the server"),
    ]],
    &[],
);

/// Tables by their names.
pub(super) const SHAPES: &[Shape] = &[
    shape("state", "Where runs, marks and error records are kept", &[&[("path", Text, "A directory")]], &[]),
    shape(
        "server",
        "Metrics, health, the API and webhooks over HTTP",
        &[&[
            ("listen", Text, "Address and port"),
            ("token", SOURCE, "What callers need"),
            ("hosts", List(&Text), "Further names it is called by"),
            ("public", List(&Word(&["health", "metrics", "webhooks"])), "What needs no token"),
            ("tls", Part("server_tls"), "TLS"),
        ]],
        &[],
    ),
    shape(
        "server_tls",
        "TLS",
        &[&[("certificate", SOURCE, "The certificate"), ("key", SOURCE, "Its key")]],
        &["certificate", "key"],
    ),
    shape(
        "notify",
        "Who is told when something goes wrong",
        &[
            REQUEST,
            &[
                ("connection", Text, "Through this connection"),
                ("on", List(&Word(&["run_failed", "first_error", "offline"])), "Of what"),
            ],
        ],
        &["connection"],
    ),
    shape(
        "log",
        "The log",
        &[&[
            ("format", Word(&["auto", "text", "json"]), "How lines look"),
            ("level", Word(&["error", "warn", "info", "debug", "trace"]), "Which are written"),
        ]],
        &[],
    ),
    shape(
        "limits",
        "Limits of the process",
        &[&[
            ("burst", Number, "Requests at once of a connection without a level"),
            ("max_runs", Number, "Runs at once"),
            ("error_retention", Text, "How long error records are kept"),
            ("history_retention", Text, "How long runs are kept"),
        ]],
        &[],
    ),
    shape("shutdown", "The end", &[&[("timeout", Text, "How long what is in flight may take")]], &[]),
    shape("known_agent", "An agent", &[&[("token", SOURCE, "What it proves itself with")]], &[]),
];
