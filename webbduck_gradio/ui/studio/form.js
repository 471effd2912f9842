// @ts-check
// The Studio's form: its values, which controls are visible, its groups, and validation messages.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, phone } from "../shared/dom.js";
import { hiresText } from "../shared/hires.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { getPref, setPref } from "../shared/preferences.js";
import {
  applies,
  conditionsOf,
  labelOf,
  modeText,
  percent,
  settings,
  summaryOf,
} from "../shared/settings.js";
import { addTooltip } from "../shared/widgets.js";

const { side_step: STEP, max_pixels: MAX_PIXELS } = webbduckFacts;
const NUMBERS = Object.keys(settings).filter((name) => settings[name].control === "number");
const SLIDERS = Object.keys(settings).filter((name) => settings[name].has_slider);
let values = null;
/** The values of all controls; null until the page has loaded them. */
export const state = () => values;
let opened = false;

export const control = (field) => document.getElementById(settings[field]?.element ?? field);
export const entry = (field) => control(field)?.querySelector("textarea, input");

/** The current values. Text comes from the inputs themselves, since Gradio reports typing with a delay. */
export const typedState = () =>
  values && {
    ...values,
    ...Object.fromEntries(
      Object.keys(settings)
        .filter((field) => settings[field].control === "text" && field in values && entry(field))
        .map((field) => [field, entry(field).value]),
    ),
  };

/** Whether a typed text is a number's; an empty optional one (the seed, for instance) has its own meaning. */
const isNumber = (field, text) =>
  settings[field]?.control === "number" && !(settings[field].is_optional && isBlank(text));
const isBlank = (text) => text === null || String(text).trim() === "";
function typedAs(field, text) {
  const { value, problem } = readNumber(text, Boolean(settings[field].limits.whole));
  return problem ? text : value;
}

let reported = null;
/** Gradio reports values of controls, each alone also where one answer of the server changes many: what comes
 * together is taken at once. Nothing is stored before the page has restored its settings. */
export function changed(fields, shown) {
  if (!opened) return;
  if (!reported) setTimeout(takeReported);
  reported = { ...reported, ...Object.fromEntries(fields.map((name, index) => [name, shown[index]])) };
}
function takeReported() {
  if (!reported) return;
  const shown = reported;
  reported = null;
  take(shown);
  remember();
  // Gradio may report a value after the check that its input asked for.
  if (!checking) checkIn(900);
}

/** Take these as the values of their controls, in which a number is as it was typed. */
function take(shown) {
  // Typed numbers become numbers here; text that is not a number stays text.
  for (const [name, value] of Object.entries(shown)) {
    if (isNumber(name, value)) shown[name] = typedAs(name, value);
  }
  values = { ...values, ...shown };
  show();
  publish("form", values);
}

/** Take what the controls show in place of what Gradio reports, and store it at once. */
export function takeShown(shown) {
  if (!values) return;
  takeReported();
  take(shown);
  keep();
}

/** The page has its initial values: the stored ones, or the checkpoint's defaults. */
export function open(fields, shown) {
  opened = true;
  prepare();
  changed(fields, shown);
  takeReported();
  keepTyped();
  check();
}

/** Put back what was typed before there was a form to take it. */
function keepTyped() {
  const typed = window.webbduckTypedEarly.end();
  if (!typed.size) return;
  for (const field of Object.keys(settings)) {
    const text = ["text", "number"].includes(settings[field].control) ? typed.get(entry(field)) : undefined;
    if (text !== undefined && text !== entry(field).value) set(field, text);
  }
}

let remembering = null;
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(keep, 250);
}
const keep = () => values && setPref("form", values);
window.addEventListener("pagehide", takeReported);
window.addEventListener("pagehide", keep);
export const recalled = () => getPref("form");

/** Set a text or number control as if the value had been typed. */
export function set(field, value) {
  const input = entry(field);
  if (!input) return;
  input.value = value ?? "";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Choose a value of a control that shows all of them side by side. */
export function choose(field, value) {
  control(field)?.querySelector(`input[value="${value}"]`)?.click();
}

// -- visibility ---------------------------------------------------------------------------------------

export const arch = (name) => last.get("catalog")?.checkpoints.find((each) => each.name === name)?.arch;

const secondArch = () => arch(values.second_pass_model);

/** Which conditions of request/conditions.py hold for the form's current values. */
export const conditions = () => conditionsOf(values, secondArch());

function show() {
  const hold = conditions();
  for (const name of Object.keys(settings)) {
    const isHidden = !applies(name, hold) && !settings[name].stays_visible;
    control(name)?.classList.toggle("off", isHidden);
  }
  // For a single picture it does what Generate does.
  document.getElementById("test")?.classList.toggle("off", values.num_images === 1);
  control("negative_prompt")?.classList.toggle("filled", Boolean(values.negative_prompt));
  for (const field of SLIDERS) {
    const range = control(field)?.querySelector(".range");
    if (range && document.activeElement !== range && typeof values[field] === "number") {
      range.value = values[field];
    }
  }
  const { image, second_pass, img2img_pass } = hold;
  const mode = modeText(values);
  for (const fold of webbduckFacts.folds) {
    const parts = summaryOf("fold", values, hold, fold);
    if (fold === "image" && mode) parts.unshift(mode);
    if (fold === "hires" && hold.hires) parts.unshift(hiresText(values) ?? "?");
    showSummary(fold, parts.join(", "));
  }
  const text = document.querySelector(".second-pass-note");
  if (text) {
    text.textContent = !second_pass
      ? "Runs a second pass with another checkpoint: a refiner, or any SDXL checkpoint."
      : img2img_pass
        ? "Runs img2img on the finished picture with this model; the strength sets how much it may change."
        : image
          ? "A refiner works with text to image only; choose img2img."
          : "The refiner continues the unfinished picture " +
            `after ${percent(values.refiner_switch)} of the steps.`;
  }
}
function showSummary(fold, text) {
  const node = document.querySelector(`[data-fold="${fold}"] .fold-summary`);
  if (node) node.textContent = text.replace(/^./, (first) => first.toUpperCase());
}
subscribe("catalog", () => {
  if (values) show();
});

// -- collapsible groups -------------------------------------------------------------------------------

const folds = getPref("openGroups", {});
export function unfold(name, yes = true) {
  const head = document.querySelector(`[data-fold="${name}"]`);
  if (!head) return;
  folds[name] = yes;
  setPref("openGroups", folds);
  head.setAttribute("aria-expanded", String(yes));
  head.closest(".fold").classList.toggle("open", yes);
}
document.addEventListener("click", (event) => {
  const head = event.target.closest?.(".fold-head");
  if (head) unfold(head.dataset.fold, head.getAttribute("aria-expanded") !== "true");
});
window.webbduckPressedEarly.end(".fold-head");

/** Adds what Gradio's controls lack: sliders, tooltips and number keys. Called once the controls exist. */
function prepare() {
  for (const [name, yes] of Object.entries(folds)) if (yes) unfold(name);
  for (const field of SLIDERS) {
    const block = control(field);
    const { least = 0.05, most } = settings[field].limits;
    if (!block || block.querySelector(".range")) continue;
    block.classList.add("ranged");
    // For the pointer only: the number input beside it has the accessible name and the arrow keys.
    block.append(
      h("input", {
        type: "range",
        class: "range",
        min: String(least),
        max: String(most),
        step: "0.05",
        tabindex: "-1",
        "aria-hidden": "true",
        oninput: (event) => set(field, Number(event.target.value)),
      }),
    );
  }
  for (const [name, { help, control: kind }] of Object.entries(settings)) {
    if (!["file", "sides", "loras", "details", "styles"].includes(kind)) {
      addTooltip(control(name), name, help);
    }
  }
  for (const [name, text] of Object.entries(webbduckFacts.button_help)) {
    const button = document.getElementById(name);
    if (button) button.title = text;
  }
  document.getElementById("swap")?.setAttribute("aria-label", "Swap width and height");
  const column = document.getElementById("controls");
  column?.setAttribute("role", "region");
  column?.setAttribute("aria-label", "Settings");
  for (const field of NUMBERS) {
    const { step: by, limits } = settings[field];
    const { least, above, most, whole } = limits;
    if (entry(field)) {
      numberField(entry(field), { step: by, least: least ?? above + by, most, whole: Boolean(whole) });
    }
    entry(field)?.addEventListener("input", () => {
      dismissed.delete(field);
      showProblem(field, null);
      checkIn(900);
    });
    // Delayed: the message moves the layout, and the click that took the focus must still hit its button.
    entry(field)?.addEventListener("blur", () => checkIn(300));
  }
}

// -- validation messages ------------------------------------------------------------------------------

let checking = null;
/** Check the numbers after `delay` milliseconds, instead of a check that was to come. */
function checkIn(delay) {
  clearTimeout(checking);
  checking = setTimeout(() => {
    checking = null;
    check();
  }, delay);
}
function problemOf(field, typed) {
  const { least, most, above, step, whole } = settings[field].limits;
  const { value, problem } = readNumber(typed, Boolean(whole));
  if (problem) return `${labelOf(field)} ${problem}.`;
  if (value === null || value === undefined || (field === "seed" && value === -1)) return null;
  if (whole && !Number.isInteger(value)) return `${labelOf(field)} must be a whole number.`;
  if ((least !== undefined && value < least) || value > most || (above !== undefined && value <= above)) {
    return `${labelOf(field)} can be ${least ?? `above ${above}`} to ${most}, not ${value}.`;
  }
  if (step && value % step) return `${labelOf(field)} must be a multiple of ${step}.`;
  return null;
}
/** Fields whose message was dismissed, with the value it was about; that value is not reported again. */
const dismissed = new Map();
function check() {
  if (!values) return;
  for (const field of NUMBERS) {
    // The server's error about this value stays until the value changes.
    if (control(field)?.dataset.problem === "server") continue;
    if (dismissed.has(field) && dismissed.get(field) === values[field]) continue;
    const { limits } = settings[field];
    const text = problemOf(field, values[field]);
    if (!text) {
      if (control(field)?.dataset.problem === "live") showProblem(field, null);
      continue;
    }
    const near =
      limits.step &&
      Number.isInteger(values[field]) &&
      !(values[field] < limits.least || values[field] > limits.most)
        ? [Math.floor(values[field] / STEP) * STEP, Math.ceil(values[field] / STEP) * STEP]
        : [];
    showProblem(field, text, "live", near);
  }
  const { width, height } = values;
  if (width * height > MAX_PIXELS && !problemOf("width", width) && !problemOf("height", height)) {
    showProblem(
      "height",
      `${width} × ${height} px is more than ${(MAX_PIXELS / 1e6).toFixed(1)} megapixels; ` +
        "choose a smaller size.",
      "live",
    );
  }
}

/**
 * Show an error at a field's control until it is dismissed or the value changes; null removes it.
 *
 * @param {string} field
 * @param {string | null} text
 * @param {"server" | "live"} [kind] "server": the answer to Generate; "live": found while typing
 * @param {number[]} [near] valid values to offer
 * @returns {boolean} whether the field has a place for it
 */
export function showProblem(field, text, kind = "server", near = []) {
  const block = control(field);
  const input = ["details", "styles"].includes(settings[field]?.control) ? null : entry(field);
  if (!block || settings[field]?.control === "loras") return false; // the stack shows its own errors
  const place = block.closest(".fields") ?? block;
  const id = `problem-${field}`;
  const old = document.getElementById(id);
  if (!text) {
    old?.remove();
    delete block.dataset.problem;
    input?.removeAttribute("aria-invalid");
    input?.removeAttribute("aria-errormessage");
    return true;
  }
  if (old?.dataset.text === text) {
    if (kind === "server") reveal(old);
    return true;
  }
  old?.remove();
  block.dataset.problem = kind;
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-errormessage", id);
  const note = h(
    "div",
    { class: "notice error at-control", id, role: "alert", "data-text": text },
    h("span", {}, text),
    near.map((value) =>
      h(
        "button",
        {
          type: "button",
          class: "near",
          onclick: () => {
            set(field, value);
            showProblem(field, null);
          },
        },
        `Use ${value}`,
      ),
    ),
    h(
      "button",
      {
        type: "button",
        class: "dismiss",
        "aria-label": "Dismiss",
        onclick: () => {
          dismissed.set(field, values[field]);
          showProblem(field, null);
        },
      },
      "×",
    ),
  );
  place.after(note);
  const fold = block.closest(".fold");
  if (fold && kind === "server") unfold(fold.querySelector("[data-fold]").dataset.fold);
  if (kind === "server") reveal(note);
  return true;
}
let beforeReveal = () => {};
/** `action` runs before the form scrolls to a message, so that it can uncover the form. */
export function onReveal(action) {
  beforeReveal = action;
}
/** Scroll a message into view; on a phone the form is in the settings sheet. */
export function reveal(note) {
  beforeReveal();
  requestAnimationFrame(() => note.scrollIntoView({ block: phone.matches ? "center" : "nearest" }));
}
/** Open a group and scroll to it; `uncover`: where the form is in the settings sheet, open that too. */
export function showGroup(name, uncover = false) {
  unfold(name);
  if (uncover) beforeReveal();
  const head = document.querySelector(`[data-fold="${name}"]`);
  if (uncover) head?.focus({ preventScroll: true });
  requestAnimationFrame(() => head?.closest(".fold").scrollIntoView({ block: "nearest" }));
}
/** Remove the server's errors about the last press of Generate. */
export function clearServerProblems() {
  for (const field of Object.keys(settings)) {
    if (control(field)?.dataset.problem === "server") showProblem(field, null);
  }
}
