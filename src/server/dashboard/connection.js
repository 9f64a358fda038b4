// Connections: what each bears, what is in flight, what waits and why.

import { ping } from "./act.js";
import { get } from "./api.js";
import { places, pool, room } from "./charts.js";
import { go, h } from "./dom.js";
import { card, connectionLink, empty, explained, facts, flowLink, head, lineLink, pill, table } from "./parts.js";
import { requests } from "./run.js";
import { count, cut, span, when } from "./words.js";

async function load(id, _, signal) {
  if (!id) return get("connections", undefined, undefined, signal);
  const [connection, explain] = await Promise.all([get("connections", id, undefined, signal), get("explain/connection", id, undefined, signal)]);
  return { connection, explain };
}

function standing(link) {
  if (link.offline) return pill("offline", "bad");
  if (link.cannot_send) return pill("cannot send", "bad");
  if (link.paused_seconds) return pill("paused", "wait");
  if (link.queued) return pill("waiting", "wait");
  if (link.in_flight) return pill("working", "live");
  if (link.pool_in_flight && !link.borrows_from) return pill("lent out", "live", "its borrowers have something in flight");
  return pill("idle", "idle");
}

function pinged(told) {
  if (!told) return h("span.quiet", null, "not yet");
  return h("span.stack", null, h("span", null, pill(told.verdict, told.verdict === "ok" ? "good" : "bad"), " ", h("span.num", null, span(told.seconds))), when(told.at, { class: "quiet small" }));
}

const COLUMNS = [
  ["State", standing, "state"],
  ["Connection", (link) => [h("a.name", { href: go(`/connections/${link.id}`) }, cut(link.title ?? link.id, 120)), h("span.quiet.small.under.mono", null, cut(`${link.title ? `${link.id} · ` : ""}${link.origin}`, 140))], "wide"],
  ["In flight", (link) => [h("span.num", null, `${count(link.in_flight ?? 0)} of ${count(link.level)}`), link.borrows_from ? h("span.quiet.small.under", null, `level of ${cut(link.borrows_from, 60)}`) : null]],
  ["Queued", (link) => h("span.num", { class: link.queued ? null : "quiet" }, count(link.queued ?? 0)), "right"],
  ["Oldest", (link) => h("span.num", { class: link.oldest_seconds ? null : "quiet" }, link.oldest_seconds === null ? "–" : span(link.oldest_seconds)), "right"],
  ["Pause", (link) => h("span.num", { class: link.paused_seconds ? "warned" : "quiet" }, link.paused_seconds ? span(link.paused_seconds) : "–"), "right"],
  ["Last ping", (link) => pinged(link.ping)],
];

const list = ({ connections }) => [
  head("Connections"),
  card(null, { key: "connections" }, connections.length ? table(COLUMNS, connections, { label: "Connections", key: (link) => link.id }) : empty("No connections yet", "Put a file into connections/ and save it.")),
];

/** What each flow has in each line of the pool. */
function queue(document) {
  const rows = document.lines.flatMap((line) => line.flows.map((share) => ({ ...share, line: line.connection })));
  const columns = [
    ["Flow", (row) => flowLink(row.flow), "wide"],
    ["Line", (row) => lineLink(row.line)],
    ["In flight", (row) => h("span.num", null, count(row.in_flight)), "right"],
    ["Queued", (row) => h("span.num", null, count(row.queued)), "right"],
    ["Oldest", (row) => h("span.num", null, row.oldest_seconds === null ? "–" : span(row.oldest_seconds)), "right"],
  ];
  return card("Queue by flow", { key: "queue" }, rows.length ? table(columns, rows, { label: "Queue by flow", key: (row) => `${row.line} ${row.flow}` }) : h("p.quiet.flush", null, "Nothing is in flight and nothing waits."));
}

function credential(link) {
  if (!link.credential) return null;
  const { expires, renewed_in_seconds: renewed } = link.credential;
  return ["Token", h("span.stack", null, expires ? h("span", null, "expires ", when(expires)) : "its end is not known", renewed === null ? null : h("span.quiet", null, `renewed in ${span(renewed)}`))];
}

function one({ connection: link, explain }) {
  const { queue: document, rate_limit: told } = link;
  const lines = document?.lines ?? [];
  return [
    head(cut(link.title ?? link.id, 160), { kicker: h("a", { href: "#/connections" }, "Connections"), state: standing(link), sub: h("span.mono", null, cut(`${link.id} · ${link.origin}`, 200)), actions: [ping(link.id)] }),
    link.offline ? h("p.note", { class: "bad", "data-key": "offline" }, h("span", null, "Offline since ", when(link.offline.since), `: ${cut(link.offline.reason, 400)}. `, link.offline.login ? "Somebody has to log in: flowgate auth login." : `Tried again in ${span(link.offline.next_try_seconds)}.`)) : null,
    link.tls_verify ? null : h("p.note", { class: "warn", "data-key": "tls" }, h("span", null, "Certificates of this connection are not verified (tls.verify = false).")),
    document ? card("In flight against the level", { key: "level", note: link.borrows_from ? h("span", null, "borrowed from ", connectionLink(link.borrows_from)) : null },
      h("div.level", null, h("p.big.num", null, count(document.in_flight), h("span.quiet", null, ` of ${count(document.level)}`)),
        places({ level: document.level, own: document.in_flight_own, borrowed: document.in_flight_borrowed }),
        h("ul.legend", null, h("li", null, h("span.dot.own"), h("span.num", null, count(document.in_flight_own)), " own"), h("li", null, h("span.dot.borrowed"), h("span.num", null, count(document.in_flight_borrowed)), " by borrowers"),
          document.max_level ? h("li.quiet", null, `moves by itself, at most ${count(document.max_level)}`) : null)),
      link.recent ? [pool(link.recent, room()), h("ul.legend", null, h("li", null, h("span.dot.in-flight"), "in flight"), h("li", null, h("span.dot.queued"), "queued"), h("li", null, h("span.dot.level-line"), "level"), h("li", null, h("span.dot.pause"), "paused"))] : null) : null,
    h("div.columns", null,
      explained(explain),
      card("Facts", { key: "facts" }, facts([
        ["Authentication", cut(link.auth, 60)],
        credential(link),
        ["Wait after an answer", h("span.num", null, link.wait_seconds ? span(link.wait_seconds) : "none")],
        ["Pause", h("span.num", null, link.paused_seconds ? `${span(link.paused_seconds)} more` : "none")],
        told ? ["The API's own limit", h("span.num", null, `${count(told.remaining)} of ${count(told.limit)} left${told.resets_in_seconds === null ? "" : `, anew in ${span(told.resets_in_seconds)}`}`)] : null,
        link.agent ? ["Agent", cut(link.agent, 60)] : null,
        ["Last ping", pinged(link.ping)],
        lines.length > 1 ? ["Lines", h("span.stack", null, lines.map((line) => h("span", null, lineLink(line.connection), h("span.quiet", null, ` · ${count(line.in_flight)} in flight, ${count(line.queued)} queued`))))] : null,
      ]))),
    document ? queue(document) : null,
    requests(explain.pools),
    card("Flows that use it", { key: "flows" }, link.flows.length ? h("ul.names", null, link.flows.slice(0, 200).map((id) => h("li", null, flowLink(id)))) : h("p.quiet.flush", null, "None.")),
  ].filter(Boolean);
}

export default {
  title: (id) => (id ? cut(id, 80) : "Connections"),
  load,
  view: (data, id) => (id ? one(data) : list(data)),
  hears: (kind) => kind === "queue" || kind === "reload" || kind.startsWith("connection_"),
  least: () => 1_000,
};
