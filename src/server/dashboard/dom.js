// Elements out of names, properties and children. Text only ever becomes a text node, so nothing that is shown can become
// markup; addresses go through `go`, which writes them itself.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title", "polyline", "polygon", "defs", "pattern", "tspan"]);
/** Properties that are functions; everything else is an attribute. */
const HEARD = ["onclick", "oninput", "onchange", "onsubmit", "onkeydown"];

/** h("a.button", { href: go("/runs") }, "Runs") ; `svg:` in front for what is drawn. */
export function h(name, props, ...children) {
  const drawn = name.startsWith("svg:");
  const [tag, ...classes] = (drawn ? name.slice(4) : name).split(".");
  const element = drawn || DRAWN.has(tag) && tag !== "title" && tag !== "text" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (HEARD.includes(key)) element[key] = value;
    else if (key === "class") element.setAttribute("class", [...classes, value].join(" "));
    else if (key === "value") element.value = value;
    else if (key.startsWith("on")) throw new Error(`not an attribute of ours: ${key}`);
    else if (key === "href" && !String(value).startsWith("#")) throw new Error("only places on this page are linked");
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/** The same, drawn. */
export const s = (name, props, ...children) => h(`svg:${name}`, props, ...children);

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(document.createTextNode(String(child)));
  }
}

/** The address of a place on this page. An id may have slashes; nothing else of it may mean anything. */
export function go(path, query) {
  const parts = path.split("/").map(encodeURIComponent).join("/");
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${parts}${asked.length ? `?${new URLSearchParams(asked)}` : ""}`;
}

/** Makes `old` look like `now` and keeps what has not changed: focus, scroll positions, what somebody types. */
export function settle(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || keyOf(old) !== keyOf(now)) {
    old.replaceWith(now);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  const kept = old.nodeName === "DETAILS" ? ["open"] : [];
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value);
  }
  for (const name of HEARD) if (old[name] !== now[name]) old[name] = now[name];
  if ("value" in old && old !== document.activeElement && old.value !== now.value) old.value = now.value;
  fill(old, [...now.childNodes]);
}

/** Makes these the children of `element`. */
export function fill(element, wanted) {
  const keyed = new Map();
  for (const child of element.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = element.firstChild;
  for (const now of wanted) {
    const found = keyOf(now) ? keyed.get(keyOf(now)) : at;
    if (!found || (!keyOf(now) && keyOf(found))) {
      element.insertBefore(now, at);
      continue;
    }
    if (found === at) at = at.nextSibling;
    else element.insertBefore(found, at);
    settle(found, now);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);
