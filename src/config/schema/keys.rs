//! Every key of every kind of file: its name, what it takes, and what it is for. Tests hold this table against what the
//! decoder asks for, both ways.
// size: one line a key.

use super::What::{self, Any, Bool, Either, Free, Ids, List, Number, Part, Text, Word};

/// A key.
pub(super) type Key = (&'static str, What, &'static str);

/// A table with a name, made of groups of keys; a later one of a name stands for an earlier one.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) groups: &'static [&'static [Key]],
    /// Keys without which it is never valid.
    pub(super) needs: &'static [&'static str],
}

const fn shape(
    name: &'static str,
    about: &'static str,
    groups: &'static [&'static [Key]],
    needs: &'static [&'static str],
) -> Shape {
    Shape { name, about, groups, needs }
}

const MEDIA: What = Word(&["json", "ndjson", "xml", "csv", "form", "multipart", "text"]);
const ERRAND_MEDIA: What = Word(&["form", "json", "xml"]);
const METHOD: What = Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
const UNIT: What = Word(&["s", "ms", "epoch_s", "epoch_ms"]);
const TEXTS: What = Either(&[Text, List(&Text)]);
const SOURCE: What = Part("source");
const CREDENTIAL: What = Either(&[Text, SOURCE]);
const STATUS: What = Either(&[Number, Text, List(&Either(&[Number, Text]))]);
const ON: What = Either(&[Part("on"), List(&Part("on"))]);
const ON_ERROR: What = Word(&["stop", "proceed"]);
const MAKE_UP: What = Word(&["none", "one", "all"]);

const TYPES: &[Key] = &[
    ("media_type", MEDIA, "What requests are written in"),
    ("success_media_type", MEDIA, "What answers are read as; `media_type` when it is not given"),
    ("error_media_type", MEDIA, "What answers with an error status are read as"),
];

const REQUEST: &[Key] = &[
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

const RULE: &[Key] = &[
    ("status", STATUS, "A status, a range such as \"5xx\" or \"400-499\", or several"),
    ("path", Text, "Where in the answer's body"),
    ("values", Any, "Values that count there; any when none are given"),
    ("text", Text, "A part of the body's text"),
    ("when", Text, "A condition over the answer"),
];

const REFRESH: &[Key] = &[
    ("token_path", Text, "Where the token stands in the answer"),
    ("expires_in_path", Text, "Where its life in seconds stands"),
    ("expires_in", Text, "Its life, when answers do not tell"),
    ("refresh_token", CREDENTIAL, "The first refresh token"),
    ("refresh_token_path", Text, "Where the next one stands"),
    ("rejected", Part("rule"), "Answers that mean that a person has to log in again"),
];

const ERRAND: &[Key] = &[("media_type", ERRAND_MEDIA, "What the request is written in")];

const READING: &[Key] = &[
    ("connection", Text, "Id of the connection it asks"),
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

const OWNED: &[Key] = &[
    ("name", Text, "Its name among several"),
    ("trace_key", Text, "Template: the same whenever the record is exported again"),
    ("link", Text, "Template: where people find the record"),
    ("once", Part("request"), "Tells the source of each record that was delivered"),
    ("delta", Either(&[Word(&["none"]), Part("delta")]), "Only what changed since the last run"),
];

/// The parts that more than one place uses, and each table by its name.
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
            READING,
            OWNED,
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
            READING,
            OWNED,
            &[("each", Either(&[Part("each"), List(&Part("each"))]), "Read it once for each of these")],
        ],
        &["connection"],
    ),
    shape(
        "lookup",
        "Asks, and goes on with what came back",
        &[
            REQUEST,
            READING,
            &[
                ("merge", Any, "Members of the record, from the answer"),
                ("cache", Part("cache"), "Answers that are kept"),
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
    shape(
        "auth",
        "How requests are authorised: one of these",
        &[&[
            ("basic", Part("basic"), "A name and a password"),
            ("digest", Part("basic"), "The same, by challenge"),
            ("token", Part("token"), "A token"),
            ("oauth2", Part("oauth2"), "OAuth 2"),
            ("oauth1", Part("oauth1"), "OAuth 1"),
            ("jwt", Part("jwt"), "A signed token of our own"),
            ("aws_sigv4", Part("aws_sigv4"), "AWS Signature Version 4"),
            ("wsse", Part("wsse"), "WS-Security UsernameToken"),
            ("cookie", Part("cookie"), "A session by login"),
            ("custom", Part("custom"), "Headers, query and body of one's own"),
        ]],
        &[],
    ),
    shape(
        "basic",
        "A name and a password",
        &[&[("username", CREDENTIAL, "The name"), ("password", CREDENTIAL, "The password")]],
        &["username", "password"],
    ),
    shape(
        "token",
        "A token",
        &[&[
            ("token", CREDENTIAL, "The token"),
            ("location", Word(&["header", "query", "body"]), "Where it stands"),
            ("name", Text, "Name of the header or parameter"),
            ("scheme", Text, "What stands before it"),
            ("refresh", Part("refresh"), "How it is renewed"),
        ]],
        &[],
    ),
    shape(
        "oauth2",
        "OAuth 2",
        &[
            REQUEST,
            REFRESH,
            ERRAND,
            &[
                (
                    "grant",
                    Word(&["client_credentials", "password", "refresh_token", "authorization_code"]),
                    "How tokens are had",
                ),
                ("token_uri", Text, "Where"),
                ("authorize_uri", Text, "Where a person logs in"),
                ("client_id", CREDENTIAL, "Who asks"),
                ("client_secret", CREDENTIAL, "The secret of that"),
                ("username", CREDENTIAL, "Of the password grant"),
                ("password", CREDENTIAL, "Of the password grant"),
                ("scopes", List(&Text), "What is asked for"),
                ("scope_delimiter", Text, "What stands between them"),
                ("credentials_in", Word(&["header", "body"]), "Where client id and secret stand"),
                ("names", Free(&Text), "Other names of parameters"),
                ("extra", Free(&Any), "Further parameters"),
            ],
        ],
        &["grant", "client_id"],
    ),
    shape(
        "oauth1",
        "OAuth 1",
        &[&[
            ("consumer_key", CREDENTIAL, "Who asks"),
            ("consumer_secret", CREDENTIAL, "The secret of that"),
            ("token", CREDENTIAL, "For whom"),
            ("token_secret", CREDENTIAL, "The secret of that"),
            (
                "signature_method",
                Word(&["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "RSA-SHA512", "PLAINTEXT"]),
                "How it is signed",
            ),
            ("private_key", CREDENTIAL, "The key of RSA methods"),
            ("passphrase", CREDENTIAL, "What opens it"),
            ("realm", Text, "Realm"),
        ]],
        &[],
    ),
    shape(
        "jwt",
        "A signed token of our own",
        &[&[
            (
                "algorithm",
                Word(&[
                    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
                ]),
                "How it is signed",
            ),
            ("key", CREDENTIAL, "The key"),
            ("passphrase", CREDENTIAL, "What opens it"),
            ("claims", Any, "What it says"),
            ("headers", Any, "Its header"),
            ("ttl", Text, "How long it holds"),
            ("as", Word(&["bearer", "assertion"]), "Sent itself, or in place of a token"),
            ("refresh", Part("refresh"), "Where an assertion is exchanged"),
        ]],
        &["algorithm"],
    ),
    shape(
        "aws_sigv4",
        "AWS Signature Version 4",
        &[&[
            ("access_key", CREDENTIAL, "Who asks"),
            ("secret_key", CREDENTIAL, "The secret of that"),
            ("session_token", CREDENTIAL, "Of temporary credentials"),
            ("region", Text, "Region"),
            ("service", Text, "Service"),
        ]],
        &[],
    ),
    shape(
        "wsse",
        "WS-Security UsernameToken",
        &[&[
            ("username", CREDENTIAL, "The name"),
            ("password", CREDENTIAL, "The password"),
            ("header", Text, "Name of the header"),
            ("digest", Word(&["sha1", "sha256"]), "How the password is hidden"),
            ("digest_encoding", Word(&["base64", "hex_base64"]), "How that is written"),
            ("nonce_encoding", Word(&["base64", "hex"]), "How the nonce is written"),
        ]],
        &[],
    ),
    shape("cookie", "A session by login", &[&[("login", Part("login"), "The request that logs in")]], &["login"]),
    shape(
        "login",
        "The request that logs in",
        &[REQUEST, ERRAND, &[("success_status", STATUS, "What it is answered with")]],
        &["relative_uri"],
    ),
    shape(
        "custom",
        "Headers, query and body of one's own",
        &[&[
            ("headers", Free(&Any), "Templates by name"),
            ("query", Free(&Any), "Templates by name"),
            ("body", Any, "Members of bodies"),
            ("refresh", Part("refresh"), "How the token in them is renewed"),
        ]],
        &[],
    ),
    shape(
        "level",
        "A level that finds itself",
        &[&[("max", Number, "At most this"), ("adaptive", Bool, "true")]],
        &["max", "adaptive"],
    ),
    shape(
        "origin",
        "An origin that requests may go to",
        &[&[("origin", Text, "Such as \"https://files.example\""), ("auth", Bool, "With credentials")]],
        &["origin"],
    ),
    shape(
        "ping",
        "How to ask whether it works",
        &[
            REQUEST,
            &[
                ("success", Part("rule"), "Only these answers are a yes"),
                ("failure", Part("rule"), "These are not"),
                ("error_path", Text, "Where the message stands"),
                ("response", Any, "Not allowed: the rules stand in this table itself"),
            ],
        ],
        &[],
    ),
    shape(
        "auth_failure",
        "Answers that mean that credentials were refused",
        &[RULE, &[("count_401", Bool, "Whether 401 is one of them")]],
        &[],
    ),
    shape(
        "rate_limit",
        "Answers that mean: slower",
        &[
            RULE,
            &[
                ("retry_after_header", Text, "Which header tells how long to wait"),
                ("retry_after_unit", UNIT, "As what"),
                ("remaining_header", Text, "Which header tells how many are left"),
                ("reset_header", Text, "Which header tells when there are more"),
                ("max_pause", Text, "A pause is never longer"),
                ("min_pause", Text, "Nor shorter"),
                ("scope", Word(&["pool", "connection"]), "What pauses"),
            ],
        ],
        &[],
    ),
    shape(
        "retry",
        "How often a request is tried again",
        &[&[
            ("max_attempts", Number, "1 to 100"),
            ("backoff", Part("backoff"), "How long it waits between"),
            ("unsafe_methods", Bool, "POST and PATCH too, though they may have arrived"),
        ]],
        &[],
    ),
    shape(
        "backoff",
        "How long it waits between attempts",
        &[&[("initial", Text, "The first wait; it doubles"), ("max", Text, "The longest")]],
        &[],
    ),
    shape(
        "tls",
        "TLS",
        &[&[
            ("ca", CREDENTIAL, "Who vouches for the server"),
            ("client_certificate", CREDENTIAL, "Who we are"),
            ("client_key", CREDENTIAL, "The key of that"),
            ("pfx", CREDENTIAL, "Both in one file"),
            ("passphrase", CREDENTIAL, "What opens them"),
            ("verify", Bool, "false: whoever answers is believed"),
        ]],
        &[],
    ),
    shape("agent", "Who carries its requests", &[&[("name", Text, "Name under `[agents]`")]], &["name"]),
    shape(
        "xml",
        "How XML is read and written",
        &[&[
            ("namespaces", Free(&Text), "Prefixes and what they mean"),
            ("array_paths", List(&Text), "Elements that are lists, however many there are"),
            ("root", Text, "Name of the outermost element"),
        ]],
        &[],
    ),
    shape(
        "csv",
        "How CSV is read and written",
        &[&[
            ("delimiter", Text, "What stands between columns"),
            ("header", Bool, "Whether the first line names them"),
            ("quoting", Word(&["needed", "all", "none"]), "What stands in quotes"),
            ("charset", Text, "Its character set"),
        ]],
        &[],
    ),
    shape(
        "form",
        "How forms are written",
        &[&[("lists", Word(&["repeat", "brackets", "index"]), "How lists are written")]],
        &[],
    ),
    shape(
        "export_defaults",
        "What holds for every export of this connection",
        &[&[
            ("records", Text, "Where the records stand in an answer"),
            ("records_optional", Bool, "An answer without them is an empty page, not an error"),
            ("keep", Text, "Condition over `record`: others are filtered"),
            ("transform", Part("transform"), "What becomes of each record first"),
            ("limit", Number, "At most so many records"),
            ("delta", Part("delta"), "Only what changed since the last run"),
            ("paging", Either(&[Word(&["none"]), Part("paging")]), "How to get from page to page"),
            ("transform", Part("transform"), "What becomes of each record first"),
            ("limit", Number, "At most so many records"),
            ("delta", Part("delta"), "Only what changed since the last run"),
            ("on", ON, "What certain answers mean, after an export's own rules"),
        ]],
        &[],
    ),
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

const NAMED: &[Key] = &[
    ("many", Text, "Path: each of these is written by itself"),
    ("name", Text, "What its error records name"),
    ("when", Text, "Condition: others are skipped"),
    ("on_error", ON_ERROR, "What an error means for the record"),
];

const WRITING: &[Key] = &[
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

/// `connections/<id>.toml`
pub(super) const CONNECTION: Shape = shape(
    "connection",
    "How to talk to one API",
    &[
        TYPES,
        &[
            ("title", Text, "What people call it"),
            ("description", Text, "What it is"),
            ("formerly", Ids, "Former ids: marks, tokens and history come along"),
            ("base_uri", Text, "Where the API is"),
            ("decode", Either(&[Text, List(&Text)]), "Layers around answers: gzip, zip, base64, then a media type"),
            ("headers", Free(&Any), "Of every request"),
            ("query", Free(&Any), "Of every request"),
            ("timeout", Text, "How long an attempt may take"),
            ("connect_timeout", Text, "How long connecting may take"),
            ("max_response", Text, "The largest answer, such as \"64MiB\""),
            ("redirects", Word(&["none", "same-origin"]), "Which are followed"),
            ("allowed_origins", List(&Either(&[Text, Part("origin")])), "Other origins that requests may go to"),
            ("proxy", Text, "\"none\", \"env\" or a URL"),
            ("concurrency_level", Either(&[Number, Text, Part("level")]), "Requests in flight at most, over all flows"),
            ("borrow_concurrency_from", Text, "Id of a connection whose permits it uses"),
            ("wait_time", Text, "From an answer's end to the next request"),
            ("rate", TEXTS, "Such as \"10/1s\""),
            ("order", Word(&["fifo", "fair"]), "Who goes first"),
            ("vars", Free(&Either(&[Any, Part("variable")])), "Values for templates"),
            ("secrets", Free(&SOURCE), "Where secrets come from; never their values"),
            ("auth", Part("auth"), "How requests are authorised"),
            ("auth_failure", Part("auth_failure"), "Answers that mean that credentials were refused"),
            ("ping", Part("ping"), "How to ask whether it works"),
            ("response", Part("response"), "When an answer counts as success"),
            ("rate_limit", Part("rate_limit"), "Answers that mean: slower"),
            ("retry", Part("retry"), "How often a request is tried again"),
            ("on", ON, "What certain answers mean"),
            ("tls", Part("tls"), "TLS"),
            ("agent", Part("agent"), "Who carries its requests into another network"),
            ("xml", Part("xml"), "How XML is read and written"),
            ("csv", Part("csv"), "How CSV is read and written"),
            ("form", Part("form"), "How forms are written"),
            ("export_defaults", Part("export_defaults"), "What holds for every export of this connection"),
        ],
    ],
    &["base_uri"],
);

/// `flows/<id>.toml`
pub(super) const FLOW: Shape = shape(
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

/// `flowgate.toml`
pub(super) const SETTINGS: Shape = shape(
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
pub(super) const AGENT: Shape = shape(
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
