// @ts-check
// A checkpoint's card, with a form for its defaults.
import { makeCombobox } from "../shared/combobox.js";
import { button, h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { architectureName } from "../shared/lora_fit.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { bareName, originBadge } from "../shared/origins.js";
import { settings } from "../shared/settings.js";
import { convertPart } from "./conversions.js";
import { badge, date, distilledBadge } from "./parts.js";

/** @type {[string, string, number][]} */
const FIELDS = [
  ["steps", "Steps", 1],
  ["cfg", "CFG", 0.5],
  ["width", "Width, px", 8],
  ["height", "Height, px", 8],
  ["hires_scale", "Hires scale", 0.25],
  ["hires_strength", "Hires strength", 0.05],
  ["redraw_scale", "Redraw scale", 0.25],
  ["redraw_strength", "Redraw strength", 0.05],
];

const WHOLE = new Set(["steps", "width", "height"]);

/** The list of joined names of sampler and schedule, by sampler. */
function entriesOf(names) {
  const samplers = Object.keys(settings.sampler?.choices ?? {}).sort((a, b) => b.length - a.length);
  const samplerOf = (name) => samplers.find((each) => name === each || name.startsWith(`${each} `)) ?? name;
  return names.map((name) => ({ value: name, label: name, group: samplerOf(name) }));
}

/**
 * The form of a checkpoint's defaults.
 *
 * @param {any} each
 * @param {any} actions as of `checkpointCard`
 */
function defaultsForm(each, { samplers, vaes, save: store, useCurrent }) {
  const noted = (key) => (each.defaults[key] === each.suggested[key] ? "" : each.defaults[key]);
  const inputs = FIELDS.map(([key, label, step]) =>
    h(
      "label",
      {},
      label,
      numberField(
        h("input", {
          type: "text",
          class: "typed-number",
          name: key,
          value: noted(key),
          placeholder: String(each.suggested[key]),
        }),
        { step, least: 0, whole: WHOLE.has(key) },
      ),
    ),
  );
  const sampler = makeCombobox({
    label: "Sampler",
    choices: [{ value: "", label: `${each.suggested.scheduler} (suggested)` }, ...entriesOf(samplers)],
    value: noted("scheduler"),
  });
  const vae = makeCombobox({
    label: "VAE",
    choices: vaes.map((one) => (one.value ? one : { ...one, label: `${one.label} (suggested)` })),
    value: noted("vae"),
  });
  const status = h("p", { class: "form-status muted", role: "status" });
  const showStatus = (text, isError) => {
    status.textContent = text;
    status.classList.toggle("problem", isError);
  };
  const save = async (changes) => {
    if (!Object.keys(changes).length) return showStatus("No changes.", false);
    const seen = Object.fromEntries(Object.keys(changes).map((key) => [key, each.defaults[key]]));
    const done = await store(changes, seen);
    // Record what was saved, so that a second save before the next catalog update is not a conflict.
    if (!done.error) {
      for (const [key, value] of Object.entries(changes)) each.defaults[key] = value ?? each.suggested[key];
    }
    showStatus(done.error ?? "Saved to models.json.", Boolean(done.error));
  };
  const form = h(
    "form",
    {
      class: "defaults",
      onsubmit: (event) => {
        event.preventDefault();
        const read = FIELDS.map(([key, label]) => ({
          key,
          label,
          ...readNumber(form.elements[key].value, WHOLE.has(key)),
        }));
        const wrong = read.find(({ problem }) => problem);
        if (wrong) return showStatus(`${wrong.label.replace(", px", "")} ${wrong.problem}.`, true);
        const now = [
          ...read.map(({ key, value }) => [key, value]),
          ["scheduler", sampler.value || null],
          ["vae", vae.value || null],
        ];
        save(
          Object.fromEntries(now.filter(([key, value]) => value !== (noted(key) === "" ? null : noted(key)))),
        );
      },
    },
    inputs,
    h("div", { class: "wide" }, h("span", {}, "Sampler"), sampler.node),
    h("div", { class: "wide" }, h("span", {}, "VAE"), vae.node),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit" }, "Save defaults"),
      button("Use the Studio’s settings", useCurrent),
      button("Reset to suggested", () =>
        save(
          Object.fromEntries([...FIELDS.map(([key]) => key), "scheduler", "vae"].map((key) => [key, null])),
        ),
      ),
    ),
    status,
  );
  return form;
}

/** Closed, and not made before it is opened, for other programs' models, of which there may be hundreds. */
function defaultsPart(each, actions) {
  const part = h("details", {}, h("summary", {}, "Defaults"));
  const fill = () => part.children.length > 1 || part.append(defaultsForm(each, actions));
  part.addEventListener("toggle", fill);
  if (!each.origin) {
    fill();
    part.open = true;
  }
  return part;
}

/**
 * The card of a checkpoint.
 *
 * @param {any} each
 * @param {any} actions `save(changes, seen)` resolves to {error} if the server refused it; `use` selects it
 *   in the Studio, unless it `isUsed` there
 */
export function checkpointCard(each, { use, isUsed, ...actions }) {
  const isRefiner = each.arch === "sdxl-refiner";
  const facts = [
    ["Prediction", each.prediction_type + (each.zero_snr ? ", zero terminal SNR" : "")],
    ["Native size", `${each.native_size} px`],
    ["Weights", each.dress.join("; ") || "unknown"],
    ["Size", bytes(each.size_bytes)],
    ["Date", date(each.modified)],
    ...(each.converted_from ? [["Converted from", each.converted_from]] : []),
    [
      "AutoV2",
      each.hash ??
        (each.layout === "diffusers" ? "none for a folder" : each.reason ? "not computed" : "being computed"),
    ],
  ];
  return h(
    "article",
    { class: `card model${each.reason ? " unusable" : ""}`, "aria-label": each.name },
    h("h3", { title: each.name }, bareName(each)),
    h(
      "p",
      { class: "badges" },
      originBadge(each),
      badge(architectureName(each)),
      badge(each.layout === "diffusers" ? "diffusers folder" : "single file"),
      each.from_hub ? badge("Hugging Face cache") : null,
      each.has_vae ? null : badge("no VAE"),
      distilledBadge(each),
    ),
    each.reason ? h("p", { class: "why" }, each.reason) : null,
    each.reason ? convertPart("checkpoint", each.name) : null,
    each.draws ? h("p", { class: "about" }, each.draws) : null,
    each.reason
      ? null
      : h(
          "div",
          { class: "actions" },
          button(
            isUsed ? "In use in the Studio" : isRefiner ? "Use for the second pass" : "Use in the Studio",
            use,
            { class: "use", disabled: isUsed },
          ),
        ),
    h(
      "dl",
      { class: "details" },
      facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    each.reason ? null : defaultsPart(each, actions),
  );
}
