//! One file changed three hundred times under load, valid and invalid mixed. The judge is the destination's ledger.

use crate::support::PATIENCE;
use crate::support::now;
use crate::support::project::{ORDER_BODY, Project};
use crate::support::serving::{Serving, status_until};
use flowgate::playground::{Faults, Playground, Settings};
use rustix::process::Signal;
use std::time::Duration;

const ROUNDS: usize = 60;
const CHANGES_A_ROUND: usize = 5;
const LEVEL: u64 = 4;

fn orders(head: &str) -> String {
    format!(
        r#"{head}
schedule = "* * * * * *"
[export]
connection   = "shop"
relative_uri = "/shop/orders"
records      = "$.data[*]"
[export.paging]
pages_path = "$.pages"
[export.paging.page]
param      = "page"
size_param = "per_page"
size       = 50
[import]
connection   = "erp"
relative_uri = "/erp/orders"
{ORDER_BODY}"#
    )
}

/// A connection file that differs from all others; every third one is wrong in one of several ways.
fn connection(base: &str, number: usize) -> (String, bool) {
    let level = [1, 4, 2, 3][number % 4];
    let text = format!("# change {number}\nbase_uri = \"{base}\"\nconcurrency_level = {level}\n");
    let wrong = match number % 9 {
        2 => format!("{text}concurrency_level = 4\n"),
        5 => format!("{text}burst = true\n"),
        8 => text[..text.len() - 20].to_owned(),
        _ => return (text, true),
    };
    (wrong, false)
}

#[test]
fn three_hundred_changes_of_one_file_under_load_lose_nothing_double_nothing_exceed_nothing() {
    let sink = Faults { latency: Duration::from_millis(3), ..Faults::default() };
    let settings = Settings { records: 2_000, fresh: 300, sink, limit: Some(LEVEL), ..Settings::default() };
    let playground = Playground::start(settings).unwrap();
    let base = playground.base_uri();
    let project = Project::new();
    project.connection("shop", &base, "concurrency_level = 1").connection("erp", &base, "concurrency_level = 4");
    project.write("flows/orders.toml", &orders(""));
    let begun = now();
    let mut serving = Serving::of(&project);
    playground.wait_until(PATIENCE, |seen| seen.sinks.requests > 20).unwrap();

    let (mut applied, mut rejected) = (0, 0);
    for round in 0..ROUNDS {
        let mut last_is_valid = true;
        for change in 0..CHANGES_A_ROUND {
            let (text, is_valid) = connection(&base, round * CHANGES_A_ROUND + change);
            project.write("connections/erp.toml", &text);
            last_is_valid = is_valid;
        }
        // What the round ends with is judged; what it passed through may be.
        let outcome = serving.wait_for_line("\"message\":\"reload ");
        let is_applied = outcome.contains("reload applied");
        applied += u32::from(is_applied);
        rejected += u32::from(!is_applied);
        if is_applied != last_is_valid {
            let last = if last_is_valid { "reload applied" } else { "reload rejected" };
            serving.wait_for(last);
            *(if last_is_valid { &mut applied } else { &mut rejected }) += 1;
        }
    }
    assert!(applied >= 20 && rejected >= 10, "{applied} applied, {rejected} rejected: both were met often");

    // No further run; the one under way delivers all it was shown.
    project.connection("erp", &base, "concurrency_level = 4").write("flows/orders.toml", &orders("enabled = false"));
    status_until(&project, |told| told["flows"][0]["state"] == "disabled" && told["flows"][0]["running"].is_null());
    let metrics = serving.metrics();
    serving.signal(Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!((seen.over_limit, seen.sinks.most_in_flight), (0, LEVEL));
    assert!(seen.sinks.requests >= 2_000, "there was load all the while: {seen}");
    let delivered =
        format!("flowgate_flow_records_total{{flow=\"orders\",outcome=\"delivered\"}} {}", seen.sinks.requests);
    assert!(metrics.contains(&delivered), "{delivered}\n{metrics}");
    assert!(now() - begun < PATIENCE, "{:?}", now() - begun);
}
