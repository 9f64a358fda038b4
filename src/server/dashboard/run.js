// Runs: all of them, newest first; and one on its own time axis.

import { cancelRun } from "./act.js";
import { get } from "./api.js";
import { lanes, room, shares } from "./charts.js";
import { go, h } from "./dom.js";
import { card, empty, explained, facts, flowLink, head, outcome, table } from "./parts.js";
import { absolute, count, cut, many, nowMs, span, when } from "./words.js";

const PHASES = [["", "all"], ["running", "running"], ["held", "held"], ["ended", "ended"], ["dismissed", "given up"]];
/** Requests in line that are shown. */
const SHOWN = 12;
let pages = 1;

async function load(id, query, signal) {
  if (!id) {
    const runs = await get("runs", undefined, { flow: query.flow, phase: query.phase, limit: 50 * pages }, signal);
    return { runs: runs.runs, next: runs.next };
  }
  const run = await get("runs", id, undefined, signal);
  const open = run.phase === "running" || run.phase === "held";
  const [explain, errors] = await Promise.all([
    open ? get("explain/run", id, undefined, signal) : null,
    run.records.failed ? get("errors", undefined, { run: id, open: false, limit: 8 }, signal) : null,
  ]);
  return { run, explain, errors: errors?.errors ?? [] };
}

const COLUMNS = [
  ["Outcome", (run) => outcome(run), "state"],
  ["Run", (run) => h("a", { href: go(`/runs/${run.run}`) }, when(run.started)), "wide"],
  ["Flow", (run) => flowLink(run.flow)],
  ["Trigger", (run) => h("span.quiet", null, cut(run.trigger ?? run.kind, 20))],
  ["Took", (run) => h("span.num", null, run.took_ms === null ? "–" : span(run.took_ms / 1000)), "right"],
  ["Read", (run) => h("span.num", null, count(run.records.exported)), "right"],
  ["Delivered", (run) => h("span.num", null, count(run.records.delivered)), "right"],
  ["Failed", (run) => h("span.num", { class: run.records.failed ? "warned" : "quiet" }, count(run.records.failed)), "right"],
];

function list({ runs, next }, query, ui) {
  const chip = ([value, text]) =>
    h("button.chip", { type: "button", "aria-pressed": String((query.phase ?? "") === value), "data-key": `chip-${value}`, onclick: () => ui.search({ ...query, phase: value }) }, text);
  return [
    head("Runs", { sub: query.flow ? h("span", null, "of ", flowLink(query.flow), " · ", h("a", { href: "#/runs" }, "of all flows")) : null }),
    card(null, { key: "runs" },
      h("div.filters", null, h("div.chips", { role: "group", "aria-label": "Phase" }, PHASES.map(chip))),
      runs.length ? table(COLUMNS, runs, { label: "Runs", key: (run) => run.run }) : empty("No run is like that", "Runs show up here as they begin."),
      next ? h("div.row.more", null, h("button.button", { type: "button", onclick: () => { pages = Math.min(pages + 1, 20); ui.again(0); } }, "Show more")) : null),
  ];
}

const PAGES = [
  ["Page", (page) => h("span.num", null, count(page.page)), "right"],
  ["Records", (page) => h("span.num", null, count(page.records)), "right"],
  ["On the way", (page) => h("span.num", { class: page.in_flight ? null : "quiet" }, count(page.in_flight)), "right"],
  ["Body stored", (page) => (page.stored ? "yes" : h("span.quiet", null, "let go"))],
  ["Crashes", (page) => h("span.num", { class: page.crashes ? "warned" : "quiet" }, count(page.crashes)), "right"],
];

function one({ run, explain, errors }) {
  const { records } = run;
  const live = run.live;
  // Of those that failed.
  const later = run.redelivered + run.refiltered + run.dismissed;
  const took = run.took_ms ?? (live ? nowMs() - Date.parse(run.started) : null);
  return [
    head(flowLink(run.flow), { kicker: h("a", { href: go("/runs", { flow: run.flow }) }, "Runs"), state: outcome(run), sub: h("span.mono", null, cut(run.run, 120)), actions: [live ? cancelRun(run.flow) : null] }),
    run.cause ? h("p.note", { class: "bad", "data-key": "cause" }, h("span", null, cut(run.cause, 600))) : null,
    card("The run over time", { key: "time", note: run.timeline ? h("span", null, `${span(run.timeline.step_ms / 1000)} a step`) : null },
      run.timeline ? lanes(run.timeline, room()) : h("p.quiet.flush", null, "How it went over time is known of runs since this process started, the last 200 of them.")),
    h("div.columns", null,
      card("Records", { key: "records" }, shares([
        ["delivered", records.delivered, "good"], ["filtered", records.filtered, "idle"], ["on the way", records.in_flight, "live"],
        ["failed", Math.max(0, records.failed - later), "warn"], ["failed, settled later", later, "pause"],
      ]), facts([
        ["Read", h("span.num", null, count(records.exported))],
        ["Pages", h("span.num", null, count(run.pages), run.open_pages ? h("span.quiet", null, `, ${count(run.open_pages)} not settled`) : null)],
        ["Requests to the destination", h("span.num", null, count(run.requests))],
        ["Rate", h("span.num", null, took ? `${count(Math.round((records.delivered / Math.max(1, took)) * 10_000) / 10)}/s` : "–")],
      ])),
      card("Facts", { key: "facts" }, facts([
        ["Started", h("span", null, when(run.started), h("span.quiet", null, ` · ${absolute(run.started)}`))],
        ["Ended", run.ended ? h("span", null, when(run.ended), h("span.quiet", null, ` · ${absolute(run.ended)}`)) : "not yet"],
        ["Took", h("span.num", null, took === null ? "–" : span(took / 1000))],
        ["Trigger", cut(run.trigger ?? run.kind, 60)],
        run.occurrence ? ["Due", when(run.occurrence)] : null,
        run.limit ? ["Limit", many(run.limit, "record")] : null,
        run.crashes ? ["Went on after", many(run.crashes, "crash", "crashes")] : null,
      ]))),
    explain ? explained(explain) : null,
    explain?.pools?.length ? requests(explain.pools) : null,
    errors.length ? card("Records that failed", { key: "errors", more: h("a", { href: go("/errors", { run: run.run, open: "false" }) }, "All of them") },
      h("ul.attention.wide", null, errors.map((error) => h("li", null, h("a", { href: go(`/errors/${error.id}`) }, `#${error.id}`), h("span.what", null, cut(error.message, 200)), h("span.why", null, cut(error.step, 60)))))) : null,
    run.pages_shown.length ? card("Pages", { key: "pages", note: "that are still stored, the newest first" }, table(PAGES, run.pages_shown, { label: "Pages", key: (page) => String(page.page), kind: "narrow" })) : null,
  ].filter(Boolean);
}

/** What stands in line, why, and when it is expected to start. */
export function requests(pools) {
  const rows = pools.flatMap((pool) => pool.waiting.map((request) => ({ ...request, pool: pool.pool })));
  if (!rows.length) return null;
  const columns = [
    ["Place", (one) => h("span.num", null, one.position ?? "–")],
    ["Flow", (one) => flowLink(one.flow), "wide"],
    ["Waited", (one) => h("span.num", null, span(one.waited_seconds)), "right"],
    ["Why", (one) => one.reasons.map((reason) => h("span.under", null, cut(reason.text, 200)))],
    ["Expected", (one) => (one.starts ? when(one.starts) : h("span.quiet", null, "nobody can tell"))],
  ];
  const more = pools.reduce((sum, pool) => sum + pool.more, 0) + Math.max(0, rows.length - SHOWN);
  return card("Requests in line", { key: "requests", note: more ? `and ${count(more)} more` : null },
    table(columns, rows.slice(0, SHOWN).map((row, at) => ({ ...row, at })), { label: "Requests in line", key: (row) => `${row.pool}-${row.at}` }));
}

export default {
  title: (id) => (id ? `Run ${cut(id, 40)}` : "Runs"),
  enter: () => { pages = 1; },
  load,
  view: (data, id, query, ui) => (id ? one(data) : list(data, query, ui)),
  hears: (kind, data, id) => (id ? data.run === id || data.running?.run === id || kind === "queue" : kind.startsWith("run_")),
  least: () => 1_000,
};
