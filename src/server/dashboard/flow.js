// One flow: what it does now, how it is made, what became of its runs.

import { cancelRun, pauseFlow, resumeFlow, retry, runFlow } from "./act.js";
import { get } from "./api.js";
import { freshness, history, room, shares, spark } from "./charts.js";
import { diagram, figuresOf } from "./diagram.js";
import { go, h, s } from "./dom.js";
import { card, empty, explained, facts, head, health, outcome, pill, table } from "./parts.js";
import { requests } from "./run.js";
import { count, cut, many, nowMs, span, when } from "./words.js";

async function load(id, _, signal) {
  const [flow, runs, explain, groups] = await Promise.all([
    get("flows", id, undefined, signal),
    get("runs", undefined, { flow: id, limit: 60 }, signal),
    get("explain/flow", id, undefined, signal).catch((error) => { if (error.status === 404) return null; throw error; }),
    get("errors", undefined, { flow: id, group: true }, signal),
  ]);
  const newest = flow.running?.run ?? runs.runs[0]?.run;
  const run = newest ? await get("runs", newest, undefined, signal).catch((error) => { if (error.status === 404) return null; throw error; }) : null;
  return { flow, runs: runs.runs, explain, groups: groups.groups ?? [], run };
}

/** How far the run under way has come. */
function progress({ running }) {
  if (!running) return null;
  const { delivered, filtered, failed, exported } = running.records;
  const done = delivered + filtered + failed;
  const whole = running.total ?? Math.max(exported, 1);
  const share = Math.min(1000, Math.round((done / Math.max(1, whole)) * 1000));
  const told = `${count(done)} of ${count(running.total ?? exported)} records${running.total === null ? " read so far" : ""}`;
  return card("Running now", { key: "running", kind: "live", note: h("span", null, "for ", span((nowMs() - Date.parse(running.started)) / 1000)), more: h("a", { href: go(`/runs/${running.run}`) }, "This run") },
    h("div.progress", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": String(whole), "aria-valuenow": String(done), "aria-label": told },
      s("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect.track", { width: 1000, height: 10 }), s("rect.done", { width: share, height: 10 }))),
    h("p.flush", null, h("strong.num", null, told), h("span.quiet", null, ` · ${count(running.records.in_flight)} on the way · ${many(running.pages, "page")} read${running.begun ? "" : " · waits for its turn"}${running.stopping ? " · stopping" : ""}`)));
}

const RUNS = [
  ["Outcome", (run) => outcome(run), "state"],
  ["Started", (run) => h("a", { href: go(`/runs/${run.run}`) }, when(run.started))],
  ["Took", (run) => h("span.num", null, run.took_ms === null ? "–" : span(run.took_ms / 1000)), "right"],
  ["Read", (run) => h("span.num", null, count(run.records.exported)), "right"],
  ["Delivered", (run) => h("span.num", null, count(run.records.delivered)), "right"],
  ["Filtered", (run) => h("span.num.quiet", null, count(run.records.filtered)), "right"],
  ["Failed", (run) => h("span.num", { class: run.records.failed ? "warned" : "quiet" }, count(run.records.failed)), "right"],
];

function errors(flow, groups) {
  if (!groups.length) return null;
  const rows = groups.slice(0, 5).map((group) =>
    h("li", null, pill(group.status ? String(group.status) : group.class, "warn"),
      h("a.what", { href: go("/errors", { flow: flow.id, fingerprint: group.fingerprint }) }, cut(group.message, 180)),
      h("span.why.num", null, `${count(group.open)} open`), retry({ fingerprint: group.fingerprint, flow: flow.id }, "these records")));
  return card("Open errors", { key: "errors", more: h("a", { href: go("/errors", { flow: flow.id }) }, "All of them") }, h("ul.attention.wide", null, rows));
}

function view({ flow, runs, explain, groups, run }, id) {
  const { totals } = flow;
  const width = room();
  const actions = [
    flow.running ? cancelRun(id) : null,
    flow.paused ? resumeFlow(id) : flow.state === "enabled" ? pauseFlow(id) : null,
    !flow.running && flow.state === "enabled" ? runFlow(id) : null,
  ];
  return [
    head(cut(flow.title ?? id, 160), { kicker: h("a", { href: "#/" }, "Flows"), state: health(flow.health), sub: h("span.mono", null, cut(id, 200)), actions }),
    progress(flow),
    h("div.columns", null,
      explain ? explained(explain) : null,
      card("Freshness", { key: "facts" }, facts([
        ["Last success", h("span.stack", null, when(flow.last_success), freshness(flow))],
        ["Next run", flow.next_run ? when(flow.next_run) : "none is planned"],
        ["Schedule", flow.schedule ? h("span", null, h("code", null, cut(flow.schedule.cron, 80)), ` ${cut(flow.schedule.timezone, 40)}`) : flow.webhook ? h("span", null, "webhook ", h("code", null, cut(flow.webhook, 120))) : "by hand"],
        ["Records, last hour", spark(flow.recent, 160)],
        flow.last?.error ? ["Last failure", h("span.bad-text", null, cut(flow.last.error, 400))] : null,
        flow.unfinished?.held ? ["Held run", h("a", { href: go(`/runs/${flow.unfinished.run}`) }, cut(flow.unfinished.cause ?? "goes on with the next run", 200))] : null,
      ]))),
    flow.parts ? card("Steps", { key: "steps", note: run ? h("span", null, flow.running ? "of the run under way" : "of the last run") : null },
      h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Steps" }, diagram(flow.parts, figuresOf(run?.records, run?.failed_by_step, run?.steps, flow.parts.filter((part) => part.kind === "export" || part.kind === "webhook").length === 1), width))) : null,
    explain?.pools?.length ? requests(explain.pools) : null,
    errors(flow, groups),
    card("Runs", { key: "runs", note: runs.length ? `the last ${runs.length}` : null, more: h("a", { href: go("/runs", { flow: id }) }, "All runs") },
      runs.length ? [history(runs, width), table(RUNS, runs.slice(0, 15), { label: "Runs", key: (one) => one.run })] : empty("It has not run yet", "Its first run shows up here as it happens.")),
    totals ? card("All records so far", { key: "totals", note: "over all stored runs" }, shares([
      ["delivered", totals.delivered, "good"], ["filtered", totals.filtered, "idle"], ["on the way", totals.in_flight, "live"],
      ["open errors", totals.open_errors, "warn"], ["settled by hand", totals.dismissed, "pause"],
    ])) : null,
  ].filter(Boolean);
}

export default {
  title: (id) => cut(id, 80),
  load,
  view,
  hears: (kind, data, id) => data.flow === id || kind === "reload" || kind.startsWith("connection_"),
};
