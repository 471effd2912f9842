// @ts-check
// While the server does not answer: keeps what is typed and what is pressed, and offers the presses later.
import { last, subscribe } from "../shared/bus.js";
import { isLost, showBanner } from "../shared/connection.js";
import { h } from "../shared/dom.js";
import { listedJobs } from "../shared/jobs.js";
import { getStored, setStored, thisTab } from "../shared/preferences.js";
import * as form from "./form.js";
import { shownValues } from "./shown_values.js";
import { submitValues } from "./submitter.js";

/**
 * A press of Generate or Test: the form's values then, and the ids of the jobs that were known; `sent` where
 * it was made before the loss was found, so that the server may have it.
 *
 * @typedef {{kind: "generate" | "test", values: Record<string, any>, known: string[], sent: boolean}} Press
 */

/** Presses whose outcome did not come yet. @type {Press[]} */
let open = [];
/** Presses that wait for the server. @type {Press[]} */
let kept = JSON.parse(getStored("keptPresses", "[]", thisTab));

/** Ids of jobs that came of a press. @type {Set<string>} */
const settled = new Set();

/** Presses without those whose job is listed; each job is that of one press. */
function withoutJob(presses, jobs) {
  const left = [...presses];
  for (const { job_id, request } of jobs) {
    const at = left.findIndex(
      ({ sent, values, known }) =>
        sent && !known.includes(job_id) && request.prompt?.trim() === values.prompt.trim(),
    );
    if (at < 0 || settled.has(job_id)) continue;
    left.splice(at, 1);
    settled.add(job_id);
  }
  return left;
}

const knownJobs = () => listedJobs(last.get("jobs")).map((job) => job.job_id);
const pressed = () => `Generate was pressed ${kept.length === 1 ? "once" : `${kept.length} times`}`;

const keepTyped = () => form.takeShown(shownValues(form.state() ?? {}));
function keepPresses() {
  setStored("keptPresses", kept.length ? JSON.stringify(kept) : null, thisTab);
}

document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("#generate, #test");
    if (!button || !form.state()) return;
    if (isLost()) keepTyped();
    /** @type {Press} */
    const press = {
      kind: button.id === "test" ? "test" : "generate",
      values: { ...form.state(), ...shownValues(form.state()) },
      known: knownJobs(),
      sent: !isLost(),
    };
    if (press.sent) open.push(press);
    else {
      kept.push(press);
      keepPresses();
      say();
    }
  },
  true,
);

function say() {
  const presses = kept.length ? ` ${pressed()}; you can send that when the studio answers again.` : "";
  showBanner(`The studio does not answer. What you type is kept.${presses}`);
}

subscribe("outcome", (value) => {
  // The outcome of a press names the prompt that was sent, or the field that was refused; that of an order by
  // a script has a token.
  if (!("sent" in value || "field" in value) || value.token || settled.has(value.job_id)) return;
  if (value.job_id) settled.add(value.job_id);
  open.shift();
});
subscribe("jobs", (state) => {
  open = withoutJob(open, listedJobs(state));
});

/** Buttons that Gradio's events serve, done without them. */
const OWN = {
  dice: () => form.set("seed", ""),
  reuse: () => form.set("seed", last.get("seed") ?? form.entry("seed").value),
  swap: () => {
    const [width, height] = ["width", "height"].map((field) => form.entry(field).value);
    form.set("width", height);
    form.set("height", width);
  },
};

subscribe("connection", () => {
  for (const press of open) kept.push({ ...press, known: [...press.known, ...settled] });
  open = [];
  keepPresses();
  say();
  keepTyped();
  let soon;
  const later = () => {
    clearTimeout(soon);
    soon = setTimeout(keepTyped, 100); // once the control shows it
  };
  for (const event of ["input", "change", "click", "keyup"]) document.addEventListener(event, later, true);
  document.addEventListener("click", (event) => OWN[event.target.closest?.("#dice, #reuse, #swap")?.id]?.());
  window.addEventListener("pagehide", () => {
    keepTyped();
    keepFocus();
  });
  const headline = document.querySelector(
    "#stage .now:is([data-state=running], [data-state=queued]) .headline",
  );
  if (headline) {
    document
      .querySelector("#stage .now-row")
      .append(h("p", { class: "last-known" }, `Last known: ${headline.textContent}.`));
  }
});

// -- after the page has reloaded itself ---------------------------------------------------------------

/** Where the person was typing. */
function keepFocus() {
  const box = /** @type {HTMLInputElement} */ (document.activeElement);
  const field = Object.keys(form.state() ?? {}).find((name) => form.entry(name) === box);
  setStored(
    "keptFocus",
    field ? JSON.stringify({ field, at: [box.selectionStart, box.selectionEnd] }) : null,
    thisTab,
  );
}
function restoreFocus() {
  const { field, at } = JSON.parse(getStored("keptFocus", "{}", thisTab));
  setStored("keptFocus", null, thisTab);
  const box = field && form.entry(field);
  if (!box) return;
  box.focus();
  if (at[0] !== null) box.setSelectionRange(...at);
}

async function send() {
  for (const press of [...kept]) {
    // It stays kept until it has its outcome, since the server may be lost again.
    Object.assign(press, { sent: true, known: knownJobs() });
    keepPresses();
    await submitValues(press.kind, press.values);
    kept = kept.filter((each) => each !== press);
    keepPresses();
  }
}

function offer() {
  showBanner(`The studio answers again. ${pressed()} in the meantime.`, [
    [kept.length === 1 ? "Generate it now" : `Generate these ${kept.length} now`, send],
    [
      "Discard",
      () => {
        kept = [];
        keepPresses();
      },
    ],
  ]);
}

let returned = false;
/** Once the form has its values and the jobs are known, in whichever order they come. */
function comeBack() {
  if (returned || !form.state() || !last.has("jobs")) return;
  returned = true;
  restoreFocus();
  kept = withoutJob(kept, listedJobs(last.get("jobs")));
  keepPresses();
  if (kept.length) offer();
}
subscribe("form", comeBack);
subscribe("jobs", comeBack);
