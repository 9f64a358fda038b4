//! A project with everything that is drawn, and one whose names are hostile.

use super::super::golden::golden;
use super::*;
use crate::config::{self, Env};
use std::path::Path;

struct Empty;
impl Env for Empty {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fn load(files: &[(&str, &str)]) -> Snapshot {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let loaded = config::load_dir(root.path(), &Empty).unwrap();
    loaded.snapshot.unwrap_or_else(|| panic!("{}", config::render::text(&loaded.diagnostics, false)))
}

const SHOP: &str = "title = \"The shop\"\nbase_uri = \"https://shop.example\"\nconcurrency_level = 4\n";
const TILL: &str = "base_uri = \"https://till.example\"\nborrow_concurrency_from = \"shop\"\n";
const ERP: &str = "base_uri = \"https://erp.example\"\nconcurrency_level = { max = 8, adaptive = true }\n";
const ORDERS: &str = r#"
title = "Orders to ERP"
schedule = "*/5 * * * *"

[export]
connection   = "till"
relative_uri = "/orders"

[[step]]
name = "customer"
[step.lookup]
connection   = "shop"
relative_uri = "/customers/{{record.customer}}"

[[step]]
name  = "kind"
route = "first"

[[step.branch]]
when = "record.kind == 'a'"

[[step.branch.step]]
name = "tell"
[step.branch.step.import]
connection   = "erp"
relative_uri = "/a"

[[step.branch]]
when = "record.kind == 'b'"
end  = true

[[step.branch.step]]
name = "only-b"
keep = "record.total > 0"

[import]
connection   = "erp"
relative_uri = "/orders"
"#;
const STOCK: &str = r#"
enabled   = false
run_after = ["orders"]

[export]
connection   = "shop"
relative_uri = "/stock"

[import]
connection   = "erp"
relative_uri = "/stock"
"#;

fn whole() -> Snapshot {
    load(&[
        ("connections/shop.toml", SHOP),
        ("connections/till.toml", TILL),
        ("connections/erp.toml", ERP),
        ("flows/orders.toml", ORDERS),
        ("flows/eu/stock.toml", STOCK),
    ])
}

#[test]
fn a_project_is_drawn_with_its_pools_flows_steps_and_what_runs_after_what() {
    let graph = Graph::of(&whole(), None);
    golden("graph.mermaid", &mermaid::text(&graph));
    golden("graph.dot", &dot::text(&graph));
    golden("graph.json", &format!("{:#}\n", graph.document()));
}

#[test]
fn one_flow_is_drawn_with_the_connections_it_uses_and_their_lenders() {
    let graph = Graph::of(&whole(), Some(&FlowId::parse("orders").unwrap()));
    let ids = |graph: &Graph| graph.connections.iter().map(|api| api.id.to_string()).collect::<Vec<_>>();
    assert_eq!((graph.flows.len(), ids(&graph)), (1, vec!["erp".to_owned(), "shop".to_owned(), "till".to_owned()]));
    let graph = Graph::of(&whole(), Some(&FlowId::parse("eu/stock").unwrap()));
    assert_eq!(ids(&graph), ["erp", "shop"]);
    assert!(!mermaid::text(&graph).contains("then"), "what is not drawn has no edge");
}

/// Everything a title may hold that ends a label or begins something else.
const HOSTILE: &str = "a\\\"b\\\\\"]\\n  c9[x];--> click <script>`#&{|}";

#[test]
fn names_cannot_become_syntax() {
    let shop = format!("title = \"{}\"\nbase_uri = \"https://shop.example\"\n", "x\\\"]\\nclick c0 \\\\");
    let flow = format!(
        "title = '''{HOSTILE}'''\n[export]\nconnection = \"shop\"\nrelative_uri = \"/\"\n[import]\nconnection = \"shop\"\nrelative_uri = \"/\"\n"
    );
    let snapshot = load(&[("connections/shop.toml", &shop), ("flows/f.toml", &flow)]);
    let graph = Graph::of(&snapshot, None);
    let plain = Graph::of(
        &load(&[("connections/shop.toml", SHOP), ("flows/f.toml", &flow.replace(HOSTILE, "harmless"))]),
        None,
    );
    let (drawn, dotted) = (mermaid::text(&graph), dot::text(&graph));
    assert_eq!(drawn.lines().count(), mermaid::text(&plain).lines().count(), "{drawn}");
    assert_eq!(dotted.lines().count(), dot::text(&plain).lines().count(), "{dotted}");
    for line in drawn.lines().filter(|line| line.contains('"')) {
        let inside = &line[line.find('"').unwrap() + 1..line.rfind('"').unwrap()];
        let inside = inside.replace("<br/>", "");
        assert!(!inside.contains(['"', '<', '>', '[', ']', '`', '|', '{', '}', '&', '\\']), "{line}");
    }
    for line in dotted.lines() {
        // Quotes that are not escaped come in pairs.
        let mut escaped = false;
        let quotes = line.chars().filter(|c| {
            let counts = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            counts
        });
        assert_eq!(quotes.count() % 2, 0, "{line}");
    }
}
