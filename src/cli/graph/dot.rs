//! The picture for Graphviz. Names come from files: they stand in quotes, and what could end them is escaped.

use super::Graph;
use std::fmt::Write as _;

pub(super) fn text(graph: &Graph) -> String {
    let mut out = String::from(
        "digraph flowgate {\n  rankdir=LR;\n  compound=true;\n  node [fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    for (number, api) in graph.connections.iter().enumerate() {
        let _ = writeln!(out, "  c{number} [shape=cylinder, label={}];", label(&api.lines()));
    }
    for (number, flow) in graph.flows.iter().enumerate() {
        let style = if flow.enabled { "rounded" } else { "rounded,dashed" };
        let _ = writeln!(out, "  subgraph cluster_f{number} {{");
        let _ = writeln!(out, "    style=\"{style}\";\n    label={};", label(&flow.lines()));
        for (place, part) in flow.parts.iter().enumerate() {
            let lines = [part.name.clone(), part.kind.to_owned()];
            let lines = if part.name == part.kind { &lines[..1] } else { &lines[..] };
            let _ = writeln!(out, "    f{number}p{place} [shape={}, label={}];", shape(part.kind), label(lines));
        }
        for (place, part) in flow.parts.iter().enumerate() {
            for (before, branch) in &part.after {
                let branch = branch.as_ref().map(|name| format!(" [label={}]", quoted(name))).unwrap_or_default();
                let _ = writeln!(out, "    f{number}p{before} -> f{number}p{place}{branch};");
            }
        }
        out.push_str("  }\n");
    }
    edges(graph, &mut out);
    out.push_str("}\n");
    out
}

fn edges(graph: &Graph, out: &mut String) {
    for (number, flow) in graph.flows.iter().enumerate() {
        for (place, part) in flow.parts.iter().enumerate() {
            let places = |ids: &[_]| ids.iter().filter_map(|id| graph.place_of(id)).collect::<Vec<_>>();
            for at in places(&part.reads) {
                let _ = writeln!(out, "  c{at} -> f{number}p{place};");
            }
            for at in places(&part.asks) {
                let _ = writeln!(out, "  f{number}p{place} -> c{at} [dir=both, style=dotted];");
            }
            for at in places(&part.writes) {
                let _ = writeln!(out, "  f{number}p{place} -> c{at};");
            }
        }
        let last = |at: usize| graph.flows[at].parts.len().saturating_sub(1);
        for before in flow.run_after.iter().filter_map(|id| graph.flows.iter().position(|flow| flow.id == *id)) {
            let (from, ends) = (last(before), format!("ltail=cluster_f{before}, lhead=cluster_f{number}"));
            let _ = writeln!(out, "  f{before}p{from} -> f{number}p0 [{ends}, style=bold, label=\"then\"];");
        }
    }
    for (number, api) in graph.connections.iter().enumerate() {
        if let Some(at) = api.borrows.as_ref().and_then(|lender| graph.place_of(lender)) {
            let _ = writeln!(out, "  c{number} -> c{at} [style=dashed, label=\"borrows from\"];");
        }
    }
}

fn shape(kind: &str) -> &'static str {
    match kind {
        "export" | "webhook" => "oval",
        "import" => "box3d",
        "route" => "hexagon",
        "keep" => "invtrapezium",
        _ => "box",
    }
}

fn label(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Graphviz reads entities in labels.
            '&' => out.push_str("&amp;"),
            _ if c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
