// Reloads: what became of the files each time they changed, file by file.

import { look } from "./act.js";
import { get } from "./api.js";
import { go, h } from "./dom.js";
import { card, connectionLink, empty, facts, flowLink, head, pill, table } from "./parts.js";
import { count, cut, many, plain, when } from "./words.js";

const load = (id, _, signal) => (id ? get("reloads", id, undefined, signal) : get("reloads", undefined, undefined, signal));

const VERDICTS = { applied: "good", unchanged: "idle", rejected: "bad" };
const KINDS = { updated: "live", added: "good", removed: "idle", draining: "wait", rejected: "bad", unchanged: "idle" };
const verdict = (report) => pill(report.verdict, VERDICTS[report.verdict] ?? "idle");
const git = (report) => (report.git?.commit ? h("span.mono", null, `${cut(report.git.branch ?? "", 40)}@${cut(report.git.commit, 9).slice(0, 9)}`) : h("span.quiet", null, "–"));

function tally(report) {
  const counts = {};
  for (const one of report.resources) counts[one.verdict] = (counts[one.verdict] ?? 0) + 1;
  const words = Object.entries(counts).filter(([word]) => word !== "unchanged").map(([word, n]) => `${count(n)} ${word}`);
  return h("span", null, words.join(", ") || "nothing changed", h("span.quiet", null, ` · ${count(report.unchanged)} unchanged`));
}

const COLUMNS = [
  ["Verdict", verdict, "state"],
  ["When", (report) => h("a", { href: go(`/reloads/${report.id}`) }, when(report.at)), "wide"],
  ["Report", (report) => h("span.mono", null, cut(report.id, 20))],
  ["Files", tally],
  ["Revision", (report) => h("span.mono", null, cut(report.revision, 10).slice(0, 10))],
  ["Git", git],
  ["Errors", (report) => h("span.num", { class: report.errors ? "warned" : "quiet" }, count(report.errors)), "right"],
];

const list = ({ reloads }) => [
  head("Reloads", { sub: "Files are the only author of configuration. Each time they change they are judged as a whole.", actions: [look()] }),
  card(null, { key: "reloads" }, reloads.length ? table(COLUMNS, reloads, { label: "Reloads", key: (report) => report.id }) : empty("No reports yet")),
];

const RESOURCES = [
  ["Verdict", (one) => pill(one.verdict, KINDS[one.verdict] ?? "idle"), "state"],
  ["What", (one) => h("span", null, h("span.quiet", null, `${plain(one.kind)} `), one.verdict === "removed" || one.verdict === "rejected" ? cut(one.id, 160) : one.kind === "flow" ? flowLink(one.id) : one.kind === "connection" ? connectionLink(one.id) : cut(one.id, 160)), "wide"],
  ["Why", (one) => cut(one.reason ?? "", 400)],
];

const finding = (found) =>
  h("li.finding", null, h("p.mono", null, h("strong", null, `${cut(found.file, 160)}:${found.line}:${found.column}`), h("span.quiet", null, found.key ? ` ${cut(found.key, 80)}` : "")),
    h("p", null, cut(found.message, 600)), found.help ? h("p.quiet", null, cut(found.help, 600)) : null);

function one(report) {
  const order = ["rejected", "updated", "added", "draining", "removed", "unchanged"];
  const rows = [...report.resources].sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict)).slice(0, 500);
  return [
    head(h("span", null, "Report ", cut(report.id, 20)), { kicker: h("a", { href: "#/reloads" }, "Reloads"), state: verdict(report), sub: when(report.at) }),
    report.verdict === "rejected" ? h("p.note", { class: "warn", "data-key": "rejected" }, h("span", null, `${many(report.errors, "error")}: what was in force stays in force until the files are right.`)) : null,
    report.findings.length ? card("Diagnostics", { key: "findings", note: report.errors > report.findings.length ? `the first ${report.findings.length} of ${count(report.errors)}` : null }, h("ul.findings", null, report.findings.map(finding))) : null,
    card("Facts", { key: "facts" }, facts([
      ["Revision in force after it", h("span.mono.break", null, cut(report.revision, 80))], ["Git", git(report)], ["Unchanged", h("span.num", null, count(report.unchanged))],
      report.restart_needed ? ["Restart", "flowgate.toml has something only a restart applies"] : null,
    ])),
    card("File by file", { key: "files", note: report.more ? `and ${count(report.more)} more` : null }, rows.length ? table(RESOURCES, rows, { label: "File by file", key: (row) => `${row.kind} ${row.id}` }) : h("p.quiet.flush", null, "Nothing is named.")),
  ].filter(Boolean);
}

export default {
  title: (id) => (id ? `Reload ${cut(id, 20)}` : "Reloads"),
  load,
  view: (data, id) => (id ? one(data) : list(data)),
  hears: (kind) => kind === "reload",
};
