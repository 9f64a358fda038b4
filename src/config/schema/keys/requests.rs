//! Keys that stand in several places: requests, rules about answers, where values come from.

use super::super::What::{self, Any, Either, Free, List, Number, Part, Text, Word};
use super::{Key, Shape, shape};

pub(super) const MEDIA: What = Word(&["json", "ndjson", "xml", "csv", "form", "multipart", "text"]);

pub(super) const ERRAND_MEDIA: What = Word(&["form", "json", "xml"]);

pub(super) const METHOD: What = Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

pub(super) const UNIT: What = Word(&["s", "ms", "epoch_s", "epoch_ms"]);

pub(super) const TEXTS: What = Either(&[Text, List(&Text)]);

pub(super) const SOURCE: What = Part("source");

pub(super) const CREDENTIAL: What = Either(&[Text, SOURCE]);

pub(super) const STATUS: What = Either(&[Number, Text, List(&Either(&[Number, Text]))]);

pub(super) const ON: What = Either(&[Part("on"), List(&Part("on"))]);

pub(super) const RULE: &[Key] = &[
    ("status", STATUS, "A status, a range such as \"5xx\" or \"400-499\", or several"),
    ("path", Text, "Where in the answer's body"),
    ("values", Any, "Values that count there; any when none are given"),
    ("text", Text, "A part of the body's text"),
    ("when", Text, "A condition over the answer"),
];

pub(super) const REQUEST: &[Key] = &[
    ("method", METHOD, "HTTP method"),
    ("relative_uri", Text, "Template; added to the connection's `base_uri`"),
    ("headers", Free(&Any), "Templates by name; over those of the connection"),
    ("query", Free(&Any), "Templates by name"),
    ("body", Any, "The body: a tree of texts, paths and expressions, or one text"),
    ("timeout", Text, "How long an attempt may take, such as \"30s\""),
    ("media_type", MEDIA, "What the request is written in"),
    ("success_media_type", MEDIA, "What answers are read as"),
    ("error_media_type", MEDIA, "What answers with an error status are read as"),
    ("response", Part("response"), "When an answer counts as success"),
    ("on", ON, "What certain answers mean"),
];

pub(super) const ERRAND: &[Key] = &[("media_type", ERRAND_MEDIA, "What the request is written in")];

pub(super) const TYPES: &[Key] = &[
    ("media_type", MEDIA, "What requests are written in"),
    ("success_media_type", MEDIA, "What answers are read as; `media_type` when it is not given"),
    ("error_media_type", MEDIA, "What answers with an error status are read as"),
];

pub(super) const REFRESH: &[Key] = &[
    ("token_path", Text, "Where the token stands in the answer"),
    ("expires_in_path", Text, "Where its life in seconds stands"),
    ("expires_in", Text, "Its life, when answers do not tell"),
    ("refresh_token", CREDENTIAL, "The first refresh token"),
    ("refresh_token_path", Text, "Where the next one stands"),
    ("rejected", Part("rule"), "Answers that mean that a person has to log in again"),
];

/// Tables by their names.
pub(super) const SHAPES: &[Shape] = &[
    shape(
        "source",
        "Where a value comes from",
        &[&[
            ("env", Text, "Name of an environment variable"),
            ("file", Text, "Path of a file, from the project directory"),
            ("command", List(&Text), "A program with its arguments: what it prints"),
        ]],
        &[],
    ),
    shape(
        "variable",
        "Where a variable's value comes from",
        &[&[
            ("env", Text, "Name of an environment variable"),
            ("file", Text, "Path of a file, from the project directory"),
            ("command", List(&Text), "A program with its arguments: what it prints"),
            ("default", Any, "The value when there is none"),
        ]],
        &[],
    ),
    shape("rule", "Which answers", &[RULE], &[]),
    shape("request", "A request", &[REQUEST], &[]),
    shape(
        "response",
        "When an answer counts as success",
        &[&[
            ("success", Part("rule"), "Only these are"),
            ("failure", Part("rule"), "These are not"),
            ("error_path", Text, "Where the message stands"),
            ("records", Text, "Of an import with batches: where the answers to single records stand"),
            ("id", Text, "Of an import: where the id the destination gave stands"),
        ]],
        &[],
    ),
    shape(
        "on",
        "What certain answers mean",
        &[
            RULE,
            &[
                ("do", Word(&["skip", "stop", "retry", "limited", "fail", "refresh", "success"]), "What they mean"),
                ("wait", Either(&[Text, Part("wait")]), "How long to wait before it is tried again"),
                ("max_attempts", Number, "At most so many attempts"),
                ("message", Text, "What is said of it"),
            ],
        ],
        &["do"],
    ),
    shape(
        "wait",
        "A wait that the answer tells",
        &[&[("header", Text, "In this header"), ("unit", UNIT, "As what"), ("min", Text, "At least so long")]],
        &["header"],
    ),
    shape("refresh", "How a token is renewed", &[REQUEST, REFRESH, ERRAND], &["relative_uri"]),
];
