//! Keys of `flows/<id>.toml`.
// size: one line a key.

use super::super::What::{self, Any, Bool, Either, Free, Ids, List, Number, Part, Text, Word};
use super::requests::{MEDIA, REQUEST, SOURCE, STATUS, TEXTS};
use super::{Key, Shape, shape};

pub(super) const ON_ERROR: What = Word(&["stop", "proceed"]);

pub(super) const MAKE_UP: What = Word(&["none", "one", "all"]);

const ASKED: &[Key] = &[("connection", Text, "Id of the connection it asks")];

pub(super) const READING: &[Key] = &[
    ("records", Text, "Where the records stand in an answer; the body itself when it is not given"),
    ("records_optional", Bool, "An answer without them is an empty page, not an error"),
    ("decode", Either(&[Text, List(&Text)]), "Layers around the records: gzip, zip, base64, then a media type"),
    ("keep", Text, "Condition over `record`: others are filtered"),
    ("limit", Number, "At most so many records"),
    ("paging", Either(&[Word(&["none"]), Part("paging")]), "How to get from page to page"),
    ("transform", Part("transform"), "What becomes of each record first"),
    ("group_by", TEXTS, "Paths: records that have them in common become one"),
    ("job", Part("job"), "A report that is ordered, waited for and fetched"),
];

pub(super) const OWNED: &[Key] = &[
    ("trace_key", Text, "Template: the same whenever the record is exported again"),
    ("link", Text, "Template: where people find the record"),
    ("once", Part("request"), "Tells the source of each record that was delivered"),
    ("delta", Either(&[Word(&["none"]), Part("delta")]), "Only what changed since the last run"),
];

const NAME: &[Key] = &[("name", Text, "Its name among several")];

pub(super) const NAMED: &[Key] = &[
    ("many", Text, "Path: each of these is written by itself"),
    ("name", Text, "What its error records name"),
    ("when", Text, "Condition: others are skipped"),
    ("on_error", ON_ERROR, "What an error means for the record"),
];

pub(super) const WRITING: &[Key] = &[
    ("connection", Text, "Id of the connection it writes to"),
    ("batch_size", Number, "So many records in one request"),
    ("wrap", Text, "A name around them"),
    ("drop_empty", Bool, "What is empty is left out"),
    ("on_reject", Word(&["bisect"]), "A batch that is refused whole is divided until those at fault stand alone"),
    ("merge", Any, "Members of the record, from the answer"),
    ("lock_key", Text, "Template: two records of one key are never in flight together"),
    ("idempotency_key", Text, "Template: sent with each request, the same when it is sent again"),
    ("idempotency_header", Text, "In this header"),
    ("unknown_outcome", Word(&["retry", "park", "check"]), "What is done when nobody knows whether it arrived"),
    ("check", Part("check"), "Asks whether it arrived"),
    ("upsert", Part("upsert"), "What is there already is updated"),
];

/// `flows/<id>.toml`
pub(in crate::config::schema) const FLOW: Shape = shape(
    "flow",
    "What moves from where to where",
    &[&[
        ("title", Text, "What people call it"),
        ("enabled", Bool, "false: it starts no runs"),
        ("weight", Number, "Its share where `order = \"fair\"`"),
        ("formerly", Ids, "Former ids: marks, errors and history come along"),
        ("run_after", Ids, "Flows after whose end it runs"),
        ("missing", Word(&["error", "empty"]), "What a missing value is"),
        ("durability", Word(&["full", "checkpoint"]), "What of a page is stored before it is worked on"),
        ("max_errors", Number, "A run with so many error records stops"),
        ("vars", Free(&Either(&[Any, Part("variable")])), "Values for templates"),
        ("schedule", Either(&[Text, Part("schedule")]), "When it runs"),
        ("webhook", Part("webhook"), "Records come by themselves"),
        ("export", Either(&[Part("export"), List(&Part("export"))]), "Where records come from"),
        ("step", List(&Part("step")), "What happens to records on the way"),
        ("tables", Free(&Part("rows")), "Values that are looked up"),
        ("import", Part("import"), "Where records go"),
    ]],
    &[],
);

/// Tables by their names.
pub(super) const SHAPES: &[Shape] = &[
    shape(
        "paging",
        "How to get from page to page",
        &[&[
            ("page", Part("counted"), "By page number"),
            ("skip", Part("counted"), "By how many records to skip"),
            ("token", Part("cursor"), "By a token in each answer"),
            ("next_url", Part("next_url"), "By a URL in each answer"),
            ("link_header", Part("link_header"), "By the `Link` header"),
            ("next", Part("next"), "What is another request from page 2 on"),
            ("stop", Part("rule"), "A page like this is the last"),
            ("stop_status", STATUS, "A page with this status comes after the last"),
            ("stop_when", Text, "Condition: a page like this is the last"),
            ("total_path", Text, "Where the number of records stands"),
            ("pages_path", Text, "Where the number of pages stands"),
            ("short_page", Word(&["stop"]), "A page with fewer records than asked for is the last"),
            ("max_pages", Number, "More pages than this are an error"),
        ]],
        &[],
    ),
    shape(
        "counted",
        "A number that grows",
        &[&[
            ("param", Text, "Name of the parameter"),
            ("in", Word(&["query", "body", "header"]), "Where it stands"),
            ("start", Number, "Its first value"),
            ("first", Bool, "Whether the first request has it"),
            ("size", Number, "Records of a page"),
            ("size_param", Text, "Name of the parameter that says so"),
        ]],
        &[],
    ),
    shape(
        "cursor",
        "A token that leads on",
        &[&[
            ("path", Text, "Where it stands in the body"),
            ("header", Text, "Or in which header"),
            ("from", Text, "Or the expression that makes it"),
            ("param", Text, "Name of the parameter"),
            ("in", Word(&["query", "body", "header"]), "Where it stands"),
            ("first", Bool, "Whether the first request has it, empty"),
            ("size", Number, "Records of a page"),
            ("size_param", Text, "Name of the parameter that says so"),
        ]],
        &[],
    ),
    shape("next_url", "A URL that leads on", &[&[("path", Text, "Where it stands in the body")]], &["path"]),
    shape("link_header", "The `Link` header", &[&[("rel", Text, "Its relation; \"next\" when it is not given")]], &[]),
    shape(
        "next",
        "What is another request from page 2 on",
        &[&[
            ("relative_uri", Text, "Its URI"),
            ("body", Any, "Its body"),
            ("records", Text, "Where its records stand"),
        ]],
        &[],
    ),
    shape(
        "delta",
        "Only what changed since the last run",
        &[&[
            ("field", Text, "Path of the record's time of change"),
            ("read", Any, "How records write it"),
            ("format", Any, "How requests write times"),
            ("start", Any, "Where the first run begins"),
            ("end", Any, "Where runs end; now when it is not given"),
            ("lookback", Text, "So much of what was read is read again"),
            ("lag", Text, "So much of the newest is left for the next run"),
            ("step", Text, "Windows of this length, one after another"),
            ("granularity", Text, "What lies between the end of a window and the next one's beginning"),
            ("filter", Word(&["client"]), "The API cannot filter: what is old is dropped here"),
            ("stop_at_old", Bool, "Newest first: reading ends at the first old record"),
            ("scope", Word(&["value", "flow"]), "With `each`: a mark for each value, or one"),
        ]],
        &[],
    ),
    shape(
        "each",
        "Something the export is read once for",
        &[
            REQUEST,
            ASKED,
            READING,
            OWNED,
            NAME,
            &[
                ("values", Any, "A list, or an expression that gives one"),
                ("key", Text, "Path of its key in a record"),
                ("batch", Number, "So many at once"),
            ],
        ],
        &["name"],
    ),
    shape(
        "job",
        "A report that is ordered, waited for and fetched",
        &[&[
            ("create", Part("request"), "Orders it"),
            ("poll", Part("request"), "Asks how far it is"),
            ("status", Text, "Where the answer tells"),
            ("done", TEXTS, "Words that mean it is there"),
            ("failed", TEXTS, "Words that mean it never will be"),
            ("every", Text, "How often to ask"),
            ("timeout", Text, "How long at most"),
            ("download", Part("download"), "Fetches it"),
        ]],
        &["create", "poll", "status", "done"],
    ),
    shape(
        "download",
        "Fetches a report",
        &[
            REQUEST,
            &[
                ("uri", Text, "Where it lies, when that is another origin"),
                ("auth", Word(&["none"]), "Without the connection's credentials"),
                ("decode", Either(&[Text, List(&Text)]), "Layers around the records"),
            ],
        ],
        &[],
    ),
    shape(
        "export",
        "Where records come from",
        &[
            REQUEST,
            ASKED,
            READING,
            OWNED,
            NAME,
            &[("each", Either(&[Part("each"), List(&Part("each"))]), "Read it once for each of these")],
        ],
        &["connection"],
    ),
    shape(
        "lookup",
        "Asks, and goes on with what came back",
        &[
            REQUEST,
            ASKED,
            READING,
            &[
                ("merge", Any, "Members of the record, from the answer"),
                ("cache", Part("cache"), "Answers that are kept"),
                ("link", Text, "Taken, but shown nowhere by itself"),
            ],
        ],
        &["connection"],
    ),
    shape(
        "cache",
        "Answers that are kept",
        &[&[("ttl", Text, "How long one holds"), ("size", Number, "How many are kept")]],
        &["ttl"],
    ),
    shape(
        "transform",
        "What becomes of a record",
        &[&[
            ("create", Any, "A new record: only what is named"),
            ("modify", Part("modify"), "The record itself: all but what is named"),
        ]],
        &[],
    ),
    shape(
        "modify",
        "Changes of a record, in this order",
        &[&[
            ("lift", TEXTS, "Objects whose members move to the top"),
            ("flatten", Either(&[Bool, Text, Part("flatten")]), "Nested members get joined names"),
            (
                "rename_case",
                Word(&["snake", "camel", "pascal", "kebab", "upper_snake", "lower", "upper"]),
                "How all names are written",
            ),
            ("rename", Free(&Text), "Old paths and new names"),
            ("drop", TEXTS, "Paths that go"),
            ("set", Any, "Members that are set"),
        ]],
        &[],
    ),
    shape("flatten", "How names are joined", &[&[("separator", Text, "What stands between")]], &["separator"]),
    shape(
        "step",
        "What happens to a record between export and import",
        &[&[
            ("name", Text, "Its name; its position when it is not given"),
            ("when", Text, "Condition: others skip it"),
            ("on_error", ON_ERROR, "What an error means for the record"),
            ("many", Text, "Path: it works on each of these"),
            ("transform", Part("transform"), "What becomes of the record"),
            ("keep", Text, "Condition: others are filtered"),
            ("lookup", Part("lookup"), "Asks, and goes on with what came back"),
            ("import", Part("step_import"), "Writes on the way"),
            ("route", Word(&["first", "all"]), "Each `[[step.branch]]` is for some records"),
            ("branch", List(&Part("branch")), "A way for some records"),
        ]],
        &[],
    ),
    shape(
        "branch",
        "A way for some records",
        &[&[
            ("name", Text, "Its name; its position when it is not given"),
            ("when", Text, "Condition; always when it is not given"),
            ("end", Bool, "They go no further than this branch"),
            ("step", List(&Part("step")), "Its steps"),
        ]],
        &[],
    ),
    shape("import", "Where records go", &[REQUEST, WRITING, NAMED], &["connection"]),
    shape("step_import", "Writes on the way", &[REQUEST, WRITING, NAMED], &["connection"]),
    shape(
        "check",
        "Asks whether a record arrived",
        &[
            REQUEST,
            &[
                ("connection", Text, "Id of the connection; that of the import when it is not given"),
                ("records", Text, "Where in the answer it would stand"),
            ],
        ],
        &[],
    ),
    shape(
        "upsert",
        "What is there already is updated",
        &[&[
            ("exists", Any, "Path or expression: not empty = it is there"),
            ("update", Part("update"), "The request that updates it"),
        ]],
        &["exists", "update"],
    ),
    shape(
        "update",
        "Updates what is there",
        &[REQUEST, &[("connection", Text, "Not allowed: that of the import")]],
        &[],
    ),
    shape(
        "schedule",
        "When it runs",
        &[&[
            ("cron", Text, "Five or six fields"),
            ("timezone", Text, "Such as \"Europe/Berlin\"; UTC when it is not given"),
            ("overlap", Word(&["skip", "queue"]), "What happens while it still runs"),
            ("missed", Either(&[MAKE_UP, Part("missed")]), "What becomes of missed instants"),
        ]],
        &["cron"],
    ),
    shape(
        "missed",
        "What becomes of missed instants",
        &[&[
            ("run", MAKE_UP, "How many are made up for"),
            ("window", Text, "Older ones are let go"),
            ("jitter", Text, "They begin within this time"),
            ("max", Number, "At most so many"),
        ]],
        &[],
    ),
    shape(
        "webhook",
        "Records come by themselves",
        &[&[
            ("path", Text, "Below /hooks/"),
            ("verify", Either(&[Word(&["none"]), Part("verify")]), "How callers prove who they are"),
            ("id", Either(&[Text, Part("hook_id")]), "What calls are known again by"),
            ("id_window", Text, "For how long"),
            ("max_body", Text, "Such as \"1MiB\""),
            ("max_waiting", Number, "More calls than this are turned away"),
            ("media_type", MEDIA, "What calls are read as"),
            ("records", Text, "Where the records stand"),
            ("records_optional", Bool, "A call without them is empty, not an error"),
            ("response", Part("reply"), "What callers are answered"),
            ("keep", Text, "Condition over `record`: others are filtered"),
            ("trace_key", Text, "Template: the same whenever the record comes again"),
            ("link", Text, "Template: where people find the record"),
            ("transform", Part("transform"), "What becomes of each record first"),
        ]],
        &["path", "verify"],
    ),
    shape("hook_id", "What calls are known again by", &[&[("header", Text, "In this header")]], &["header"]),
    shape(
        "reply",
        "What callers are answered",
        &[&[("status", Number, "200 to 299"), ("body", Any, "A text, or a tree")]],
        &[],
    ),
    shape(
        "verify",
        "How callers prove who they are",
        &[&[
            ("hmac", Part("hook_hmac"), "A signature of the call"),
            ("token", Part("hook_token"), "A token"),
            ("basic", Part("hook_basic"), "A name and a password"),
        ]],
        &[],
    ),
    shape(
        "hook_hmac",
        "A signature of the call",
        &[&[
            ("secret", Either(&[SOURCE, List(&SOURCE)]), "The key, or several while they change"),
            ("secret_encoding", Word(&["text", "base64", "hex"]), "How it is written"),
            ("header", Text, "Where the signature stands"),
            ("algorithm", Word(&["sha1", "sha256", "sha512"]), "Which"),
            ("encoding", Word(&["hex", "base64"]), "How it is written"),
            ("prefix", Text, "What stands before it"),
            ("part", Text, "Its name among several in the header"),
            ("timestamp", Part("hook_time"), "When it was signed"),
            ("tolerance", Text, "How old it may be"),
            ("signed", Any, "What is signed, when that is more than the body"),
        ]],
        &["secret"],
    ),
    shape(
        "hook_time",
        "When a call was signed",
        &[&[
            ("header", Text, "In this header"),
            ("part", Text, "Or this part of the signature's header"),
            ("format", Word(&["epoch_s", "epoch_ms", "rfc3339"]), "As what"),
        ]],
        &[],
    ),
    shape(
        "hook_token",
        "A token",
        &[&[
            ("token", Either(&[SOURCE, List(&SOURCE)]), "The token, or several while they change"),
            ("location", Word(&["header", "query"]), "Where it stands"),
            ("name", Text, "Name of the header or parameter"),
            ("scheme", Text, "What stands before it"),
        ]],
        &["token"],
    ),
    shape(
        "hook_basic",
        "A name and a password",
        &[&[("username", Text, "The name"), ("password", SOURCE, "The password")]],
        &["username", "password"],
    ),
    shape(
        "rows",
        "Values that are looked up",
        &[&[
            ("map", Free(&Any), "Rows, written here"),
            ("file", Text, "Or in a CSV file, from the project directory"),
            ("key", Either(&[Text, Number]), "Its column of keys"),
            ("value", Either(&[Text, Number]), "Its column of values"),
            ("delimiter", Text, "What stands between columns"),
            ("default", Any, "What holds for all others"),
        ]],
        &[],
    ),
];
