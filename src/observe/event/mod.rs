//! What can happen, said once: each function writes one log line and counts.
//!
//! Messages are constant; what varies stands in fields (`flow`, `run`, `connection`, `cause` …). Callers pass texts
//! that are already free of secrets: request lines as templates, errors without URLs, excerpts cut short.

mod agent;
mod config;
mod connection;
mod process;
mod run;
mod schedule;
mod store;
mod webhook;

pub use agent::{
    agent_barred, agent_connected, agent_link_failed, agent_link_lost, agent_link_up, agent_lost, agent_orders_kept,
    agent_refused,
};
pub use config::{
    Applied, certificate_shown, certificate_unusable, reload_applied, reload_rejected, reload_reverted, restart_needed,
    snapshot_in_force, watch_degraded,
};
pub use connection::{
    FailedAttempt, answer_passed_over, connection_offline, connection_online, connection_paused, connection_unverified,
    credential_renewed, level_changed, pause_cut, renewal_failed, request_retried,
};
pub use process::{
    accept_failed, drain_finished, drain_started, listening, notice_failed, notice_sent, notices_missed,
    requests_refused, second_signal, server_full, serving, socket_failed, stopped, traces_lost, traces_off,
    traces_on_again,
};
pub use run::{
    RecordFailure, RunSummary, answers_left_over, delta_from_the_beginning, page_quarantined, page_read, page_resumed,
    record_failed, record_taken, run_after_kept, run_after_skipped, run_after_started, run_dismissed, run_finished,
    run_resumed, run_started, step_passed,
};
pub use schedule::{next_run, schedule_due, schedule_kept, schedule_mark_ignored, schedule_passed, schedule_skipped};
pub use store::{
    errors_retried, pruned, state_damaged, store_failing, store_recovered, upkeep_failed, written_by_hand,
};
pub use webhook::{webhook_open, webhook_refused, webhook_repeated, webhook_taken};

use chrono::{DateTime, SecondsFormat, Utc};
use std::time::Duration;

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Seconds with milliseconds, as a number in every format.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::logs::tests::captured;
    use crate::observe::meters::{ConfigMeters, ConnectionMeters, FlowMeters, RunOutcome};
    use crate::observe::meters::{SchedulerMeters, SkipReason, TriggerKind};
    use crate::value::id::{ConnectionId, FlowId};
    use serde_json::Value;

    fn lines(act: impl FnOnce()) -> Vec<Value> {
        captured("trace", act).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table: each event and its line")]
    fn every_event_is_one_line_with_its_level_and_its_keys_as_fields() {
        let flow = FlowId::parse("eu/orders").unwrap();
        let shop = ConnectionId::parse("shop").unwrap();
        let lines = lines(|| {
            let (meters, connection) = (FlowMeters::of(&flow), ConnectionMeters::of(&shop));
            let (config, scheduler) = (ConfigMeters::take(), SchedulerMeters::of(&flow));
            run_started(&meters, &flow, "r1", TriggerKind::Manual);
            page_read(&flow, "r1", 1, 100, 4096);
            let failure = RecordFailure { step: "import", page: 1, record: 3, class: "rejected", text: "refused" };
            record_failed(&flow, "r1", &failure, true);
            record_failed(&flow, "r1", &failure, false);
            step_passed(&flow, "r1", &failure, true);
            step_passed(&flow, "r1", &failure, false);
            record_taken(&flow, "r1", "import", (1, 3), "E-7");
            answers_left_over(&flow, "r1", "import", 5, 2);
            run_finished(&meters, &RunSummary::new(&flow, "r1", TriggerKind::Manual, RunOutcome::Succeeded), at());
            let mut failed = RunSummary::new(&flow, "r1", TriggerKind::Manual, RunOutcome::Failed);
            failed.cause = Some("page 2: no".to_owned());
            run_finished(&meters, &failed, at());
            schedule_due(&scheduler, &flow, at(), Duration::from_millis(2));
            schedule_skipped(&scheduler, &flow, at(), SkipReason::Overlap);
            schedule_kept(&flow, at());
            schedule_passed(&scheduler, &flow, at(), 7, SkipReason::Missed);
            schedule_mark_ignored(&flow, "yesterday", "it is no mark");
            next_run(&meters, &flow, Some(at()), Some(Duration::from_mins(1)));
            connection_paused(&connection, &shop, "GET https://a.example/", Duration::from_secs(2), Some(429));
            pause_cut(&shop, Duration::from_hours(1), Duration::from_mins(5));
            let failed = FailedAttempt { request: "GET https://a.example/", status: Some(503), cause: "down" };
            request_retried(&connection, &shop, failed, 2, Duration::from_secs(1));
            answer_passed_over(&shop, "skip", "GET https://a.example/", Some(403), "no access");
            credential_renewed(&connection, &shop, 2, Some(Duration::from_hours(1)));
            renewal_failed(&connection, &shop, "400: invalid_grant", Duration::from_secs(2));
            connection_offline(&connection, &shop, "401: no");
            connection_online(&connection, &shop);
            connection_unverified(&shop);
            level_changed(&connection, &shop, "shop", (4, 5), "room");
            level_changed(&connection, &shop, "shop", (5, 2), "limited");
            watch_degraded("no more watches");
            snapshot_in_force(&config, &Applied::default(), at());
            reload_applied(&config, &Applied::default(), at());
            reload_rejected(&config, 2, "flows/a.toml:1:1: unknown key `x`");
            reload_reverted(&config);
            drain_started("SIGTERM", 1, Duration::from_secs(30));
            drain_finished(false);
            errors_retried(&flow, "r2", 3);
            pruned(1, 2, 0);
            pruned(0, 0, 0);
            pruned(1, 2, 3);
            upkeep_failed("pruning", "no");
            written_by_hand("errors resolved", 2);
        });
        let shown: Vec<_> =
            lines.iter().map(|l| (l["level"].as_str().unwrap(), l["message"].as_str().unwrap())).collect();
        assert_eq!(
            shown,
            [
                ("info", "run started"),
                ("debug", "page read"),
                ("warn", "record failed"),
                ("debug", "record failed"),
                ("warn", "step failed and was passed by; further ones are counted"),
                ("debug", "step failed and was passed by"),
                ("debug", "record taken"),
                ("warn", "more answers than records"),
                ("info", "run finished"),
                ("error", "run finished"),
                ("info", "schedule due"),
                ("warn", "schedule skipped"),
                ("info", "schedule kept"),
                ("warn", "schedule missed"),
                ("warn", "schedule mark ignored"),
                ("debug", "next run"),
                ("warn", "connection paused"),
                ("warn", "pause cut"),
                ("info", "request retried"),
                ("info", "answer passed over"),
                ("info", "credential renewed"),
                ("warn", "credential not renewed"),
                ("error", "connection offline"),
                ("info", "connection online"),
                ("warn", "server not verified"),
                ("debug", "concurrency raised"),
                ("info", "concurrency lowered"),
                ("warn", "watching by polling"),
                ("info", "snapshot in force"),
                ("info", "reload applied"),
                ("error", "reload rejected"),
                ("info", "reload reverted"),
                ("info", "drain started"),
                ("warn", "drain finished"),
                ("info", "retrying error records"),
                ("info", "old history let go"),
                ("warn", "open error records dismissed by age"),
                ("warn", "upkeep failed"),
                ("info", "state changed by hand"),
            ]
        );
        assert_eq!(lines[2]["flow"], "eu/orders");
        assert_eq!(lines[2]["run"], "r1");
        assert_eq!(lines[9]["cause"], "page 2: no");
        assert_eq!((&lines[13]["count"], &lines[13]["reason"]), (&7.into(), &"missed".into()));
        assert_eq!(lines[14]["mark"], "yesterday");
        assert_eq!(lines[16]["status"], 429);
        assert_eq!(lines[16]["seconds"], 2.0);
        assert_eq!((&lines[18]["status"], &lines[18]["next_attempt"]), (&503.into(), &2.into()));
    }

    #[test]
    fn trouble_with_the_state_is_told_with_its_remedy() {
        let lines = lines(|| {
            store_failing("the database is full");
            store_recovered(Duration::from_secs(3));
            state_damaged(Some("eu/orders"), "the body of page 3 is cut off");
        });
        let shown: Vec<_> =
            lines.iter().map(|l| (l["level"].as_str().unwrap(), l["message"].as_str().unwrap())).collect();
        assert_eq!(
            shown,
            [("error", "state cannot be written"), ("info", "state can be written again"), ("error", "state damaged")]
        );
        assert_eq!((&lines[0]["cause"], &lines[1]["seconds"]), (&"the database is full".into(), &3.0.into()));
        assert!(lines[2]["help"].as_str().unwrap().contains("state check"));
        assert_eq!(lines[2]["flow"], "eu/orders");
    }
}
