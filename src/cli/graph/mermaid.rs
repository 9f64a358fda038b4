//! The picture as a Mermaid flowchart. Names come from files: every character that could be syntax is written by number.

use super::Graph;
use std::fmt::Write as _;

pub(super) fn text(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, api) in graph.connections.iter().enumerate() {
        let _ = writeln!(out, "  c{number}[({})]", label(&api.lines()));
    }
    for (number, flow) in graph.flows.iter().enumerate() {
        let _ = writeln!(out, "  subgraph f{number}[{}]", label(&flow.lines()));
        out.push_str("    direction LR\n");
        for (place, part) in flow.parts.iter().enumerate() {
            let lines = [part.name.clone(), part.kind.to_owned()];
            let lines = if part.name == part.kind { &lines[..1] } else { &lines[..] };
            let (open, close) = shape(part.kind);
            let _ = writeln!(out, "    f{number}p{place}{open}{}{close}", label(lines));
        }
        for (place, part) in flow.parts.iter().enumerate() {
            for (before, branch) in &part.after {
                let branch = branch.as_ref().map(|name| format!("|{}|", quoted(name))).unwrap_or_default();
                let _ = writeln!(out, "    f{number}p{before} -->{branch} f{number}p{place}");
            }
        }
        out.push_str("  end\n");
    }
    edges(graph, &mut out);
    out
}

fn edges(graph: &Graph, out: &mut String) {
    for (number, flow) in graph.flows.iter().enumerate() {
        for (place, part) in flow.parts.iter().enumerate() {
            let places = |ids: &[_]| ids.iter().filter_map(|id| graph.place_of(id)).collect::<Vec<_>>();
            for at in places(&part.reads) {
                let _ = writeln!(out, "  c{at} --> f{number}p{place}");
            }
            for at in places(&part.asks) {
                let _ = writeln!(out, "  f{number}p{place} <-.-> c{at}");
            }
            for at in places(&part.writes) {
                let _ = writeln!(out, "  f{number}p{place} --> c{at}");
            }
        }
        for before in flow.run_after.iter().filter_map(|id| graph.flows.iter().position(|flow| flow.id == *id)) {
            let _ = writeln!(out, "  f{before} ==>|\"then\"| f{number}");
        }
    }
    for (number, api) in graph.connections.iter().enumerate() {
        if let Some(at) = api.borrows.as_ref().and_then(|lender| graph.place_of(lender)) {
            let _ = writeln!(out, "  c{number} -.->|\"borrows from\"| c{at}");
        }
    }
}

fn shape(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "export" | "webhook" => ("([", "])"),
        "import" => ("[[", "]]"),
        "route" => ("{{", "}}"),
        "keep" => (">", "]"),
        _ => ("[", "]"),
    }
}

fn label(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    format!("\"{}\"", lines.join("<br/>"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Letters, digits and harmless signs as they are, the rest as entities.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_alphanumeric() || " -_./:,".contains(c) => out.push(c),
            _ if c.is_control() => out.push(' '),
            _ => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}
