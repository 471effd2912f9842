// @ts-check
// The form for a checkpoint's defaults, on its card.
import { makeCombobox } from "../shared/combobox.js";
import { button, h } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { settings } from "../shared/settings.js";

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
const KEYS = [...FIELDS.map(([key]) => key), "scheduler", "vae"];

/** The list of joined names of sampler and schedule, by sampler. */
function entriesOf(names) {
  const samplers = Object.keys(settings.sampler?.choices ?? {}).sort((a, b) => b.length - a.length);
  const samplerOf = (name) => samplers.find((each) => name === each || name.startsWith(`${each} `)) ?? name;
  return names.map((name) => ({ value: name, label: name, group: samplerOf(name) }));
}

/**
 * The form of a checkpoint. `save(changes, seen)` resolves to {error} if the server refused it; `useCurrent`
 * makes the Studio's settings the defaults. Returns its `node`, and `update(checkpoint, lists)`, which shows
 * changed defaults in all fields without edits that are not saved.
 *
 * @param {{save: (changes: any, seen: any) => Promise<any>, useCurrent: () => void}} actions
 */
export function makeDefaultsForm({ save: store, useCurrent }) {
  /** As the catalog last gave them. @type {{defaults: any, suggested: any}} */
  let latest = { defaults: {}, suggested: {} };
  /** Those that the form was filled with. @type {Record<string, any>} */
  let shown = {};
  let wasRefused = false;
  const inputs = FIELDS.map(([key, , step]) =>
    numberField(h("input", { type: "text", class: "typed-number", name: key }), {
      step,
      least: 0,
      whole: WHOLE.has(key),
    }),
  );
  const sampler = makeCombobox({ label: "Sampler" });
  const vae = makeCombobox({ label: "VAE" });
  const status = h("p", { class: "form-status muted", role: "status" });
  const showStatus = (text, isError) => {
    status.textContent = text;
    status.classList.toggle("problem", isError);
  };

  /** What a field shows: a default that differs from the suggested value; null for the others. */
  const noted = (key) => (shown[key] === latest.suggested[key] ? null : shown[key]);
  const typed = () =>
    FIELDS.map(([key, label], place) => ({ key, label, ...readNumber(inputs[place].value, WHOLE.has(key)) }));
  /** [key, value] of all fields with edits that are not saved; undefined for what is no number. */
  const edits = (numbers = typed()) =>
    [
      ...numbers.map(({ key, value }) => [key, value]),
      ["scheduler", sampler.value || null],
      ["vae", vae.value || null],
    ].filter(([key, value]) => value !== noted(key) && (value ?? latest.suggested[key]) !== shown[key]);

  /** Show the latest defaults in all fields but these. */
  function fill(except = []) {
    for (const key of KEYS) if (!except.includes(key)) shown[key] = latest.defaults[key];
    FIELDS.forEach(([key], place) => {
      inputs[place].placeholder = String(latest.suggested[key]);
      if (!except.includes(key)) inputs[place].value = noted(key) ?? "";
    });
    if (!except.includes("scheduler")) sampler.value = noted("scheduler") ?? "";
    if (!except.includes("vae")) vae.value = noted("vae") ?? "";
  }

  /** Whether it is saved. */
  async function save(changes) {
    if (!Object.keys(changes).length) {
      showStatus("No changes.", false);
      return true;
    }
    const seen = Object.fromEntries(Object.keys(changes).map((key) => [key, shown[key]]));
    const done = await store(changes, seen);
    const isRefused = Boolean(done.error);
    // The catalog's update with the other change may have come before the refusal.
    const isKnown = Object.entries(seen).some(([key, value]) => latest.defaults[key] !== value);
    if (isRefused && isKnown) shown = { ...latest.defaults };
    wasRefused = isRefused && !isKnown;
    if (!isRefused) {
      // The catalog's next update has them; until then a second save is not a conflict.
      for (const [key, value] of Object.entries(changes)) {
        shown[key] = latest.defaults[key] = value ?? latest.suggested[key];
      }
    }
    showStatus(done.error ?? "Saved to models.json.", isRefused);
    return !isRefused;
  }

  function submit(event) {
    event.preventDefault();
    const numbers = typed();
    const wrong = numbers.find(({ problem }) => problem);
    if (wrong) return showStatus(`${wrong.label.replace(", px", "")} ${wrong.problem}.`, true);
    save(Object.fromEntries(edits(numbers)));
  }

  async function reset() {
    if (await save(Object.fromEntries(KEYS.map((key) => [key, null])))) fill();
  }

  const node = h(
    "form",
    { class: "defaults", onsubmit: submit },
    FIELDS.map(([, label], place) => h("label", {}, label, inputs[place])),
    h("div", { class: "wide" }, h("span", {}, "Sampler"), sampler.node),
    h("div", { class: "wide" }, h("span", {}, "VAE"), vae.node),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit" }, "Save defaults"),
      button("Use the Studio’s settings", useCurrent),
      button("Reset to suggested", reset),
    ),
    status,
  );

  function update({ defaults, suggested }, { samplers, vaes }) {
    const edited = edits().map(([key]) => key);
    latest = { defaults: { ...defaults }, suggested };
    sampler.setChoices([{ value: "", label: `${suggested.scheduler} (suggested)` }, ...entriesOf(samplers)]);
    vae.setChoices(vaes.map((one) => (one.value ? one : { ...one, label: `${one.label} (suggested)` })));
    fill(edited);
    // The refusal said what another change made of them, which the next save may replace.
    if (wasRefused) shown = { ...defaults };
    wasRefused = false;
  }
  return { node, update };
}
