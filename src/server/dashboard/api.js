// What is asked of the process, and what it tells by itself. The token stays in this tab: it is sent as a header, never in an
// address, and never kept beyond the session.

import { serverSays } from "./words.js";

const KEY = "flowgate-token";
let token = null;
try {
  token = sessionStorage.getItem(KEY);
} catch {
  // A browser that keeps nothing: the token lives as long as the page.
}

/** Refused, with what the server said. */
export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export const hasToken = () => token !== null;

export function keepToken(text) {
  token = text;
  try {
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // As above.
  }
}

function headers(more) {
  return token === null ? { ...more } : { authorization: `Bearer ${token}`, ...more };
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "flowgate does not answer: is it still running?");
  }
  let body = null;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!answer.ok || body === null) throw new Refused(answer.status, body?.reason ?? `it answered ${answer.status}`);
  if (body?.now) serverSays(body.now);
  return body;
}

/** Path parts are encoded; an id may have slashes. */
const address = (path, id, query) => {
  const end = id === undefined ? "" : `/${String(id).split("/").map(encodeURIComponent).join("/")}`;
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `/api/v1/${path}${end}${asked.length ? `?${new URLSearchParams(asked)}` : ""}`;
};

export const get = (path, id, query, signal) => ask(address(path, id, query), { headers: headers(), signal });

export const post = (action, body) =>
  ask(`/api/v1/actions/${action}`, { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body) });

/** Whether a token opens what always needs one: a change of nothing. */
export async function tryToken(text) {
  const headers = { authorization: `Bearer ${text}`, "content-type": "application/json" };
  const answer = await fetch("/api/v1/actions/resume", { method: "POST", headers, body: '{"flows":[]}', cache: "no-store", credentials: "omit" });
  return answer.status !== 401;
}

/** Follows what happens; a header cannot be given to EventSource, so the stream is read here. Ends with `signal`. */
export async function follow(signal, tell, state) {
  let wait = 1_000;
  while (!signal.aborted) {
    try {
      const answer = await fetch("/api/v1/events", { headers: headers({ accept: "text/event-stream" }), cache: "no-store", credentials: "omit", signal });
      if (!answer.ok || !answer.body) throw new Refused(answer.status, "no events");
      state(true);
      wait = 1_000;
      await read(answer.body, tell);
    } catch (error) {
      if (signal.aborted || error.status === 401) break;
    }
    state(false);
    await new Promise((again) => setTimeout(again, wait));
    wait = Math.min(wait * 2, 15_000);
  }
  state(false);
}

async function read(body, tell) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const kind = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (kind && data) tell(kind, JSON.parse(data));
    }
  }
}
