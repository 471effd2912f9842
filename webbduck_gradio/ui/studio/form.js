// @ts-check
// The form as the page's scripts see it: its values, what is shown of it, its groups, what is wrong in it.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, phone } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { getPref, setPref } from "../shared/preferences.js";
import { describe } from "../shared/widgets.js";

const { limits, side_step: STEP, max_pixels: MAX_PIXELS } = webbduckFacts;
const CONTROLS = {
  base_model: "#checkpoint",
  prompt: "#prompt",
  negative_prompt: "#negative",
  prompt_2: "#prompt-2",
  width: "#width",
  height: "#height",
  steps: "#steps",
  cfg: "#cfg",
  scheduler: "#scheduler",
  seed: "#seed",
  num_images: "#batch",
  image: "#image",
  mask: "#mask",
  strength: "#strength",
  resize_mode: "#resize-mode",
  inpainting_fill: "#inpainting-fill",
  masked_content: "#masked-content",
  mask_blur: "#mask-blur",
  inpaint_area: "#inpaint-area",
  inpaint_padding: "#inpaint-padding",
  second_pass_model: "#second-model",
  second_pass_mode: "#second-mode",
  refinement_strength: "#refinement-strength",
  refiner_switch: "#refiner-switch",
  second_pass_steps: "#second-steps",
  clip_skip: "#clip-skip",
  emphasis: "#emphasis",
  output_format: "#output-format",
};
const RANGES = ["strength", "refinement_strength", "refiner_switch"];
const names = {
  base_model: "Checkpoint",
  scheduler: "Sampler",
  cfg: "CFG",
  seed: "Seed",
  num_images: "Images",
  clip_skip: "CLIP skip",
  inpainting_fill: "Mask mode",
};
export const called = (field) =>
  names[field] ?? field.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
let values = null;
/** The values of all controls, null until the page has them. */
export const state = () => values;
let opened = false;

export const control = (field) => document.querySelector(CONTROLS[field] ?? `#${field}`);
export const entry = (field) => control(field)?.querySelector("textarea, input");

/** Numbers that must be there; an empty seed or number of second steps has a meaning of its own. */
const OPTIONAL = ["seed", "second_pass_steps"];
const isNumber = (field) => field in limits && !OPTIONAL.includes(field);
function typedAs(field, text) {
  const { value, problem } = readNumber(text, Boolean(limits[field].whole));
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

/** Whether the second model takes over unfinished latents (as models/admission.py decides). */
export function continues() {
  if (values.second_pass_mode === "auto") {
    return arch(values.second_pass_model) === "sdxl-refiner" && !values.image;
  }
  return values.second_pass_mode === "refiner";
}

function show() {
  const image = Boolean(values.image);
  const mask = image && Boolean(values.mask);
  const masked = values.inpaint_area === "masked";
  const second = Boolean(values.second_pass_model);
  const over = second && !continues();
  // The conditions of applicability.py, for the form as it is now.
  const hold = {
    image,
    mask,
    whole_area: !(mask && masked),
    masked_area: mask && masked,
    second_pass: second,
    img2img_pass: over,
    refiner_pass: second && !over,
  };
  for (const [field, needs] of Object.entries(webbduckFacts.needs)) {
    control(field)?.classList.toggle("off", !needs.every((each) => hold[each]));
  }
  control("negative_prompt")?.classList.toggle("filled", Boolean(values.negative_prompt));
  for (const field of RANGES) {
    const range = control(field)?.querySelector(".range");
    if (range && document.activeElement !== range && typeof values[field] === "number") {
      range.value = values[field];
    }
  }
  const inpainting = `Inpainting${values.inpainting_fill === "keep" ? " all but the mask" : ""}`;
  said("image", image ? `${mask ? inpainting : "From a picture"}, strength ${number(values.strength)}` : "");
  const part = over
    ? `Strength ${number(values.refinement_strength)}`
    : `From ${percent(values.refiner_switch)}`;
  said("second", second ? `${part}, ${values.second_pass_model}` : "");
  said(
    "more",
    [
      values.prompt_2 ? "second prompt" : "",
      values.clip_skip ? `CLIP skip ${values.clip_skip}` : "",
      values.emphasis === "none" ? "weights as they are" : "",
      values.output_format !== "png" ? { jpg: "JPEG", webp: "WebP" }[values.output_format] : "",
    ]
      .filter(Boolean)
      .join(", "),
  );
  const text = document.querySelector(".second-said");
  if (text) {
    text.textContent = !second
      ? "Another checkpoint that goes over the picture: a refiner, or any SDXL checkpoint."
      : over
        ? "Draws the finished picture again with this model; strength 0 to 1 says how much may change."
        : image
          ? "A refiner can only continue a picture made from text; choose img2img."
          : "The refiner continues the unfinished picture " +
            `after ${percent(values.refiner_switch)} of the steps.`;
  }
}
const number = (value) => (typeof value === "number" ? String(Number(value.toFixed(3))) : value || "?");
const percent = (value) => (typeof value === "number" ? `${Math.round(value * 100)} %` : value || "?");
function said(fold, text) {
  const node = document.querySelector(`[data-fold="${fold}"] .fold-said`);
  if (node) node.textContent = text;
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
  for (const field of RANGES) {
    const block = control(field);
    const { least = 0.05, most } = limits[field];
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
  for (const [field, text] of Object.entries(webbduckFacts.help)) {
    describe(control(field), field, text);
  }
  for (const [name, text] of Object.entries(webbduckFacts.button_help)) {
    const button = document.getElementById(name);
    if (button) button.title = text;
  }
  document.getElementById("swap")?.setAttribute("aria-label", "Swap width and height");
  for (const [field, { least, above, most, step, whole }] of Object.entries(limits)) {
    const by = webbduckFacts.number_steps[field] ?? step ?? (whole ? 1 : 0.05);
    if (entry(field)) {
      numberField(entry(field), { step: by, least: least ?? above + by, most, whole: Boolean(whole) });
    }
    entry(field)?.addEventListener("input", () => {
      clearTimeout(checking);
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
  const { least, most, above, step, whole } = limits[field];
  const { value, problem } = readNumber(typed, Boolean(whole));
  if (problem) return `${called(field)} ${problem}.`;
  if (value === null || value === undefined || (field === "seed" && value === -1)) return null;
  if (whole && !Number.isInteger(value)) return `${called(field)} must be a whole number.`;
  if ((least !== undefined && value < least) || value > most || (above !== undefined && value <= above)) {
    return `${called(field)} can be ${least ?? `above ${above}`} to ${most}, not ${value}.`;
  }
  if (step && value % step) return `${called(field)} must be a multiple of ${step}.`;
  return null;
}
function check() {
  if (!values) return;
  for (const field of Object.keys(limits)) {
    // What the server said of this value stays until the value changes.
    if (control(field)?.dataset.complaint === "asked") continue;
    const text = problemOf(field, values[field]);
    if (!text) {
      if (control(field)?.dataset.complaint === "live") complain(field, null);
      continue;
    }
    const near =
      limits[field].step &&
      Number.isInteger(values[field]) &&
      !(values[field] < limits[field].least || values[field] > limits[field].most)
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
  if (!block) return false;
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
      { type: "button", class: "dismiss", "aria-label": "Dismiss", onclick: () => complain(field, null) },
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
  for (const field of Object.keys(CONTROLS)) {
    if (control(field)?.dataset.complaint === "asked") complain(field, null);
  }
}
