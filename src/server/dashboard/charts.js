// What people would rather look at than read, drawn by hand. Every chart says in words what it shows, for who cannot see it.

import { go, h, s } from "./dom.js";
import { absolute, count, nowMs, rate, span, tick } from "./words.js";

/** Width there is for a chart that goes over the page. */
export function room() {
  const main = document.getElementById("main");
  const style = getComputedStyle(main);
  const inside = main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return Math.max(240, Math.floor(inside - (main.clientWidth < 620 ? 28 : 44)));
}

const fix = (n) => Math.round(n * 10) / 10;

/** Records of the last hour, a minute a step. */
export function spark(recent, width = 132, height = 28) {
  if (!recent) return h("span.spark.none", { title: "nothing was delivered within the last hour" }, "–");
  const values = recent.delivered;
  const most = Math.max(1, ...values);
  const step = width / values.length;
  const y = (value) => fix(height - 1 - (value / most) * (height - 4));
  const line = values.map((value, at) => `${at ? "L" : "M"}${fix(at * step + step / 2)} ${y(value)}`).join("");
  const total = values.reduce((sum, value) => sum + value, 0);
  const last = values.slice(-5).reduce((sum, value) => sum + value, 0) / Math.min(300, 240 + secondsInto(recent));
  const told = `${count(total)} records within the last hour, at most ${count(most)} in a minute`;
  return h("span.spark", { title: told },
    s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told },
      s("path.fill", { d: `${line}L${fix(width - step / 2)} ${height}L${fix(step / 2)} ${height}Z` }), s("path.line", { d: line })),
    h("span.num", null, rate(last)));
}

const secondsInto = (recent) => Math.max(1, 60 - (Date.parse(recent.ends) - nowMs()) / 1000);

/** How old the last success is against the interval it is due in. */
export function freshness(flow) {
  const { fresh, last_success: success } = flow;
  if (!fresh || !success) return null;
  const [from, due, stale] = [success, fresh.due, fresh.stale_after].map((at) => Date.parse(at));
  const now = nowMs();
  const share = Math.min(1, Math.max(0, (now - from) / Math.max(1, stale - from)));
  const kind = now > stale ? "bad" : now > due + Math.min(60_000, (stale - due) / 2) ? "warn" : "good";
  const told = kind === "bad" ? `two scheduled runs brought no success; every ${span(fresh.interval_seconds)}` : `due every ${span(fresh.interval_seconds)}`;
  return h("span.fresh", { title: told, class: kind },
    s("svg", { viewBox: "0 0 72 6", width: 72, height: 6, role: "img", "aria-label": told },
      s("rect.track", { x: 0, y: 1, width: 72, height: 4, rx: 2 }),
      s("rect.done", { x: 0, y: 1, width: fix(72 * share), height: 4, rx: 2 })),
    h("span.quiet.small", null, kind === "bad" ? "overdue" : `every ${span(fresh.interval_seconds)}`));
}

export const isStale = (flow) => Boolean(flow.fresh) && Date.parse(flow.fresh.stale_after) < nowMs();

/** Where records went, as shares of one bar. */
export function shares(parts) {
  const whole = parts.reduce((sum, [, value]) => sum + value, 0);
  if (!whole) return h("p.quiet", null, "No records yet.");
  let x = 0;
  const told = parts.filter(([, value]) => value).map(([name, value]) => `${count(value)} ${name}`).join(", ");
  const bars = parts.map(([, value, kind]) => {
    const width = (value / whole) * 1000;
    const bar = value ? s("rect", { class: kind, x: fix(x), y: 0, width: fix(Math.max(4, width)), height: 12 }) : null;
    x += width;
    return bar;
  });
  return h("div.shares", null,
    s("svg", { viewBox: "0 0 1000 12", preserveAspectRatio: "none", role: "img", "aria-label": told }, bars),
    h("ul.legend", null, parts.map(([name, value, kind]) =>
      h("li", null, s("svg", { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, s("rect", { class: kind, width: 10, height: 10, rx: 2 })),
        h("span.num", null, count(value)), ` ${name}`))));
}

/** In flight against the level: a place each, while there are few. */
export function places({ level, own, borrowed }) {
  const told = `${own} of its own and ${borrowed} borrowed in flight, level ${level}`;
  if (level > 40) {
    const share = (n) => fix((Math.min(n, level) / level) * 1000);
    return s("svg.places", { viewBox: "0 0 1000 22", preserveAspectRatio: "none", role: "img", "aria-label": told },
      s("rect.track", { width: 1000, height: 22, rx: 3 }), s("rect.own", { width: share(own), height: 22 }),
      s("rect.borrowed", { x: share(own), width: share(borrowed), height: 22 }));
  }
  const slots = Math.max(level, own + borrowed);
  const cells = Array.from({ length: slots }, (_, at) => {
    const kind = at < own ? "own" : at < own + borrowed ? "borrowed" : "track";
    return s("rect", { class: at >= level ? `${kind} over` : kind, x: (at % 20) * 28, y: Math.floor(at / 20) * 28, width: 22, height: 22, rx: 5 });
  });
  const rows = Math.ceil(slots / 20);
  const width = Math.min(slots, 20) * 28 - 6;
  return s("svg.places", { viewBox: `0 0 ${width} ${rows * 28 - 6}`, width, height: rows * 28 - 6, role: "img", "aria-label": told }, cells);
}

const OUTCOME = { succeeded: "good", errors: "warn", running: "live", held: "warn", dismissed: "idle", cancelled: "idle" };
export const outcomeKind = (run) => (run.phase === "running" && !run.outcome ? "live" : OUTCOME[run.outcome ?? run.phase] ?? "bad");

/** Runs of a flow on a time axis: as wide as they took, as high as what they moved. */
export function history(runs, width) {
  const height = 116;
  const [top, bottom] = [10, height - 22];
  const now = nowMs();
  const ends = runs.map((run) => (run.ended ? Date.parse(run.ended) : now));
  // A few short runs do not fill the whole width.
  const from = Math.min(now - 600_000, ...runs.map((run) => Date.parse(run.started)));
  const length = Math.max(1_000, Math.max(now, ...ends) - from);
  const x = (at) => 4 + ((at - from) / length) * (width - 8);
  const moved = (run) => run.records.delivered + run.records.filtered + run.records.failed;
  const most = Math.max(1, ...runs.map(moved));
  const bars = runs.map((run, at) => {
    const [begin, end] = [x(Date.parse(run.started)), x(ends[at])];
    const tall = Math.max(6, Math.sqrt(moved(run) / most) * (bottom - top));
    const told = `${run.outcome ?? run.phase}, ${absolute(run.started)}, took ${span((run.took_ms ?? now - Date.parse(run.started)) / 1000)}, ${count(run.records.delivered)} delivered, ${count(run.records.failed)} failed`;
    return s("a", { href: go(`/runs/${run.run}`), "aria-label": `Run: ${told}`, "data-key": run.run, tabindex: at < 12 ? null : "-1" },
      s("title", null, told),
      s("rect.hit", { x: fix(begin - 3), y: top, width: fix(Math.max(8, end - begin + 6)), height: bottom - top }),
      bar(run, fix(begin), fix(Math.max(4, end - begin)), bottom, tall));
  });
  return s("svg.chart.history", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": `${runs.length} runs over ${span(length / 1000)}` },
    axis(from, length, width, bottom, x), bars);
}

/** A run with errors shows how much of it they are. */
function bar(run, x, width, bottom, tall) {
  const { delivered, filtered, failed } = run.records;
  const kind = outcomeKind(run);
  const share = kind === "warn" && delivered + filtered ? Math.max(4, (failed / (delivered + filtered + failed)) * tall) : tall;
  return [
    s("rect", { class: kind, x, y: fix(bottom - tall), width, height: fix(share), rx: 1.5 }),
    share < tall ? s("rect.good", { x, y: fix(bottom - tall + share), width, height: fix(tall - share), rx: 1.5 }) : null,
  ];
}

function axis(from, length, width, bottom, x) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000].map((one) => one * 1_000);
  const step = steps.find((one) => length / one <= Math.max(2, width / 110)) ?? length;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const marks = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= from + length && marks.length < 40; at += step) {
    const place = fix(x(at));
    if (place < 28 || place > width - 28) continue;
    marks.push(s("line.grid", { x1: place, x2: place, y1: 0, y2: bottom }), s("text.tick", { x: place, y: bottom + 15, "text-anchor": "middle" }, tick(at, length)));
  }
  return s("g", { "aria-hidden": "true" }, marks, s("line.base", { x1: 0, x2: width, y1: bottom, y2: bottom }));
}

/** What a run did, lane by lane over its time. */
export function lanes(timeline, width) {
  const steps = timeline.delivered.length;
  const [from, length] = [Date.parse(timeline.begun), Math.max(1, steps) * timeline.step_ms];
  const x = (at) => left + ((at - from) / length) * (width - left - 4);
  const left = width < 560 ? 4 : 176;
  const seconds = timeline.step_ms / 1000;
  const rows = [
    ["Pages read", timeline.pages, "page", (most) => `${count(most)} in ${span(seconds)}`],
    ["Records settled", sum(timeline.delivered, timeline.filtered), "good", (most) => `up to ${rate(most / seconds)}`],
    ["Records failed", timeline.failed, "bad", (most) => `up to ${count(most)} in ${span(seconds)}`],
    ["Requests in flight", timeline.in_flight, "live", (most) => `at most ${count(most)}`],
    ["Waiting in line", timeline.waiting, "warn", (most) => `at most ${count(most)}, oldest ${span(Math.max(0, ...timeline.oldest_ms) / 1000)}`],
    ["Told to pause", timeline.paused_ms, "pause", () => `${span(timeline.paused_ms.reduce((a, b) => a + b, 0) / 1000)} in all`],
  ];
  const tall = left > 4 ? 44 : 58;
  const bottom = rows.length * tall + 4;
  const drawn = rows.map(([name, values, kind, told], row) => {
    const most = Math.max(0, ...values);
    const base = (row + 1) * tall - 6;
    const high = 26;
    const bars = values.map((value, at) => {
      if (!value) return null;
      const begin = x(from + at * timeline.step_ms);
      const wide = Math.max(1.5, x(from + (at + 1) * timeline.step_ms) - begin - 0.6);
      const up = Math.max(2, (value / most) * high);
      return s("rect", { class: kind, x: fix(begin), y: fix(base - up), width: fix(wide), height: fix(up) });
    });
    const words = most ? told(most) : "none";
    const label = left > 4
      ? [s("text.lane", { x: 0, y: base - 16 }, name), s("text.tick", { x: 0, y: base - 2 }, words)]
      : [s("text.lane", { x: left, y: base - high - 8 }, `${name}: `, s("tspan.tick", null, words))];
    return s("g", { role: "img", "aria-label": `${name}: ${words}` }, s("line.grid", { x1: left, x2: width, y1: base, y2: base }), bars, label);
  });
  return s("svg.chart.lanes", { viewBox: `0 0 ${width} ${bottom + 20}`, width, height: bottom + 20, role: "group", "aria-label": `The run over ${span(length / 1000)}` },
    axis(from, length, width, bottom, x), drawn);
}

const sum = (one, other) => one.map((value, at) => value + (other[at] ?? 0));

/** A pool's last minutes: in flight, queued, and the level they may not pass. */
export function pool(recent, width) {
  const height = 150;
  const [top, bottom] = [10, height - 22];
  const steps = recent.in_flight.length;
  const until = Date.parse(recent.ends);
  const [from, length] = [until - steps * recent.step_ms, steps * recent.step_ms];
  const x = (at) => 4 + ((at - from) / length) * (width - 8);
  const level = Math.max(...recent.level);
  const most = Math.max(1, ...recent.in_flight, ...recent.queued, level <= 400 ? level : 0);
  const y = (value) => fix(bottom - (value / most) * (bottom - top));
  const wide = (width - 8) / steps;
  const place = (at) => x(from + at * recent.step_ms);
  const stairs = (values, known) => {
    let path = "";
    values.forEach((value, at) => {
      if (known && !known[at]) return;
      path += `${path && (!known || known[at - 1]) ? "L" : "M"}${fix(place(at))} ${y(value)}L${fix(place(at + 1))} ${y(value)}`;
    });
    return path;
  };
  const area = (values) => `M${fix(place(0))} ${bottom}${stairs(values).replace("M", "L")}L${fix(place(steps))} ${bottom}Z`;
  const told = `Over the last ${span(length / 1000)}: at most ${Math.max(...recent.in_flight)} in flight, at most ${Math.max(...recent.queued)} queued, level ${level}`;
  return s("svg.chart.pool", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told },
    axis(from, length, width, bottom, x),
    recent.paused.map((paused, at) => (paused ? s("rect.pause", { x: fix(place(at)), y: top, width: fix(wide + 0.5), height: bottom - top }) : null)),
    s("path.queued", { d: area(recent.queued) }), s("path.in-flight", { d: area(recent.in_flight) }),
    s("path.level", { d: stairs(recent.level, recent.level) }),
    s("text.tick", { x: 6, y: y(level <= most ? level : most) - 3 }, level <= most ? `level ${level}` : `at most ${most}`));
}
