// Changes: buttons that ask, say what came of it, and ask back before what cannot be undone.

import { hasToken, keepToken, post, tryToken } from "./api.js";
import { fill, h } from "./dom.js";
import { cut } from "./words.js";

let changed = () => {};
/** Who wants to know that something was changed, or that a token came or went. */
export const onChange = (then) => { changed = then; };

/** A button that does something; not there where nothing may be done. */
export function action(label, run, { kind = "", title, confirm, needs = true } = {}) {
  if (needs && !hasToken()) return null;
  const press = async (event) => {
    const button = event.currentTarget;
    if (button.disabled || (confirm && !(await sure(confirm)))) return;
    button.disabled = true;
    try {
      toast(await run(), "good");
    } catch (error) {
      refused(error);
    }
    button.disabled = false;
    changed();
  };
  return h("button.button", { type: "button", class: kind, title, onclick: press }, label);
}

function refused(error) {
  if (error.status === 401) {
    keepToken(null);
    toast("The token is not valid any more. Enter it again to act.", "bad");
  } else toast(error.message, "bad");
}

/** Tells it for a while. */
export function toast(text, kind) {
  const place = document.getElementById("toasts");
  const one = h("div.toast", { class: kind }, cut(text, 400));
  place.append(one);
  while (place.childElementCount > 4) place.firstElementChild.remove();
  setTimeout(() => one.remove(), 7_000);
}

const dialog = () => document.getElementById("dialog");

function ask(content) {
  const box = dialog();
  fill(box, [content]);
  box.showModal();
  return new Promise((then) => box.addEventListener("close", () => then(box.returnValue), { once: true }));
}

async function sure({ title, text, yes }) {
  const close = (value) => () => dialog().close(value);
  const answer = await ask(
    h("div.ask", { role: "document" }, h("h2", null, title), h("p", null, text),
      h("div.row.end", null,
        h("button.button", { type: "button", onclick: close("no") }, "Cancel"),
        h("button.button.strong", { type: "button", onclick: close("yes") }, yes))),
  );
  return answer === "yes";
}

/** Asks for the token. `locked`: nothing can be read without it. */
export async function askToken(locked) {
  const wrong = h("p.wrong", { id: "token-wrong", role: "alert" });
  const field = h("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-wrong" });
  const send = async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    wrong.textContent = "Checking…";
    try {
      if (!(await tryToken(text))) throw new Error("This token is not accepted.");
      keepToken(text);
      dialog().close("yes");
    } catch (error) {
      wrong.textContent = error instanceof TypeError ? "flowgate does not answer." : error.message;
      field.select();
    }
  };
  const about = locked
    ? "This server shows nothing without its token: the value of [server] token in flowgate.toml."
    : "Looking is free from this machine. To retry, resolve, run, or see records, enter the value of [server] token, or, where none is set, what the file api-token in the state directory says.";
  const answer = await ask(
    h("form.ask", { onsubmit: send }, h("h2", null, "Enter the token"), h("p", null, about),
      h("label", { for: "token" }, "Token"), field, wrong,
      h("p.quiet.small", null, "It stays in this tab and is forgotten when the tab is closed."),
      h("div.row.end", null,
        h("button.button", { type: "button", onclick: () => dialog().close("no") }, "Cancel"),
        h("button.button.strong", { type: "submit" }, "Unlock"))),
  );
  if (answer === "yes") changed();
}

export function forget() {
  keepToken(null);
  toast("The token is forgotten.", "good");
  changed();
}

const runsOf = (told) => told.runs ?? [];

export const runFlow = (flow) => action("Run now", async () => {
  const [run] = runsOf(await post("run", { flows: [flow] }));
  if (run?.run) return run.resumed ? `The run that had stopped goes on: ${run.run}` : `Run ${run.run} has started`;
  return "It is asked to run";
}, { kind: "strong", title: "Start a run of this flow" });

export const pauseFlow = (flow) => action("Pause", async () => {
  await post("pause", { flows: [flow] });
  return `${flow} starts nothing until it is resumed`;
}, { title: "Start nothing more until it is resumed" });

export const resumeFlow = (flow) => action("Resume", async () => {
  await post("resume", { flows: [flow] });
  return `${flow} may start again`;
}, { kind: "strong" });

export const cancelRun = (flow) => action("Stop run", async () => {
  await post("cancel", { flow });
  return "What is in flight finishes; what is left goes on with the next run";
}, {
  kind: "danger",
  confirm: { title: `Stop the run of ${flow}?`, text: "Requests in flight finish. What is left waits, and goes on with the flow's next run.", yes: "Stop run" },
});

/** Tries error records again. `say` is what they are. */
export const retry = (which, say, label = "Retry") => action(label, async () => {
  const told = await post("errors/retry", which);
  const records = runsOf(told).reduce((sum, run) => sum + (run.errors ?? 0), 0);
  if (!records) return "There was nothing open to try again";
  return `${records === 1 ? "1 record is" : `${records} records are`} tried again`;
}, { kind: "strong", title: `Send ${say} again` });

export const resolve = (which, say, label = "Resolve") => action(label, async () => {
  const { resolved } = await post("errors/resolve", which);
  return `${resolved === 1 ? "1 record is" : `${resolved} records are`} settled by hand`;
}, {
  title: `Settle ${say} by hand`,
  confirm: { title: `Resolve ${say}?`, text: "It counts as settled and is not sent again. The data itself is not delivered by this.", yes: "Resolve" },
});

export const ping = (connection) => action("Ping", async () => {
  const told = await post("ping", { connection });
  return `${connection}: ${told.verdict}${told.status ? ` (${told.status})` : ""}`;
}, { title: "Ask the API whether this connection works" });

export const look = () => action("Look at the files now", async () => {
  const told = await post("reload", { wait: true });
  return told.report ? `Report ${told.report.id}: ${told.report.verdict}` : "Nothing has changed";
}, { kind: "strong" });
