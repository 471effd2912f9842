// @ts-check
// The form as the page's scripts see it: its values, what is shown of it, its groups, what is wrong in it.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, phone } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { getPref, setPref } from "../shared/preferences.js";
import { applies, conditionsOf, labelOf, percent, settings, summaryOf } from "../shared/settings.js";
import { describe } from "../shared/widgets.js";

const { side_step: STEP, max_pixels: MAX_PIXELS } = webbduckFacts;
const NUMBERS = Object.keys(settings).filter((name) => settings[name].control === "number");
const SLIDERS = Object.keys(settings).filter((name) => settings[name].has_slider);
let values = null;
/** The values of all controls, null until the page has them. */
export const state = () => values;
let opened = false;

export const control = (field) => document.getElementById(settings[field]?.element ?? field);
export const entry = (field) => control(field)?.querySelector("textarea, input");

/** The values as they are this moment: Gradio brings what was just typed a little later. */
export const typedState = () =>
  values && {
    ...values,
    ...Object.fromEntries(
      Object.keys(settings)
        .filter((field) => settings[field].control === "text" && field in values && entry(field))
        .map((field) => [field, entry(field).value]),
    ),
  };

/** Numbers that must be there; an empty seed or number of second steps has a meaning of its own. */
const isNumber = (field) => settings[field]?.control === "number" && !settings[field].is_optional;
function typedAs(field, text) {
  const { value, problem } = readNumber(text, Boolean(settings[field].limits.whole));
  return problem ? text : value;
}

/** The values of all controls, from Gradio. Before the page has its settings back nothing is remembered. */
export function changed(fields, shown) {
  if (!opened) return;
  // What was typed as a number is one from here on; what cannot be read stays as it was typed.
  values = Object.fromEntries(
    fields.map((name, index) => [name, isNumber(name) ? typedAs(name, shown[index]) : shown[index]]),
  );
  show();
  publish("form", values);
  remember();
}

/** The page has its values: those it was left with, or the checkpoint's. */
export function open(fields, shown) {
  opened = true;
  prepare();
  changed(fields, shown);
  check();
}

let remembering = null;
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(keep, 250);
}
const keep = () => {
  if (values) {
    setPref("form", values);
  }
};
window.addEventListener("pagehide", keep);
export function recalled() {
  return getPref("form");
}

/** Put a value into a text or number control, as if it had been typed. */
export function set(field, value) {
  const input = entry(field);
  if (!input) return;
  input.value = value ?? "";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

// -- what is shown ------------------------------------------------------------------------------------

export const arch = (name) => last.get("catalog")?.checkpoints.find((each) => each.name === name)?.arch;

const secondArch = () => arch(values.second_pass_model);

/** Which conditions of request/conditions.py hold for the form as it is now. */
export const conditions = () => conditionsOf(values, secondArch());

function show() {
  const hold = conditions();
  for (const name of Object.keys(settings)) {
    const isHidden = !applies(name, hold) && !settings[name].stays_visible;
    control(name)?.classList.toggle("off", isHidden);
  }
  control("negative_prompt")?.classList.toggle("filled", Boolean(values.negative_prompt));
  for (const field of SLIDERS) {
    const range = control(field)?.querySelector(".range");
    if (range && document.activeElement !== range && typeof values[field] === "number") {
      range.value = values[field];
    }
  }
  const { image, mask, second_pass, img2img_pass } = hold;
  const inpainting = `Inpainting${values.inpainting_fill === "keep" ? " all but the mask" : ""}`;
  const from = mask ? inpainting : image ? "From a picture" : null;
  for (const fold of ["image", "second", "more"]) {
    const parts = summaryOf("fold", values, hold, fold);
    if (fold === "image" && from) parts.unshift(from);
    said(fold, parts.join(", "));
  }
  const text = document.querySelector(".second-said");
  if (text) {
    text.textContent = !second_pass
      ? "Runs a second pass with another checkpoint: a refiner, or any SDXL checkpoint."
      : img2img_pass
        ? "Runs img2img on the finished picture with this model; the strength says how much may change."
        : image
          ? "A refiner can only continue a picture made from text; choose img2img."
          : "The refiner continues the unfinished picture " +
            `after ${percent(values.refiner_switch)} of the steps.`;
  }
}
function said(fold, text) {
  const node = document.querySelector(`[data-fold="${fold}"] .fold-said`);
  if (node) node.textContent = text.replace(/^./, (first) => first.toUpperCase());
}
subscribe("catalog", () => {
  if (values) show();
});

// -- groups that fold ---------------------------------------------------------------------------------

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

/** What Gradio's controls lack: a slider beside some numbers. Called once they are there. */
function prepare() {
  for (const [name, yes] of Object.entries(folds)) if (yes) unfold(name);
  for (const field of SLIDERS) {
    const block = control(field);
    const { least = 0.05, most } = settings[field].limits;
    if (!block || block.querySelector(".range")) continue;
    block.classList.add("ranged");
    // Beside the number, which has the name and the keys; for the pointer only.
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
    if (kind !== "file" && kind !== "loras") describe(control(name), name, help);
  }
  for (const [name, text] of Object.entries(webbduckFacts.button_help)) {
    const button = document.getElementById(name);
    if (button) button.title = text;
  }
  document.getElementById("swap")?.setAttribute("aria-label", "Swap width and height");
  for (const field of NUMBERS) {
    const { step: by, limits } = settings[field];
    const { least, above, most, whole } = limits;
    if (entry(field)) {
      numberField(entry(field), { step: by, least: least ?? above + by, most, whole: Boolean(whole) });
    }
    entry(field)?.addEventListener("input", () => {
      clearTimeout(checking);
      dismissed.delete(field);
      complain(field, null);
      checking = setTimeout(check, 900);
    });
    // A little later: a press that took the focus must not find its button moved by the sentence.
    entry(field)?.addEventListener("blur", () => {
      clearTimeout(checking);
      checking = setTimeout(check, 300);
    });
  }
}

// -- what is wrong, said at the control ---------------------------------------------------------------

let checking = null;
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
/** Fields whose complaint was dismissed, with the value; of that value it is not said again. */
const dismissed = new Map();
function check() {
  if (!values) return;
  for (const field of NUMBERS) {
    // What the server said of this value stays until the value changes.
    if (control(field)?.dataset.complaint === "asked") continue;
    if (dismissed.has(field) && dismissed.get(field) === values[field]) continue;
    const { limits } = settings[field];
    const text = problemOf(field, values[field]);
    if (!text) {
      if (control(field)?.dataset.complaint === "live") complain(field, null);
      continue;
    }
    const near =
      limits.step &&
      Number.isInteger(values[field]) &&
      !(values[field] < limits.least || values[field] > limits.most)
        ? [Math.floor(values[field] / STEP) * STEP, Math.ceil(values[field] / STEP) * STEP]
        : [];
    complain(field, text, "live", near);
  }
  const { width, height } = values;
  if (width * height > MAX_PIXELS && !problemOf("width", width) && !problemOf("height", height)) {
    complain(
      "height",
      `${width} × ${height} px is more than ${(MAX_PIXELS / 1e6).toFixed(1)} megapixels; ` +
        "choose a smaller size.",
      "live",
    );
  }
}

/** Say `text` at a field's control until it is dismissed or the value changes; null takes it back. */
export function complain(field, text, kind = "asked", near = []) {
  const block = control(field);
  const input = entry(field);
  if (!block || settings[field]?.control === "loras") return false; // the stack says it itself
  const place = block.closest(".fields") ?? block;
  const id = `said-${field}`;
  const old = document.getElementById(id);
  if (!text) {
    old?.remove();
    delete block.dataset.complaint;
    input?.removeAttribute("aria-invalid");
    input?.removeAttribute("aria-errormessage");
    return true;
  }
  if (old?.dataset.text === text) {
    if (kind === "asked") reveal(old);
    return true;
  }
  old?.remove();
  block.dataset.complaint = kind;
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
            complain(field, null);
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
          complain(field, null);
        },
      },
      "×",
    ),
  );
  place.after(note);
  const fold = block.closest(".fold");
  if (fold && kind === "asked") unfold(fold.querySelector("[data-fold]").dataset.fold);
  if (kind === "asked") reveal(note);
  return true;
}
let beforeReveal = () => {};
/** `action` uncovers the form before something in it is scrolled to. */
export function onReveal(action) {
  beforeReveal = action;
}
/** Bring what was said into sight; on a phone it lies in the sheet. */
function reveal(note) {
  beforeReveal();
  requestAnimationFrame(() => note.scrollIntoView({ block: phone.matches ? "center" : "nearest" }));
}
/** All that was said about the last press of Generate. */
export function calm() {
  for (const field of Object.keys(settings)) {
    if (control(field)?.dataset.complaint === "asked") complain(field, null);
  }
}
