// A flow as it is read: from its exports through its steps into its import, with what went through each.

import { go, s } from "./dom.js";
import { count, cut } from "./words.js";

const ICONS = {
  export: "M4 12h11M11 7l5 5-5 5M19 5v14",
  webhook: "M6 17a4 4 0 1 1 4-6l3 5h5M9 8l3-4 4 6",
  transform: "M5 7h9M5 12h14M5 17h6M17 5v4M14 15v4",
  keep: "M4 5h16l-6 8v6l-4-2v-4z",
  lookup: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500 20 20",
  route: "M4 12h5c4 0 4-6 9-6M9 12c4 0 4 6 9 6M15 3l3 3-3 3M15 15l3 3-3 3",
  import: "M4 5v14M8 12h11M15 7l5 5-5 5",
};
const [WIDE, TALL, GAP] = [178, 92, 46];

/** `figures(part)` gives lines of [text, kind] under a part. */
export function diagram(parts, figures, width) {
  const across = Math.max(1, Math.floor((width + GAP) / (WIDE + GAP)));
  const stacked = across < 2;
  const exports = parts.filter((part) => part.kind === "export" || part.kind === "webhook");
  const columns = Math.min(across, parts.length - Math.max(0, exports.length - 1));
  const wide = stacked ? Math.min(width - 4, 320) : Math.min(250, Math.floor((width - 6 - (columns - 1) * GAP) / columns));
  const rest = parts.filter((part) => !exports.includes(part));
  const places = [];
  const lines = [];
  // Several exports stand above each other and join.
  const rows = Math.max(1, exports.length);
  if (stacked) {
    parts.forEach((part, at) => places.push({ part, x: 2, y: at * (TALL + 30) + 2 }));
    places.slice(1).forEach((to, at) => lines.push(down(places[at], to, wide)));
  } else {
    exports.forEach((part, at) => places.push({ part, x: 2, y: at * (TALL + 16) + 2 }));
    const middle = ((rows - 1) * (TALL + 16)) / 2 + 2;
    rest.forEach((part, at) => {
      const column = (at + 1) % across;
      const row = Math.floor((at + 1) / across);
      const y = row === 0 ? middle : rows * (TALL + 16) + (row - 1) * (TALL + 34) + 24;
      places.push({ part, x: 2 + column * (wide + GAP), y });
    });
    exports.forEach((_, at) => rest.length && lines.push(right(places[at], places[exports.length], wide)));
    for (let at = exports.length + 1; at < places.length; at += 1) lines.push(right(places[at - 1], places[at], wide));
  }
  const [w, t] = [Math.max(...places.map((one) => one.x)) + wide + 4, Math.max(...places.map((one) => one.y)) + TALL + 4];
  const told = parts.map((part) => `${part.kind} ${part.name}${part.connection ? ` over ${part.connection}` : ""}`).join(", then ");
  return s("svg.chart.diagram", { viewBox: `0 0 ${w} ${t}`, width: w, height: t, role: "group", "aria-label": `Records go through ${told}` },
    s("g", { "aria-hidden": "true" }, lines), places.map((place) => box(place, wide, figures(place.part))));
}

function right(from, to, wide) {
  const [x1, y1, x2, y2] = [from.x + wide, from.y + TALL / 2, to.x - 6, to.y + TALL / 2];
  // The next row begins at the left again.
  if (to.x <= from.x) {
    const [bx, by] = [from.x + wide / 2, from.y + TALL];
    const [ex, ey] = [to.x + wide / 2, to.y - 6];
    const mid = (by + ey) / 2;
    return arrow(`M${bx} ${by}V${mid}H${ex}V${ey}`, `M${ex - 4} ${ey - 5}l4 6 4-6`);
  }
  const mid = (x1 + x2) / 2;
  return arrow(`M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`, `M${x2 - 5} ${y2 - 4}l6 4-6 4`);
}

function down(from, to, wide) {
  const x = from.x + wide / 2;
  return arrow(`M${x} ${from.y + TALL}V${to.y - 6}`, `M${x - 4} ${to.y - 11}l4 6 4-6`);
}

const arrow = (path, head) => [s("path.wire", { d: path }), s("path.wire", { d: head })];

function box({ part, x, y }, wide, figures) {
  // A step without a name of its own goes by its number.
  const bare = part.name === part.kind || /^\d+$/.test(part.name);
  const name = bare ? part.kind : cut(part.name, 20);
  const below = [part.name === part.kind ? null : bare ? `step ${part.name}` : part.kind, part.connection].filter(Boolean).join(" · ");
  const inside = [
    s("rect.box", { x, y, width: wide, height: TALL, rx: 9 }),
    s("path.icon", { d: ICONS[part.kind] ?? ICONS.transform, transform: `translate(${x + 10} ${y + 9}) scale(.8)` }),
    s("text.name", { x: x + 36, y: y + 24 }, name),
    s("text.tick", { x: x + 12, y: y + 44 }, cut(below, 30)),
  ];
  figures.slice(0, 3).forEach(([text, kind], at) => {
    inside.push(s("text.figure", { x: x + 12, y: y + 63 + at * 14, class: kind }, text));
  });
  const told = [part.kind, part.name, ...figures.map(([text]) => text)].join(", ");
  if (!part.connection) return s("g", { role: "img", "aria-label": told }, inside);
  return s("a", { href: go(`/connections/${part.connection}`), "aria-label": `${told}, connection ${part.connection}` }, inside);
}

/** What went through each part of a run, as far as it is known: `steps` counts what is settled, `alone` says that there is one export. */
export function figuresOf(records, failedByStep, steps, alone) {
  const known = new Map((steps ?? []).map((step) => [step.step, step]));
  return (part) => {
    const out = [];
    const step = known.get(part.name);
    const failed = step?.failed ?? failedByStep?.[part.name] ?? 0;
    if (part.kind === "export" || part.kind === "webhook") {
      const read = alone ? records?.exported : step?.in;
      if (read !== undefined) out.push([`${count(read)} read`, ""]);
      else if (records) out.push(["part of what was read", "idle"]);
    } else if (part.kind === "import") {
      // Its own: what it took and what ended there. Runs that counted no steps tell how many arrived in all.
      const done = steps?.length ? step && step.out + (step.delivered ?? 0) : records?.delivered;
      if (done !== undefined) out.push([`${count(done)} delivered`, "good"]);
    } else if (step) {
      out.push([`${count(step.in)} in · ${count(step.out)} out`, ""]);
      if (step.delivered) out.push([`${count(step.delivered)} had arrived`, "good"]);
      if (step.filtered) out.push([`${count(step.filtered)} filtered`, "idle"]);
    } else if (part.kind === "keep" && records?.filtered) {
      out.push([`${count(records.filtered)} filtered`, "idle"]);
    }
    if (failed) out.push([`${count(failed)} failed`, "bad"]);
    return out;
  };
}
