//! Servers that mean harm, as a table: the process ends in time with an error that says what, its memory stays bounded.

use crate::child::{self, End};
use crate::figures::Figures;
use crate::rig::{Rig, millis};
use crate::stage::Stage;
use crate::villain::{Act, Villain, answer, head, json};
use std::fmt::Write as _;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

/// Nothing here may take longer.
const IN_TIME: Duration = Duration::from_secs(20);
/// The most memory the process may ever take, in KiB: a response cap of 4 MiB and the program itself.
const MOST_MEMORY: u64 = 160 << 10;

/// The connection's keys: short enough that hostile slowness shows.
const KEYS: &str = "timeout = \"1500ms\"\nmax_response = \"4MiB\"\n[retry]\nmax_attempts = 2\nbackoff = { initial = \"10ms\", max = \"20ms\" }\n";

/// Four times what the connection takes; made before anybody waits for it.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| bomb(16 << 20));

/// How a server answers the export's request.
type Behave = fn(u64, &str) -> Vec<Act>;

struct Case {
    name: &'static str,
    behave: Behave,
    /// Exit codes that are right.
    codes: &'static [i32],
    /// What the error must say, in lower case; one of these.
    says: &'static [&'static str],
}

const OK: &str = "content-type: application/json\r\n";

fn body(bytes: &[u8]) -> Vec<Act> {
    vec![Act::Send(answer(200, OK, bytes))]
}

const CASES: &[Case] = &[
    Case {
        name: "a body without end",
        behave: |_, _| {
            let begin = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[".to_vec();
            vec![Act::Send(begin), Act::Endless(b"{\"id\":1},".repeat(4_096))]
        },
        codes: &[69],
        says: &["max_response"],
    },
    Case {
        name: "a body that trickles",
        behave: |_, _| {
            vec![Act::Send(head(200, OK, 1_000)), Act::Trickle(vec![b' '; 1_000], Duration::from_millis(40))]
        },
        codes: &[69],
        says: &["1500ms", "1.5s", "time"],
    },
    Case {
        name: "a head that trickles",
        behave: |_, _| vec![Act::Trickle(answer(200, OK, b"[]").repeat(20), Duration::from_millis(60))],
        codes: &[69],
        says: &["1500ms", "1.5s", "time"],
    },
    Case { name: "no answer", behave: |_, _| vec![Act::Hang], codes: &[69], says: &["1500ms", "1.5s", "time"] },
    Case { name: "a connection closed at once", behave: |_, _| Vec::new(), codes: &[69], says: &["page 1"] },
    Case {
        name: "a header of 8 MiB",
        behave: |_, _| vec![Act::Send(answer(200, &format!("x-long: {}\r\n", "v".repeat(8 << 20)), b"[]"))],
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "a hundred thousand headers",
        behave: |_, _| {
            let headers = (0..100_000).fold(String::new(), |mut all, n| {
                // Writing to a String cannot fail.
                let _ = write!(all, "x-{n}: v\r\n");
                all
            });
            vec![Act::Send(answer(200, &headers, b"[]"))]
        },
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "headers without end",
        behave: |_, _| vec![Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Act::Endless(b"x-a: b\r\n".repeat(1_000))],
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "a next page that is this page",
        behave: |_, target| json(200, &format!("{{\"data\":[{{\"id\":1}}],\"next\":\"{target}\"}}")),
        codes: &[69],
        says: &["repeat", "again", "loop", "same"],
    },
    Case {
        name: "next pages in a circle of three",
        behave: |number, _| {
            json(200, &format!("{{\"data\":[{{\"id\":{}}}],\"next\":\"/x?n={}\"}}", number % 3, number % 3))
        },
        codes: &[69],
        says: &["repeat", "again", "loop", "same"],
    },
    Case {
        name: "a next page on another host",
        behave: |_, _| json(200, "{\"data\":[{\"id\":1}],\"next\":\"http://169.254.169.254/latest/meta-data\"}"),
        codes: &[69],
        says: &["169.254.169.254", "origin"],
    },
    Case {
        name: "a gzip bomb",
        behave: |_, _| {
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            vec![Act::Send(answer(200, headers, &BOMB))]
        },
        codes: &[69],
        says: &["max_response"],
    },
    Case {
        name: "gzip that is none",
        behave: |_, _| vec![Act::Send(answer(200, "content-encoding: gzip\r\n", b"[{\"id\":1}]"))],
        codes: &[69],
        says: &["encod", "gzip", "decod"],
    },
    Case {
        name: "noise in place of HTTP",
        behave: |number, _| {
            let mut noise = fastrand::Rng::with_seed(number);
            vec![Act::Send((0..100_000).map(|_| noise.u8(..)).collect())]
        },
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "half a JSON text",
        behave: |_, _| body(b"{\"data\":[{\"id\":1},{\"id\""),
        codes: &[69],
        says: &["json"],
    },
    Case {
        name: "a hundred thousand brackets",
        behave: |_, _| body(&b"[".repeat(100_000)),
        codes: &[69],
        says: &["deep", "nest", "depth", "level"],
    },
    Case {
        name: "bytes that are no text",
        behave: |_, _| body(b"{\"data\":[\"\xff\xfe\"]}"),
        codes: &[69],
        says: &["utf-8", "json"],
    },
    Case {
        name: "a million tiny records",
        behave: |_, _| body(format!("{{\"data\":[{}1]}}", "1,".repeat(1_000_000)).as_bytes()),
        codes: &[0, 1, 69],
        says: &[],
    },
    Case {
        name: "a longer body than announced",
        behave: |_, _| {
            vec![Act::Send([head(200, OK, 20), b"{\"data\":[{\"id\":1}]}  HTTP/1.1 200 OK\r\n\r\n".to_vec()].concat())]
        },
        codes: &[0, 69],
        says: &[],
    },
    Case {
        name: "a shorter body than announced",
        behave: |_, _| vec![Act::Send([head(200, OK, 4_000), b"{\"data\":[]}".to_vec()].concat())],
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "two lengths",
        behave: |_, _| vec![Act::Send(answer(200, "content-length: 2\r\n", b"{\"data\":[]}"))],
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "a chunk of sixteen exbibytes",
        behave: |_, _| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n";
            vec![Act::Send(head.as_bytes().to_vec()), Act::Endless(vec![b'x'; 65_536])]
        },
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "a redirect to itself",
        behave: |_, target| vec![Act::Send(answer(302, &format!("location: {target}\r\n"), b""))],
        codes: &[69],
        says: &["redirect"],
    },
    Case {
        name: "a redirect to another host",
        behave: |_, _| vec![Act::Send(answer(302, "location: http://127.0.0.2:1/x\r\n", b""))],
        codes: &[69],
        says: &["redirect", "origin", "302"],
    },
    Case {
        name: "a status that is none",
        behave: |_, _| vec![Act::Send(b"HTTP/1.1 99999 WHAT\r\ncontent-length: 0\r\n\r\n".to_vec())],
        codes: &[69],
        says: &["page 1"],
    },
    Case {
        name: "a Retry-After of ages, then an answer",
        behave: |number, _| match number {
            1 => vec![Act::Send(answer(429, "retry-after: 99999999999999999999\r\n", b""))],
            _ => json(200, "{\"data\":[{\"id\":1}]}"),
        },
        codes: &[0],
        says: &[],
    },
];

/// `torture hostile`
pub fn torture(rig: &Rig, figures: &mut Figures) {
    LazyLock::force(&BOMB);
    for case in CASES {
        if let Err(why) = try_case(rig, case, figures) {
            figures.fail(format!("{}: {why}", case.name));
        }
    }
    figures.set("cases", CASES.len());
}

fn try_case(rig: &Rig, case: &Case, figures: &mut Figures) -> io::Result<()> {
    let behave = case.behave;
    let villain = Villain::start(move |asked| behave(asked.number, &asked.target))?;
    let mut stage = Stage::new(rig, "")?;
    let keys = format!("base_uri = \"{}\"\n{KEYS}\n[rate_limit]\nmax_pause = \"300ms\"\n", villain.base());
    stage.write("connections/api.toml", &keys)?;
    let export = "[export]\nconnection = \"api\"\nrelative_uri = \"/x\"\nrecords = \"$.data[*]\"\n";
    stage.write("flows/copy.toml", &format!("{export}\n[export.paging.next_url]\npath = \"$.next\"\n"))?;
    let mut child = child::start(rig, &stage, &["run", "copy"])?;
    let mut peak = 0;
    let end = rig.wait(IN_TIME, || {
        peak = peak.max(child.memory("VmHWM").unwrap_or(0));
        child.end()
    });
    let took = rig.since(child.started);
    child.kill();
    let said = child.said().to_lowercase();
    let before = figures.broken();
    figures.most("slowest_ms", millis(took));
    figures.most("peak_kib", peak);
    let name = case.name;
    let code = matches!(end, Some(End::Code(code)) if case.codes.contains(&code));
    figures.demand(code, || format!("{name}: ended with {end:?} after {took:?}: {}", child.last_words()));
    figures.demand(peak < MOST_MEMORY, || format!("{name}: {peak} KiB at the most"));
    figures.demand(!said.contains("panicked"), || format!("{name}: panicked: {}", child.last_words()));
    let says = case.says.is_empty() || case.says.iter().any(|text| said.contains(text));
    figures.demand(says, || format!("{name}: the error says none of {:?}: {}", case.says, child.last_words()));
    figures.demand(villain.requests() < 20, || format!("{name}: {} requests", villain.requests()));
    if figures.broken() > before {
        stage.broke();
    }
    Ok(())
}

/// A gzip stream of about this many zero bytes without an end: one deflate block of fixed codes, thirteen bits for every
/// 258 bytes.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u8, 0);
    // Block header, a zero byte as a literal, then lengths of 258 at distance 1; codes go highest bit first.
    let opening = [0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    let repeat = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let repeats = std::iter::repeat_n(repeat, bytes / 258).flatten();
    for bit in opening.into_iter().chain(repeats) {
        held |= bit << count;
        count += 1;
        if count == 8 {
            out.push(held);
            (held, count) = (0, 0);
        }
    }
    out
}
