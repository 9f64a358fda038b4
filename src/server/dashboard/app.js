// The frame around the pages: where one is, what happens live, the token, light and dark.

import { askToken, forget, onChange } from "./act.js";
import { follow, get, hasToken, keepToken } from "./api.js";
import connection from "./connection.js";
import { fill, go, h, s } from "./dom.js";
import errors from "./errors.js";
import flow from "./flow.js";
import overview from "./overview.js";
import { empty, pill } from "./parts.js";
import reloads from "./reloads.js";
import run from "./run.js";
import { ageAll, count, cut, many, when } from "./words.js";

const NAV = [["/", "Overview"], ["/runs", "Runs"], ["/connections", "Connections"], ["/errors", "Errors"], ["/reloads", "Reloads"]];
const PAGES = [["/flows/", flow], ["/runs", run], ["/connections", connection], ["/errors", errors], ["/reloads", reloads], ["/", overview]];

const main = document.getElementById("main");
let here = null;
let asked = null;
let stream = null;
let live = false;
let lost = false;
let snapshot = null;
let timer = 0;
let last = 0;

/** Where the address points: a page, an id, and what is asked of it. */
function place() {
  const [path, query] = (location.hash.slice(1) || "/").split("?");
  const [start, page] = PAGES.find(([start]) => path === start || path.startsWith(start === "/" ? "/" : start.replace(/\/?$/, "/"))) ?? PAGES.at(-1);
  const rest = path.slice(start.length).replace(/^\//, "");
  let id = "";
  try {
    id = rest.split("/").map(decodeURIComponent).join("/");
  } catch {
    id = rest;
  }
  return { page, id, start, query: Object.fromEntries(new URLSearchParams(query ?? "")), hash: location.hash };
}

/** A token may come in the fragment, which is never sent; it does not stay in the address. */
function takeToken() {
  const found = /^#(?:token|key)=(.+)$/.exec(location.hash);
  if (!found) return;
  keepToken(decodeURIComponent(found[1]));
  history.replaceState(null, "", "/#/");
}

async function move() {
  takeToken();
  const before = here;
  here = place();
  const same = before?.page === here.page && before.id === here.id;
  drawFrame();
  document.querySelector("#nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (!same) {
    here.page.enter?.(here.id);
    fill(main, [h("p.loading", { "data-key": "loading" }, "Loading…")]);
    window.scrollTo(0, 0);
  }
  await refresh();
  if (before && !same) main.querySelector("h1")?.focus({ preventScroll: true });
}

/** Asks again and shows what has changed. */
async function refresh() {
  clearTimeout(timer);
  asked?.abort();
  asked = new AbortController();
  const at = here;
  last = Date.now();
  try {
    const data = await at.page.load(at.id, at.query, asked.signal);
    if (at.hash !== here.hash) return;
    lost = false;
    document.title = `${at.page.title(at.id, data)} · flowgate`;
    fill(main, at.page.view(data, at.id, at.query, { again: soon, search }));
  } catch (error) {
    if (error.name === "AbortError" || at.hash !== here.hash) return;
    if (!refused(error)) throw error;
  } finally {
    drawFrame();
    const pause = lost ? 3_000 : live ? 15_000 : 5_000;
    clearTimeout(timer);
    timer = setTimeout(() => document.hidden || refresh(), pause);
  }
}

/** Shows a refusal in place of the page. False: it is a fault of ours. */
function refused(error) {
  if (error.status === undefined) {
    fill(main, [h("div.empty", { "data-key": "fault" }, h("p.strong", null, "This page has a fault"), h("p.quiet", null, cut(error.message, 300)))]);
    return false;
  }
  const button = (text, then) => h("button.button.strong", { type: "button", onclick: then }, text);
  if (error.status === 0) {
    lost = true;
    if (!main.querySelector(".loading")) return true;
    fill(main, [h("div.empty", { "data-key": "lost" }, h("p.strong", null, "No answer"), h("p.quiet", null, error.message), button("Try again", refresh))]);
  } else if (error.status === 401) {
    keepToken(null);
    document.title = "Locked · flowgate";
    fill(main, [h("div.empty.locked", { "data-key": "locked" }, lock(), h("h1", { tabindex: "-1" }, "A token is needed"),
      h("p.quiet", null, "This server shows nothing to who does not bring its token."), button("Enter the token", () => askToken(true)))]);
  } else if (error.status === 404) {
    fill(main, [h("div.empty", { "data-key": "none" }, h("h1", { tabindex: "-1" }, "Not here"), h("p.quiet", null, cut(error.message, 300)), h("p", null, h("a", { href: "#/" }, "To the overview")))]);
  } else {
    fill(main, [h("div.empty", { "data-key": "refused" }, h("h1", { tabindex: "-1" }, "Refused"), h("p.quiet", null, cut(error.message, 300)), button("Try again", refresh))]);
  }
  return true;
}

/** Refreshes soon, and not too often: a page with many flows costs the server more. */
function soon(least = 1_000) {
  const left = Math.max(50, last + least - Date.now());
  clearTimeout(timer);
  timer = setTimeout(() => document.hidden || refresh(), left);
}

/** Changes what is asked of this page without going anywhere. */
function search(query) {
  history.replaceState(null, "", go(here.start, query));
  here = place();
  soon(250);
}

function heard(kind, data) {
  if (kind === "reload" || kind.startsWith("connection_") || kind === "run_ended" || kind === "first_error") askFrame();
  if (kind === "gap" || kind === "hello" || here.page.hears(kind, data, here.id)) soon(here.page.least?.() ?? 1_000);
}

function listen() {
  stream?.abort();
  stream = new AbortController();
  follow(stream.signal, heard, (on) => {
    live = on;
    drawFrame();
  });
}

let frameTimer = 0;
async function askFrame() {
  clearTimeout(frameTimer);
  try {
    snapshot = await get("snapshot");
  } catch {
    // The page itself says what is wrong.
  }
  drawFrame();
  frameTimer = setTimeout(() => document.hidden || askFrame(), 15_000);
}

function drawFrame() {
  const open = snapshot?.open_errors ?? 0;
  fill(document.getElementById("nav"), NAV.map(([path, name]) => {
    const current = path === "/" ? here.start === "/" || here.start === "/flows/" : here.start === path;
    return h("a", { href: go(path), "aria-current": current ? "page" : null, "data-key": path }, name,
      path === "/errors" && open ? h("span.badge", { "aria-label": `${open} open` }, count(open)) : null);
  }));
  const said = lost ? ["offline", "bad", "flowgate does not answer"] : live ? ["live", "good", "Changes show as they happen"] : ["polling", "idle", "Looked at every few seconds"];
  fill(document.getElementById("tools"), [
    h("span.status", { "data-key": "live" }, pill(...said)),
    h("button.icon", { type: "button", "data-key": "key", onclick: () => (hasToken() ? forget() : askToken(false)), "aria-label": hasToken() ? "Forget the token" : "Enter the token", title: hasToken() ? "Unlocked: press to forget the token" : "Read-only: press to enter the token" }, lock(hasToken())),
    h("button.icon", { type: "button", "data-key": "theme", onclick: turn, "aria-label": `Colours: ${theme()}`, title: `Colours: ${theme()}` }, lamp()),
  ]);
  fill(document.getElementById("notes"), notes());
  if (snapshot) {
    const { git } = snapshot;
    fill(document.getElementById("foot"), [h("p", null, `flowgate ${snapshot.version} · up since `, when(snapshot.started), ` · ${many(snapshot.flows, "flow")}, ${many(snapshot.connections, "connection")}`,
      git?.commit ? ` · ${cut(git.branch ?? "git", 40)}@${cut(git.commit, 9).slice(0, 9)}` : null, ` · configuration ${cut(snapshot.config.revision, 10).slice(0, 10)}`)]);
  }
}

/** What is wrong with the process itself, on every page. */
function notes() {
  if (!snapshot) return [];
  const { store, config, draining } = snapshot;
  const note = (kind, key, ...text) => h("p.note", { class: kind, "data-key": key }, h("span", null, text));
  return [
    lost ? note("bad", "lost", "flowgate does not answer. What is shown is from before; asked again every few seconds.") : null,
    draining ? note("warn", "draining", "Draining: runs under way finish, nothing new is begun.") : null,
    store.health === "failing" ? note("bad", "store", "The state cannot be written since ", when(store.since), `: ${cut(store.cause, 200)}. Runs wait.`) : null,
    store.damage.length ? note("bad", "damage", `Stored state is damaged: ${cut(store.damage[0].text, 200)}. See flowgate state check.`) : null,
    config.rejected ? note("warn", "rejected", `The files have ${many(config.rejected.errors, "error")} and are not in force; what was in force stays. `, h("a", { href: snapshot.last_reload ? go(`/reloads/${snapshot.last_reload}`) : "#/reloads" }, "See what is wrong")) : null,
    config.restart_needed ? note("warn", "restart", "flowgate.toml has changed in a way that needs a restart.") : null,
  ].filter(Boolean);
}

const lock = (open) => s("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, s("rect", { x: 5, y: 11, width: 14, height: 9, rx: 2 }), s("path", { d: open ? "M8 11V7.500a4 4 0 0 1 7.600-1.700" : "M8 11V8a4 4 0 0 1 8 0v3" }));
const lamp = () => s("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, s("circle", { cx: 12, cy: 12, r: 8 }), s("path.solid", { d: "M12 4a8 8 0 0 1 0 16z" }));

const theme = () => document.documentElement.dataset.theme ?? "as the system";
function turn() {
  const next = { "as the system": "light", light: "dark", dark: null }[theme()];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    if (next) localStorage.setItem("flowgate-theme", next);
    else localStorage.removeItem("flowgate-theme");
  } catch {
    // Then it holds for this page.
  }
  drawFrame();
}

function start() {
  try {
    const kept = localStorage.getItem("flowgate-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
    // As the system has it.
  }
  document.getElementById("skip").onclick = (event) => {
    event.preventDefault();
    main.focus();
  };
  onChange(() => {
    if (!live) listen();
    askFrame();
    refresh();
  });
  window.addEventListener("hashchange", move);
  let wide = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== wide) soon(300);
    wide = window.innerWidth;
  });
  document.addEventListener("visibilitychange", () => {
    // A seat for events is kept for who looks.
    if (document.hidden) stream?.abort();
    else {
      listen();
      askFrame();
      refresh();
    }
  });
  setInterval(ageAll, 1_000);
  move();
  askFrame();
  listen();
}

start();
