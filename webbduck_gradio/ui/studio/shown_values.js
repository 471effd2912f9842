// @ts-check
// The values that the form's controls show, read from the page; for when Gradio does not report them.
import { last } from "../shared/bus.js";
import { getStored, thisTab } from "../shared/preferences.js";
import { settings } from "../shared/settings.js";
import { control, entry } from "./form.js";

/** The value of a list's entry that has this label; `before` where the label is none, as while searching. */
function valueOf(field, label, before) {
  const { choices, control: kind } = settings[field];
  if (kind === "list") {
    return Object.entries(choices).find(([, text]) => text === label)?.[0] ?? before;
  }
  if (label === "Off") return "";
  return last.get("catalog")?.checkpoints.some((each) => each.name === label) ? label : before;
}

/**
 * What each control shows, for the fields of `before`, which holds the values that were known before. Numbers
 * are as they were typed.
 *
 * @param {Record<string, any>} before
 * @returns {Record<string, any>}
 */
export function shownValues(before) {
  /** @type {Record<string, any>} */
  const shown = {};
  for (const field of Object.keys(before)) {
    const kind = settings[field]?.control;
    const box = entry(field);
    if (kind === "loras") shown[field] = getStored("loraStack", before[field], thisTab);
    else if (kind === "details" || kind === "styles") shown[field] = last.get(kind) ?? before[field];
    else if (kind === "choice") {
      const name = control(field)?.querySelector("input:checked")?.value;
      shown[field] = name ?? before[field];
    } else if (kind === "list" || kind === "model") {
      shown[field] = box ? valueOf(field, box.value, before[field]) : before[field];
    } else if (box) shown[field] = box.value;
  }
  return shown;
}
