// What several pages are made of: states in colour, shape and word, reasons, tables, empty places.

import { go, h, s } from "./dom.js";
import { cut, plain, when } from "./words.js";

const MARKS = {
  good: "M5 12.500l4.500 4.500L19 7.500",
  bad: "M7 7l10 10M17 7L7 17",
  warn: "M12 5v9M12 18v1.500",
  live: "M8 5.500v13l10-6.500z",
  idle: "M6 12h12",
  wait: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4.500l3 1.500",
};

/** A state: never told by colour alone. */
export const pill = (word, kind, title) =>
  h("span.pill", { class: kind, title },
    s("svg", { viewBox: "0 0 24 24", width: 13, height: 13, "aria-hidden": "true" }, s("path", { d: MARKS[kind] ?? MARKS.idle })), plain(word));

const HEALTH = {
  ok: ["healthy", "good"], running: ["running", "live"], waiting: ["waiting", "wait"], stopping: ["stopping", "wait"],
  failed: ["failed", "bad"], errors: ["open errors", "warn"], paused: ["paused", "idle"], disabled: ["disabled", "idle"],
  removed: ["removed", "idle"], never_ran: ["never ran", "idle"],
};
export const HEALTH_WORDS = Object.fromEntries(Object.entries(HEALTH).map(([key, [word]]) => [key, word]));

export const health = (word) => pill(...(HEALTH[word] ?? [word, "idle"]));

const OUTCOMES = { succeeded: "good", errors: "warn", running: "live", held: "wait", dismissed: "idle", cancelled: "idle" };
export const outcome = (run) => {
  const word = run.phase === "running" && run.live ? "running" : run.outcome ?? run.phase;
  return pill(word.replaceAll("_", " "), OUTCOMES[word] ?? "bad");
};

export const flowLink = (id, text) => h("a", { href: go(`/flows/${id}`) }, cut(text ?? id, 160));
export const connectionLink = (id) => h("a", { href: go(`/connections/${id}`) }, cut(id, 160));

/** A line is a connection, or the token endpoint of one. */
export const lineLink = (line) => (line.includes(" ") ? plain(line) : connectionLink(line));

export const empty = (title, text, ...more) =>
  h("div.empty", null, s("svg", { viewBox: "0 0 24 24", width: 34, height: 34, "aria-hidden": "true" }, s("circle", { cx: 12, cy: 12, r: 9.5 }), s("path", { d: MARKS.good })),
    h("p.strong", null, title), text ? h("p.quiet", null, text) : null, more);

export const head = (title, { kicker, state, sub, actions } = {}) =>
  h("div.head", null,
    h("div.grow", null, kicker ? h("p.kicker", null, kicker) : null, h("h1", { tabindex: "-1" }, title, " ", state), sub ? h("p.quiet.sub", null, sub) : null),
    actions?.some(Boolean) ? h("div.row.actions", null, actions) : null);

export const card = (title, { more, note, key, kind } = {}, ...inside) =>
  h("section.card", { "data-key": key, class: kind, "aria-label": title },
    title ? h("div.card-head", null, h("h2", null, title), note ? h("span.quiet.small", null, note) : null, more) : null, inside);

/** Rows of a table; on a narrow screen each row becomes a card and cells say what they are. */
export function table(columns, rows, { label, key, kind } = {}) {
  const cells = (row) => columns.map(([name, of, kind]) => h("td", { class: kind, "data-name": name }, of(row)));
  return h("div.table", { class: kind, role: "region", "aria-label": label, tabindex: rows.length > 12 ? "0" : null },
    h("table", null,
      h("thead", null, h("tr", null, columns.map(([name, , kind]) => h("th", { scope: "col", class: kind }, name)))),
      h("tbody", null, rows.map((row) => h("tr", { "data-key": key ? key(row) : null, class: row.rowKind ?? null }, cells(row))))));
}

/** Names with what they are. */
export const facts = (pairs) =>
  h("dl.facts", null, pairs.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value ?? "–"))));

const RULES = {
  level: "level", borrowed_level: "borrowed level", wait: "wait time", pause: "rate-limit pause", rate: "rate", order: "order", back_off: "back-off",
  offline: "offline", overlap: "overlap", schedule: "schedule", no_schedule: "no schedule", max_runs: "max_runs", cannot_send: "cannot send",
};

/** Reasons, rule by rule. */
export const reasons = (list) =>
  h("ul.reasons", null, list.map((reason) =>
    h("li", null, h("span.rule", null, RULES[reason.rule] ?? plain(reason.rule).replaceAll("_", " ")), h("span.grow", null, cut(reason.text, 600),
      reason.since ? h("span.quiet", null, " · since ", when(reason.since)) : null,
      reason.until ? h("span.quiet", null, " · ", when(reason.until)) : null))));

/** `explain`: what the rules that grant say themselves. */
export function explained(told, { title = "Why it waits, or does not" } = {}) {
  const kinds = { waiting: "wait", working: "live", idle: "idle", held: "wait" };
  return card(title, { key: "explain", note: h("span", null, pill(told.state.replaceAll("_", " "), kinds[told.state] ?? "idle")) },
    told.reasons.length ? reasons(told.reasons) : h("p.flush", null, cut(told.summary, 600)));
}

/** Text of others in a box of its own. */
export const excerpt = (title, text, { cap = 20_000, key } = {}) =>
  text === null || text === undefined ? null
    : h("div.excerpt", { "data-key": key }, h("h3", null, title), h("pre", { tabindex: "0", "aria-label": title }, cut(text, cap)));

/** JSON with line breaks. Numbers and order stay as they are written. */
export function laid(text) {
  if (text.length > 200_000) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let [out, depth, quoted] = ["", 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const c = text[at];
    if (quoted) {
      out += c;
      if (c === "\\") out += text[(at += 1)];
      else if (c === '"') quoted = false;
    } else if (c === '"') {
      quoted = true;
      out += c;
    } else if (c === "{" || c === "[") {
      const close = c === "{" ? "}" : "]";
      const rest = /\S/.exec(text.slice(at + 1, at + 200));
      if (rest?.[0] === close) {
        out += c + close;
        at += 1 + rest.index;
      } else out += `${c}\n${"  ".repeat((depth += 1))}`;
    } else if (c === "}" || c === "]") out += `\n${"  ".repeat((depth -= 1))}${c}`;
    else if (c === ",") out += `,\n${"  ".repeat(depth)}`;
    else if (c === ":") out += ": ";
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}
