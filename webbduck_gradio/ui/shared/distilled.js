// @ts-check
// Models that draw in few steps (models/distilled.py): what they are called and which settings they are for.

const BY = { header: "by its header", metadata: "by its metadata", name: "by its name" };

/**
 * @typedef {{kind: string, by: string, steps: number, cfg: number, sampler: string, schedule: string}}
 *   Distilled
 */

/** "4 steps, CFG 1, Euler, SGM Uniform". @param {Distilled} distilled */
export const settingsText = ({ steps, cfg, sampler, schedule }) =>
  `${steps} ${steps === 1 ? "step" : "steps"}, CFG ${cfg}, ${sampler}, ${schedule}`;

/** "Looks like a Lightning model (by its name), made for …". @param {Distilled} distilled */
export const aboutText = (distilled) =>
  `${looksLike(distilled, "model")}, made for ${settingsText(distilled)}`;

/** @param {Distilled} distilled @param {string} what */
export const looksLike = ({ kind, by }, what) =>
  `Looks like ${kind === "LCM" ? "an" : "a"} ${kind} ${what} (${BY[by]})`;

/**
 * The model whose settings are suggested, and the fields in which the form differs from them: the first LoRA
 * in use that was distilled, else the checkpoint; null where nothing is to be suggested.
 *
 * @param {Record<string, any>} values of the form; `loras` as its control has them
 * @param {{checkpoints: any[], loras: any[]}} catalog
 * @param {Record<string, string | null>} automatic the schedule that each sampler's "Automatic" selects
 * @returns {{name: string, what: string, distilled: Distilled, wanted: Record<string, any>} | null}
 */
export function suggestionFor(values, catalog, automatic) {
  const lora = lorasIn(values, catalog.loras).find((each) => each.distilled && !each.reason);
  const model = lora ?? catalog.checkpoints.find((each) => each.name === values.base_model);
  if (!model?.distilled) return null;
  const { steps, cfg, sampler, schedule } = model.distilled;
  const wanted = { steps, cfg, sampler, schedule };
  const now = {
    ...values,
    schedule:
      (values.schedule === "Automatic" ? automatic[values.sampler] : values.schedule) ?? values.schedule,
  };
  if (Object.keys(wanted).every((name) => now[name] === wanted[name])) return null;
  return { name: model.name, what: lora ? "LoRA" : "checkpoint", distilled: model.distilled, wanted };
}

/** The catalog's LoRAs that the stack or a `<lora:name:weight>` in the prompt uses, at weights above 0. */
function lorasIn(values, loras) {
  const stack = typeof values.loras === "string" ? JSON.parse(values.loras || "[]") : (values.loras ?? []);
  const names = stack.filter(({ on, weight }) => on !== false && Number(weight) > 0).map(({ name }) => name);
  for (const [, body] of String(values.prompt ?? "").matchAll(/<(?:lora|lyco)\s*:([^<>]*)>/gi)) {
    const [name, weight = "1"] = body.split(":");
    if (!(Number(weight) <= 0)) names.push(name.trim());
  }
  const plain = (name) => name.toLowerCase().replace(/^.*\//, "");
  return names
    .map(
      (name) =>
        loras.find((each) => each.name === name) ?? loras.find((each) => plain(each.name) === plain(name)),
    )
    .filter(Boolean);
}
