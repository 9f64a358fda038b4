// Judges templates with the reference engine. Reads a JSON list of { template, data }, writes a JSON list of { text } or
// { error }. The helpers are those of the host language: they share nothing with ours but their documentation.
import { createHash, createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.PEER_MODULES}/judge.js`);
const handlebars = require("handlebars").create();
const moment = require("moment-timezone");

const text = (v) => (v === undefined || v === null ? "" : String(v));
const number = Number;
const loose = (a, b) => a == b; // eslint-disable-line eqeqeq
const compare = {
  "==": loose,
  "!=": (a, b) => !loose(a, b),
  "===": (a, b) => a === b,
  "!==": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
};
const dated = (v, format) => (format ? moment.utc(v, format) : moment.utc(v));

const values = {
  abs: (n) => Math.abs(n),
  add: (...n) => n.map(number).reduce((a, b) => a + b),
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  modulo: (a, b) => a % b,
  sum: (list) => list.map(number).reduce((a, b) => a + b, 0),
  ceil: Math.ceil,
  floor: Math.floor,
  round: Math.round,
  toFixed: (n, d) => number(n).toFixed(d).replace(/^-(0(\.0*)?)$/, "$1"),
  toPrecision: (n, d) => number(n).toPrecision(d),
  toExponential: (n, d) => number(n).toExponential(d),
  uppercase: (s) => text(s).toUpperCase(),
  lowercase: (s) => text(s).toLowerCase(),
  trim: (s) => text(s).trim(),
  padLeft: (s, n, c) => text(s).padStart(n, c ?? " "),
  padRight: (s, n, c) => text(s).padEnd(n, c ?? " "),
  replace: (s, a, b) => text(s).replaceAll(a, () => b),
  split: (s, d, n) => text(s).split(d)[n ?? 0],
  join: (d, ...v) => v.flatMap((x) => (Array.isArray(x) ? x : [x])).map(text).join(d),
  substring: (s, a, b) => text(s).substring(a, b),
  reverse: (s) => [...text(s)].reverse().join(""),
  occurrences: (s, p) => text(s).split(p).length - 1,
  after: (list, n) => list.slice(n),
  before: (list, n) => list.slice(0, list.length - n),
  sort: (list) => [...list].sort(),
  unique: (list) => [...new Set(list)],
  encodeURI: (s) => encodeURIComponent(text(s)).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  decodeURI: (s) => decodeURIComponent(text(s)),
  base64Encode: (s, e) => (e === "hex" ? Buffer.from(text(s)).toString("hex") : Buffer.from(text(s), e).toString("base64")),
  base64Decode: (s, e) => Buffer.from(text(s), "base64").toString(e ?? "utf8"),
  jsonEncode: (s) => JSON.stringify(text(s)).slice(1, -1),
  jsonSerialize: (v) => JSON.stringify(v),
  regexMatch: (s, re, n, flags) => (text(s).match(new RegExp(re, `g${flags ?? ""}`)) ?? [])[n ?? 0],
  regexReplace: (s, by, re, flags) => text(s).replace(new RegExp(re, flags ?? ""), by),
  regexSearch: (s, re, flags) => text(s).search(new RegExp(re, flags ?? "")),
  hash: (a, e, s) => createHash(a).update(text(s)).digest(e),
  hmac: (a, k, e, s) => createHmac(a, k).update(text(s)).digest(e),
  dateFormat: (out, d, read, zone) => (zone ? dated(d, read).tz(zone) : dated(d, read)).format(out),
  dateAdd: (d, ms) => dated(d).add(number(ms ?? 0), "ms").toISOString(),
  eq: loose,
  typeOf: (v) => (Array.isArray(v) ? "array" : typeof v),
  default: (v, or) => v ?? or,
};
for (const [name, run] of Object.entries(values)) {
  handlebars.registerHelper(name, (...given) => run(...given.slice(0, -1)));
}
const blocks = {
  compare: (a, op, b) => compare[op](a, b),
  contains: (c, v) => (Array.isArray(c) ? c.some((x) => loose(x, v)) : text(c).includes(v)),
  and: (a, b) => Boolean(a) && Boolean(b),
  or: (a, b) => Boolean(a) || Boolean(b),
  neither: (a, b) => !a && !b,
  not: (v) => !v,
  startsWith: (p, s) => s !== undefined && s !== null && text(s).startsWith(p),
};
for (const [name, test] of Object.entries(blocks)) {
  handlebars.registerHelper(name, function (...given) {
    const options = given.pop();
    const yes = test(...given);
    return options.fn ? (yes ? options.fn(this) : options.inverse(this)) : yes;
  });
}

const answers = JSON.parse(readFileSync(0, "utf8")).map(({ template, data }) => {
  try {
    return { text: handlebars.compile(template, { noEscape: true })(data) };
  } catch (error) {
    return { error: String(error.message).split("\n")[0] };
  }
});
process.stdout.write(JSON.stringify(answers));
