// Overview: what needs attention first, then every flow in a line.

import { get } from "./api.js";
import { freshness, isStale, spark } from "./charts.js";
import { go, h } from "./dom.js";
import { HEALTH_WORDS, card, connectionLink, empty, flowLink, head, health, pill, table } from "./parts.js";
import { count, cut, exactly, many, rate, span, when } from "./words.js";

/** As many flows as are sorted here; of more the server gives pages by their ids. */
const FEW = 300;
const PRESSING = ["failed", "errors", "stopping", "waiting", "running", "paused", "never_ran", "ok", "disabled", "removed"];
let shown = FEW;
let size = 0;

async function load(_, query, signal) {
  const [flows, links] = await Promise.all([
    get("flows", undefined, { q: query.q?.toLowerCase(), state: query.state, limit: shown }, signal),
    get("connections", undefined, undefined, signal),
  ]);
  size = Object.values(flows.states).reduce((sum, n) => sum + n, 0);
  // The pressing ones of very many, whatever is looked for.
  const whole = !flows.next && !query.q && !query.state;
  const some = (state) => get("flows", undefined, { state, limit: 50 }, signal);
  const [worst, others] = whole ? [] : flows.attention ? await Promise.all([some("failed,overdue"), some("attention")]) : [{ flows: [] }, { flows: [] }];
  const pressing = whole ? flows.flows : [...new Map([...worst.flows, ...others.flows].map((flow) => [flow.id, flow])).values()];
  return { flows, links: links.connections, pressing };
}

/** [how bad, mark, what, where, why, whether it is a connection] */
function attention({ links, pressing }) {
  const items = [];
  for (const link of links) {
    const add = (...item) => items.push([...item, true]);
    if (link.offline) add(0, "bad", "offline", connectionLink(link.id), [cut(link.offline.reason, 300), " · since ", when(link.offline.since)]);
    else if (link.cannot_send) add(0, "bad", "cannot send", connectionLink(link.id), [cut(link.cannot_send, 300)]);
    else if (link.paused_seconds) add(3, "wait", "paused", connectionLink(link.id), [`the API asked to wait, ${span(link.paused_seconds)} more`]);
    if (!link.tls_verify) add(4, "warn", "TLS", connectionLink(link.id), ["certificates are not verified (tls.verify = false)"]);
  }
  for (const flow of pressing) {
    const open = flow.errors?.open ?? 0;
    if (flow.health === "failed") items.push([1, "bad", "failed", flowLink(flow.id), [cut(flow.last?.error ?? "its last run failed", 300), " · ", when(flow.last?.ended)]]);
    else if (isStale(flow) && !flow.running) items.push([1, "bad", "overdue", flowLink(flow.id), ["last success ", when(flow.last_success), `, due every ${span(flow.fresh.interval_seconds)}`]]);
    if (open) items.push([2, "warn", "open errors", h("a", { href: go("/errors", { flow: flow.id }) }, cut(flow.id, 160)), [many(open, "record"), " open, the oldest ", when(flow.errors.oldest)]]);
    if (flow.waits) items.push([2, "wait", "waits", flowLink(flow.id), [cut(flow.waits, 300)]]);
    if (flow.unfinished?.held && !flow.running) items.push([3, "wait", "held", flowLink(flow.id), ["a run stopped and goes on with the next one", flow.unfinished.cause ? `: ${cut(flow.unfinished.cause, 200)}` : ""]]);
    if (flow.paused) items.push([5, "idle", "paused", flowLink(flow.id), ["by hand, ", when(flow.paused)]]);
  }
  return items.sort((one, other) => one[0] - other[0]);
}

const tile = (name, value, note, href, kind) =>
  h(href ? "a.tile" : "div.tile", { href, class: kind, "data-key": name }, h("span.tile-name", null, name), h("span.tile-value.num", null, value), h("span.quiet.small", null, note));

function tiles(data, items) {
  const { states, open_errors: open, flows } = data.flows;
  const sum = (...names) => names.reduce((all, name) => all + (states[name] ?? 0), 0);
  // The lines below; of very many flows the list has the first ones only, and the figure all.
  const bad = data.flows.attention + items.filter((item) => item[5]).length;
  const running = sum("running", "stopping", "waiting");
  const now = flows.filter((flow) => flow.recent).reduce((all, flow) => all + flow.recent.delivered.slice(-5).reduce((a, b) => a + b, 0), 0) / 270;
  const hour = flows.filter((flow) => flow.recent).reduce((all, flow) => all + flow.recent.delivered.reduce((a, b) => a + b, 0), 0);
  return h("div.tiles", null,
    tile("Need attention", exactly(bad), bad ? `${items[0]?.[2] ?? ""}: see below` : "nothing to do", null, bad ? "alert" : "fine"),
    tile("Healthy", exactly(sum("ok")), `of ${many(size, "flow")}`, go("/", { state: "ok" })),
    tile("Running", exactly(running), states.waiting ? `${states.waiting} of them wait for their turn` : "runs under way", go("/", { state: "running,stopping,waiting" })),
    tile("Open errors", exactly(open), open ? "records to look at" : "every record is settled", go("/errors"), open ? "warned" : null),
    tile("Records", rate(now), `${count(hour)} within the hour`));
}

function state(flow) {
  const { running } = flow;
  if (running && running.records.exported) {
    const { delivered, filtered, failed, exported } = running.records;
    return [health(flow.health), h("span.quiet.small.under", null, `${count(delivered + filtered + failed)} of ${count(running.total ?? exported)}`)];
  }
  return [health(flow.health), flow.health !== "failed" && isStale(flow) && !running ? h("span.under", null, pill("overdue", "bad")) : null];
}

function name(flow) {
  return [h("a.name", { href: go(`/flows/${flow.id}`) }, cut(flow.title ?? flow.id, 120)), flow.title ? h("span.quiet.small.under.mono", null, cut(flow.id, 120)) : null];
}

const COLUMNS = [
  ["State", state, "state"],
  ["Flow", name, "wide"],
  ["Last success", (flow) => [when(flow.last_success), freshness(flow)], "stack"],
  ["Next run", (flow) => (flow.next_run ? when(flow.next_run) : h("span.quiet", null, flow.state === "disabled" ? "disabled" : "–"))],
  ["Records, last hour", (flow) => spark(flow.recent)],
  ["Open errors", (flow) => (flow.errors?.open ? h("a.num.warned", { href: go("/errors", { flow: flow.id }) }, count(flow.errors.open)) : h("span.quiet.num", null, "0")), "right"],
];

function filters(data, query, ui) {
  const { states } = data.flows;
  const chip = (value, text, n) =>
    h("button.chip", { type: "button", "aria-pressed": String((query.state ?? "") === value), onclick: () => ui.search({ ...query, state: value }), "data-key": `chip-${value}` }, text, " ", h("span.num", null, count(n)));
  return h("div.filters", null,
    h("input", { type: "search", placeholder: "Find a flow", "aria-label": "Find a flow by id or title", value: query.q ?? "", "data-key": "q", oninput: (event) => ui.search({ ...query, q: event.currentTarget.value.trim() }) }),
    h("div.chips", { role: "group", "aria-label": "State" }, chip("", "all", size), PRESSING.filter((word) => states[word]).map((word) => chip(word, HEALTH_WORDS[word], states[word]))));
}

function view(data, _, query, ui) {
  const { flows } = data;
  const items = attention(data);
  const rows = [...flows.flows];
  if (!flows.next) rows.sort((one, other) => rank(one) - rank(other) || (one.id < other.id ? -1 : 1));
  const more = flows.next
    ? h("div.row.more", null, h("button.button", { type: "button", onclick: () => { shown = Math.min(shown + FEW, 3_000); ui.again(0); } }, `Show more of ${count(flows.total)}`), h("span.quiet.small", null, "or find them by name"))
    : null;
  const listed = items.slice(0, 12);
  return [
    head("Overview"),
    tiles(data, items),
    card("Needs attention", { key: "attention", note: items.length > 12 ? `the first 12 of ${items.length}` : null },
      items.length
        ? h("ul.attention", null, listed.map(([, kind, word, what, why]) => h("li", null, pill(word, kind), h("span.what", null, what), h("span.why", null, why))))
        : empty("Nothing needs attention", "No run failed, no record is open, every connection can be used.")),
    card("Flows", { key: "flows", note: flows.total === size ? null : `${count(flows.total)} of ${count(size)}` },
      filters(data, query, ui),
      rows.length ? table(COLUMNS, rows, { label: "Flows", key: (flow) => flow.id })
        : size ? empty("No flow is like that", "Another word, or another state?") : empty("No flows yet", "Put a file into flows/ and save it: it shows up here."), more),
  ];
}

const rank = (flow) => (isStale(flow) && flow.health !== "failed" ? 0.5 : PRESSING.indexOf(flow.health));

export default {
  title: () => "Overview",
  enter: () => { shown = FEW; },
  load,
  view,
  hears: (kind) => kind !== "queue",
  least: () => (size > 2_000 ? 10_000 : size > 500 ? 4_000 : 1_500),
};
