//! What becomes of a record between its page and its request: `modify`, tables and dates, in the real program.

use crate::support::api::{Api, Reply};
use crate::support::flow::{lines, project};
use crate::support::{PATIENCE, command::finish, command::flowgate};
use serde_json::json;

const RECORD: &str = r#"[{"_id":9007199254740993,"createdAt":"2025-07-01T22:30:00Z","shipTo":{"stateName":"California"},
    "attributes":{"qty":2,"unitPrice":10.50},"links":{"self":"/1","next":"/2"},"internal":true,"rate":1.10}]"#;

const FLOW: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"
[export.transform.modify]
set         = { total = "= record.qty * record.unit_price", meta.by = "{{run.id}}" }
drop        = ["internal", "links.*", "unit_price"]
rename      = { _id = "id", "ship_to.state_name" = "state" }
rename_case = "snake"
lift        = "attributes"

[[step]]
transform = { modify = { set = { day = { pick = "$.created_at", date = { format = "%d.%m.%Y", zone = "Europe/Berlin" } } } } }

[[step]]
transform = { modify = { set = { state = { pick = "$.state", table = "states" }, full = "= lookup('names', record.state)" } } }

[tables.states]
map     = { California = "CA" }
default = "??"

[tables.names]
file  = "maps/names.csv"
"#;

#[test]
fn modify_tables_and_dates_shape_a_record() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, RECORD)])]);
    let project = project(&source, "", FLOW);
    project.write("maps/names.csv", "long,short\nCalifornia,\"The \"\"Golden\"\" State\"\n");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let ended = finish(command, PATIENCE).expect_code(0);
    assert!(
        ended.stdout.contains("\"id\":9007199254740993,") && ended.stdout.contains("\"rate\":1.10,"),
        "{}",
        ended.stdout
    );
    let mut record = lines(&ended).remove(0);
    let run = record["meta"]["by"].take();
    assert!(run.as_str().is_some_and(|run| !run.is_empty()));
    let wanted = json!({
        "id": 9_007_199_254_740_993_u64, "created_at": "2025-07-01T22:30:00Z", "ship_to": {}, "qty": 2, "links": {},
        "rate": 1.1, "state": "CA", "total": 21.0, "meta": {"by": null}, "day": "02.07.2025",
        "full": "The \"Golden\" State",
    });
    assert_eq!(record, wanted);
}

#[test]
fn a_record_that_cannot_be_shaped_is_one_error_that_names_the_field() {
    let records = r#"[{"_id":1,"id":2},{"createdAt":"soon"},{"_id":3,"state":"Utah"}]"#;
    let source = Api::scripted([("GET /records", vec![Reply::json(200, records)])]);
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let flow = r#"
[export]
connection   = "api"
relative_uri = "/records"
transform    = { modify = { rename = { _id = "id" } } }
[[step]]
name = "when"
transform = { modify = { set = { at = { pick = "$.createdAt", optional = true, date = { format = "epoch_s" } } } } }
[tables.states]
map = { California = "CA" }
[import]
connection   = "erp"
relative_uri = "/items"
body = { id = "$.id", state = { pick = "$.state", table = "states" } }
"#;
    let project = project(&source, "", flow);
    project.connection("erp", &sink.base(), "");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    finish(command, PATIENCE).expect_code(1);
    let mut command = flowgate(project.dir());
    command.args(["errors", "list", "--each", "--json"]);
    let listed = finish(command, PATIENCE).expect_code(0).stdout;
    for wanted in [
        "rename: `_id` cannot become `id`: the record has that too",
        "set.at: date: this text is no date in ISO 8601",
        "state: table `states` has no row for this text and no `default`",
    ] {
        assert_eq!(listed.matches(wanted).count(), 1, "{wanted}: {listed}");
    }
    assert!(sink.requests().is_empty());
}
