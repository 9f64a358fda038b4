// Error records: grouped by what they have in common, and one with its record, request and answer.

import { askToken, resolve, retry } from "./act.js";
import { get, hasToken } from "./api.js";
import { go, h } from "./dom.js";
import { card, empty, excerpt, facts, flowLink, head, laid, pill, table } from "./parts.js";
import { count, cut, many, when } from "./words.js";

const filter = (query) => ({ flow: query.flow, run: query.run, class: query.class, fingerprint: query.fingerprint, open: query.open === "false" ? "false" : undefined });

async function load(id, query, signal) {
  if (id) {
    // Records are for who brings the token.
    if (!hasToken()) return { locked: true };
    return { error: await get("errors", id, undefined, signal) };
  }
  const wanted = filter(query);
  const groups = await get("errors", undefined, { ...wanted, group: true }, signal);
  const records = query.fingerprint || query.run ? await get("errors", undefined, { ...wanted, limit: 100 }, signal) : null;
  return { groups: groups.groups ?? [], more: groups.more ?? 0, records: records?.errors ?? null };
}

const STATES = { open: "warn", redelivered: "good", refiltered: "good", dismissed: "idle" };
const WORDS = { open: "open", redelivered: "delivered since", refiltered: "filtered since", dismissed: "settled by hand" };
const state = (error) => pill(WORDS[error.state] ?? error.state, STATES[error.state] ?? "idle");
const what = (one) => pill(one.status ? `${one.class} ${one.status}` : one.class, one.class === "rejected" || one.class === "invalid" ? "warn" : "bad");

function group(one, query) {
  const which = { fingerprint: one.fingerprint, flow: one.flow };
  const say = `${many(one.open, "record")} of ${one.flow}`;
  return h("li.group", { "data-key": `${one.flow} ${one.fingerprint}` },
    h("div.grow", null,
      h("p.row.tight", null, what(one), flowLink(one.flow), h("span.quiet", null, `step ${cut(one.step, 60)}`)),
      h("p.message", null, h("a", { href: go("/errors", { ...query, flow: one.flow, fingerprint: one.fingerprint }) }, cut(one.message, 400))),
      h("p.quiet.small", null, "newest ", when(one.newest), " · oldest ", when(one.oldest), " · ", h("span.mono", null, cut(one.fingerprint, 12).slice(0, 12)))),
    h("div.tally", null, h("span.big.num", null, count(one.open)), h("span.quiet.small", null, one.count === one.open ? "open" : `open of ${count(one.count)}`)),
    one.open ? h("div.row.actions", null, retry(which, say, "Retry all"), resolve(which, say, "Resolve all")) : null);
}

const COLUMNS = [
  ["Record", (error) => h("a", { href: go(`/errors/${error.id}`) }, `#${error.id}`)],
  ["State", state, "state"],
  ["What the API said", (error) => cut(error.message, 260), "wide"],
  ["Key", (error) => h("span.mono", null, cut(error.trace_key ?? "–", 60))],
  ["Opened", (error) => when(error.opened)],
  ["", (error) => (error.state === "open" ? h("span.row.end", null, retry({ ids: [error.id] }, `record ${error.id}`)) : null), "right"],
];

function list({ groups, more, records }, query, ui) {
  const open = query.open !== "false";
  const chip = (value, text) => h("button.chip", { type: "button", "aria-pressed": String(open === value), "data-key": `chip-${value}`, onclick: () => ui.search({ ...query, open: value ? undefined : "false" }) }, text);
  const narrowed = [query.flow && ["flow", query.flow], query.fingerprint && ["kind", query.fingerprint.slice(0, 12)], query.run && ["run", query.run], query.class && ["class", query.class]].filter(Boolean);
  return [
    head("Errors", { sub: narrowed.length ? h("span", null, narrowed.map(([name, value]) => `${name} ${cut(value, 80)} `), h("a", { href: "#/errors" }, "Show all")) : null }),
    hasToken() ? null : h("p.note", { "data-key": "readonly" }, h("span", null, "Read-only. "), h("button.link", { type: "button", onclick: () => askToken(false) }, "Enter the token"), h("span", null, " to see records, and to retry or resolve them.")),
    card(null, { key: "groups" },
      h("div.filters", null, h("div.chips", { role: "group", "aria-label": "State" }, chip(true, "open"), chip(false, "all"))),
      groups.length ? h("ul.groups", null, groups.map((one) => group(one, query))) : empty(open ? "No open errors" : "No error records", open ? "Every record was delivered, left out by a rule, or settled." : "Nothing has failed within the time records are kept."),
      more ? h("p.quiet", null, `and ${count(more)} more kinds: narrow it down by a flow`) : null),
    records ? card("Records", { key: "records" }, records.length ? table(COLUMNS, records, { label: "Records", key: (error) => String(error.id) }) : h("p.quiet.flush", null, "None.")) : null,
  ].filter(Boolean);
}

function one({ error, locked }, id) {
  if (locked) {
    return [head(`Record #${cut(id, 20)}`, { kicker: h("a", { href: "#/errors" }, "Errors") }),
      card(null, { key: "locked" }, h("div.empty", null, h("p.strong", null, "Records are shown to who brings the token"), h("p.quiet", null, "They may have personal data in them."),
        h("button.button.strong", { type: "button", onclick: () => askToken(false) }, "Enter the token")))];
  }
  const open = error.state === "open";
  const which = { ids: [error.id] };
  return [
    head(`Record #${error.id}`, { kicker: h("a", { href: "#/errors" }, "Errors"), state: state(error), sub: h("span", null, flowLink(error.flow), ` · step ${cut(error.step, 60)}`),
      actions: open ? [resolve(which, `record ${error.id}`), retry(which, `record ${error.id}`)] : [] }),
    h("p.note", { class: open ? "warn" : "", "data-key": "message" }, h("span", null, what(error), " ", cut(error.message, 2_000))),
    h("div.columns", null,
      card("Facts", { key: "facts" }, facts([
        ["Opened", when(error.opened)], ["Changed", h("span", null, when(error.changed), error.by ? ` by ${cut(error.by, 60)}` : null)],
        ["Attempts", h("span.num", null, count(error.attempts))], ["Retries", h("span.num", null, count(error.retries))],
        error.next_retry ? ["Tried again", when(error.next_retry)] : null,
        ["Run", h("a", { href: go(`/runs/${error.run}`) }, cut(error.run, 60))],
        ["Place", h("span.num", null, `page ${count(error.page)}, record ${count(error.record)}, export ${cut(error.export, 60)}`)],
        error.trace_key ? ["Trace key", h("span.mono", null, cut(error.trace_key, 120))] : null,
        error.link ? ["At its source", h("span.mono.break", null, cut(error.link, 500))] : null,
        error.key ? ["Idempotency key", h("span.mono.break", null, cut(error.key, 120))] : null,
        ["Same kind", h("a", { href: go("/errors", { flow: error.flow, fingerprint: error.fingerprint }) }, cut(error.fingerprint, 12).slice(0, 12))],
      ])),
      card("Record", { key: "record" }, excerpt("As it was read", laid(error.payload), { key: "payload" }))),
    error.request || error.response ? h("div.columns", null,
      error.request ? card("Request", { key: "request" }, excerpt("As it was sent", laid(error.request))) : null,
      error.response ? card("Answer", { key: "response" }, excerpt("An excerpt", laid(error.response))) : null) : null,
  ].filter(Boolean);
}

export default {
  title: (id) => (id ? `Record #${cut(id, 20)}` : "Errors"),
  load,
  view: (data, id, query, ui) => (id ? one(data, id) : list(data, query, ui)),
  hears: (kind) => kind === "run_ended" || kind === "first_error",
  least: () => 1_500,
};
