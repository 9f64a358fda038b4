// Numbers, spans and instants as people read them.

import { h } from "./dom.js";

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const CLOCK_S = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** How far this clock is from the server's; set by whoever asks it. */
let ahead = 0;
export function serverSays(now) {
  const told = Date.parse(now);
  if (Number.isFinite(told)) ahead = Date.now() - told;
}
export const nowMs = () => Date.now() - ahead;

export const count = (n) => (n === null || n === undefined ? "–" : Math.abs(n) < 100_000 ? WHOLE.format(n) : SHORT.format(n));
export const exactly = (n) => WHOLE.format(n ?? 0);
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

/** A span of seconds in one or two units. */
export function span(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const left = Math.abs(seconds);
  if (left < 0.9995) return `${Math.round(left * 1000)} ms`;
  if (left < 9.95) return `${left.toFixed(1).replace(/\.0$/, "")} s`;
  if (left < 90) return `${Math.round(left)} s`;
  if (left < 5_400) return two(left, 60, "min", 1, "s", 600);
  if (left < 129_600) return two(left, 3_600, "h", 60, "min", 36_000);
  return two(left, 86_400, "d", 3_600, "h", 864_000);
}

function two(left, big, bigName, small, smallName, whole) {
  if (left >= whole) return `${Math.round(left / big)} ${bigName}`;
  const units = Math.floor(left / big);
  const rest = Math.floor((left - units * big) / small);
  return rest ? `${units} ${bigName} ${rest} ${smallName}` : `${units} ${bigName}`;
}

/** The same in one unit. */
export function about(seconds) {
  const left = Math.abs(seconds);
  if (left < 90) return `${Math.round(left)} s`;
  if (left < 5_400) return `${Math.round(left / 60)} min`;
  if (left < 129_600) return `${Math.round(left / 3_600)} h`;
  return `${Math.round(left / 86_400)} d`;
}

/** An instant against now, with the instant itself to hover over. */
export function when(at, props) {
  if (!at) return h("span.quiet", props, "never");
  const ms = Date.parse(at);
  return h("time", { datetime: at, title: WHEN.format(ms), "data-at": at, ...props }, ago(ms));
}

export function ago(ms) {
  const left = (ms - nowMs()) / 1000;
  if (Math.abs(left) < 1) return "now";
  return left < 0 ? `${about(left)} ago` : `in ${about(left)}`;
}

export const absolute = (at) => (at ? WHEN.format(typeof at === "number" ? at : Date.parse(at)) : "");

/** A place on a time axis that is so long. */
export function tick(ms, length) {
  if (length > 2 * 86_400_000) return DAY.format(ms);
  return length > 600_000 ? CLOCK.format(ms) : CLOCK_S.format(ms);
}

/** Instants on the page grow older by themselves. */
export function ageAll() {
  for (const one of document.querySelectorAll("time[data-at]")) {
    const text = ago(Date.parse(one.dataset.at));
    if (one.firstChild && one.firstChild.data !== text) one.firstChild.data = text;
  }
}

/** Records a second, from figures a minute. */
export function rate(perSecond) {
  if (!perSecond) return "0/s";
  if (perSecond >= 100) return `${count(Math.round(perSecond))}/s`;
  if (perSecond >= 1) return `${perSecond.toFixed(1)}/s`;
  return perSecond * 60 >= 1 ? `${Math.round(perSecond * 60)}/min` : `${Math.max(1, Math.round(perSecond * 3600))}/h`;
}

/** Characters that turn text around or hide in it are shown as what they are. */
export const plain = (text) =>
  String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** As much of a text as fits a line, a list or a page. */
export const cut = (text, most) => {
  const shown = plain(text);
  return shown.length > most ? `${shown.slice(0, most)}…` : shown;
};
