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
let kept = [];

/** Presses without those whose job is listed. */
const withoutJob = (presses, jobs) =>
  presses.filter(
    ({ sent, values, known }) =>
      !sent ||
      !jobs.some((job) => !known.includes(job.job_id) && job.request.prompt?.trim() === values.prompt.trim()),
  );

const keepTyped = () => form.takeShown(shownValues(form.state() ?? {}));
function keepPresses() {
  setStored("keptPresses", kept.length ? JSON.stringify(kept) : null, thisTab);
}

document.addEventListener(
  "click",
  (event) => {
    const pressed = event.target.closest?.("#generate, #test");
    if (!pressed || !form.state()) return;
    if (isLost()) keepTyped();
    /** @type {Press} */
    const press = {
      kind: pressed.id === "test" ? "test" : "generate",
      values: { ...form.state(), ...shownValues(form.state()) },
      known: listedJobs(last.get("jobs")).map((job) => job.job_id),
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
  const pressed = kept.length
    ? ` Generate was pressed ${kept.length === 1 ? "once" : `${kept.length} times`}; ` +
      "you can send that when the studio answers again."
    : "";
  showBanner(`The studio does not answer. What you type is kept.${pressed}`);
}

subscribe("outcome", (value) => {
  // The outcome of a press names the prompt that was sent, or the field that was refused.
  if ("sent" in value || "field" in value) open.shift();
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
  kept.push(...open);
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
  const headline = document.querySelector("#stage .now:not([hidden]) .headline")?.textContent;
  document
    .querySelector("#stage .now-row")
    ?.append(
      h(
        "p",
        { class: "last-known", role: "status" },
        headline ? `Last known: ${headline}.` : "The studio does not answer.",
      ),
    );
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

function offer() {
  const found = kept;
  const what =
    found.length === 1 ? "Generate was pressed once" : `Generate was pressed ${found.length} times`;
  const forget = () => {
    kept = [];
    keepPresses();
  };
  showBanner(`The studio answers again. ${what} in the meantime.`, [
    [
      found.length === 1 ? "Generate it now" : `Generate these ${found.length} now`,
      async () => {
        forget();
        for (const { kind, values } of found) await submitValues(kind, values);
      },
    ],
    ["Discard", forget],
  ]);
}

let returned = false;
subscribe("form", () => {
  if (returned) return;
  returned = true;
  restoreFocus();
  kept = JSON.parse(getStored("keptPresses", "[]", thisTab));
  kept = withoutJob(kept, listedJobs(last.get("jobs")));
  keepPresses();
  if (kept.length) offer();
});
